"""The command `suggest`."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from nephoscope.cli import console, options
from nephoscope.cli.app import app, fail, usage_errors
from nephoscope.cli.segment import Sources


@app.command()
def suggest(
    sources: Sources,
    output: Annotated[Path, Option("--output", "-o", metavar="FILE.csv", help="The list to write.")] = Path(
        "suggestions.csv"
    ),
    model: options.ModelName = "default",
    count: Annotated[int, Option(min=1, help="Number of pictures to suggest.")] = 50,
    device: options.Device = "auto",
    copy: Annotated[
        Path | None, Option(metavar="FOLDER", help="Copy the suggested pictures here as well.")
    ] = None,
    overwrite: options.Overwrite = False,
) -> None:
    """List which pictures to label next: uncertain ones, unlike the training pictures and each other."""
    from nephoscope.core.io import atomic_write, available_cpus
    from nephoscope.inference.model import Model
    from nephoscope.inference.suggestion import Candidate
    from nephoscope.inference.suggestion import suggest as rank
    from nephoscope.outputs.suggestions import candidates, copy_pictures, table

    if output.is_dir():
        fail(f"{output}: is a folder; -o FILE.csv names the list to write")
    if output.exists() and not overwrite:
        fail(f"{output}: exists; --overwrite replaces it, -o FILE.csv writes another")
    with usage_errors():
        loaded = Model.load(model, threads=1, device=device)
        step = console.progress_bar("looking at pictures")
        results = list(candidates(sources, loaded, workers=available_cpus(), progress=step))
        readable = [result for result in results if isinstance(result, Candidate)]
        unread = [result for result in results if not isinstance(result, Candidate)]
        for failed in unread:
            console.error(failed.reason)
        if not readable:  # an older list stays as it is
            console.error(f"no picture can be ranked: {output} is not written")
            raise typer.Exit(1)
        suggestions = rank(readable, count)
        atomic_write(output, table(suggestions, loaded.card.patterns))
        copied = copy_pictures(suggestions, copy) if copy else 0
    console.info(f"{len(suggestions):,} of {len(readable):,} pictures suggested: {output}")
    if copy:
        console.info(f"{copied:,} of them copied: {copy}")
    if unread:
        raise typer.Exit(1)
