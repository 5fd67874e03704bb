"""Commands that use a model: `segment`, `sample`, `models`."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperOption

from nephoscope.cli import console
from nephoscope.cli.app import Folder, app, plain_errors, refuse


class FormatsInHelp(TyperCommand):
    """Lists all output formats in its help. The registry is slow to import: nothing else waits for it."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help, with the formats that there are."""
        from nephoscope.outputs import formats

        for option in self.params:
            if isinstance(option, TyperOption) and option.name == "formats":
                option.help = f"Of {', '.join(formats())}; several with commas."
        super().format_help(ctx, formatter)


@app.command(cls=FormatsInHelp)
def segment(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="A file, a folder, a glob, '-' for standard input, an http(s) URL, "
            "'worldview:SATELLITE/DAY/PLACE', or 'sample'.",
        ),
    ],
    folder: Folder = Path("nephoscope-output"),
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            help="Names of formats; several with commas.",  # FormatsInHelp lists them
        ),
    ] = "overlay,json",
    bounds: Annotated[
        str | None,
        typer.Option(
            metavar="WEST,SOUTH,EAST,NORTH|REGION",
            help="Where all pictures are, in degrees; otherwise as their name, tags or world file say.",
        ),
    ] = None,
    day: Annotated[
        str | None,
        typer.Option(
            "--time", metavar="DAY", help="When all were taken, as 2020-02-01; or as their name says."
        ),
    ] = None,
    model: Annotated[str, typer.Option(help="A model's name or file; see 'nephoscope models'.")] = "default",
    join: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=100,
            metavar="PIXELS",
            help="Groups this near (pixels of 350x525) count as one region; as the card says unless said.",
        ),
    ] = None,
    tta: Annotated[
        bool, typer.Option("--tta", help="Mean over four mirror images: better, four times slower.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace outputs that are there.")] = False,
    max_pixels: Annotated[
        int | None, typer.Option(min=1, help="Refuse pictures with more pixels; 100,000,000 unless said.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
) -> None:
    """Mark Fish, Flower, Gravel and Sugar in pictures."""
    from nephoscope.core.geo import parse_bounds, parse_day
    from nephoscope.core.io import available_cpus
    from nephoscope.imagery.scene import MAX_PIXELS
    from nephoscope.imagery.sources import find_sources
    from nephoscope.inference.model import Model
    from nephoscope.outputs import parse_formats
    from nephoscope.outputs.batch import Job, run

    started = time.perf_counter()
    found = find_sources(sources, max_pixels or MAX_PIXELS)
    workers = min(available_cpus(), len(found))
    with plain_errors():
        wanted = parse_formats(formats)
        loaded = Model.load(model, threads=available_cpus() // workers, device=device)
        pictures = frozenset(source.path for source in found if source.path)
        place = parse_bounds(bounds) if bounds is not None else None
        when = parse_day(day) if day is not None else None
        job = Job(loaded, folder, wanted, overwrite, join, tta, pictures, place, when)
    counts = console.report(run(found, job, workers), len(found), as_json)
    console.closing(counts, folder, time.perf_counter() - started)
    if counts["failed"]:
        raise typer.Exit(1)


@app.command()
def sample(
    folder: Folder = Path("nephoscope-sample"),
    scenes: Annotated[
        int, typer.Option(min=0, help="Also make this many scenes with labels, in the contest's layout.")
    ] = 0,
) -> None:
    """Write the built-in synthetic scene, to try nephoscope offline; it is no observation."""
    from nephoscope.core.io import atomic_write
    from nephoscope.datasets.build import write_synthetic_dataset
    from nephoscope.imagery import synthetic

    try:
        atomic_write(folder / synthetic.SAMPLE_NAME, synthetic.sample())
        print(folder / synthetic.SAMPLE_NAME)
        if scenes:
            write_synthetic_dataset(folder, scenes)
            print(folder / "train.csv")
    except OSError as error:
        refuse(f"{folder}: not written: {error.strerror or error}")


@app.command()
def models(
    model: Annotated[
        str | None, typer.Argument(metavar="[NAME|PATH]", help="Print this model's card.")
    ] = None,
) -> None:
    """List the models that come with nephoscope, or print a model's card."""
    from nephoscope.inference.model import Model, model_file, shipped

    with plain_errors():
        if model is not None:
            print(Model.load(model).card.to_json(), end="")
            return
        for name in shipped():
            console.model_line(name, Model.load(name).card, model_file(name).stat().st_size)
        console.hint("'nephoscope models NAME' prints a model's card")
