"""The command `site`."""

from pathlib import Path
from typing import Annotated

from typer import Option

from nephoscope.cli import console, options
from nephoscope.cli.app import app, usage_errors


@app.command()
def site(
    folder: Annotated[
        Path, Option("--output", "-o", metavar="FOLDER", help="New, empty, or with a site to replace.")
    ] = Path("nephoscope-site"),
    models: options.Models = ["default"],  # noqa: B006 (Typer copies it)
    runtime: Annotated[
        Path | None,
        Option(
            metavar="FOLDER", help="Folder with the files of ONNX Runtime Web. Default: downloaded from npm."
        ),
    ] = None,
) -> None:
    """Write the web page as static files that any web server can host; models run in the browser."""
    from nephoscope.site.build import write_site
    from nephoscope.site.runtime import read_runtime

    with usage_errors():
        written = write_site(folder, models, read_runtime(runtime))
    size = sum(path.stat().st_size for path in written)
    print(folder / "index.html")
    console.info(f"{len(written)} files, {size / 1e6:.1f} MB; try it: python -m http.server -d {folder}")
