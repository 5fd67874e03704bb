"""The commands `segment`, `sample` and `models`."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option
from typer.core import TyperCommand, TyperOption

from nephoscope.cli import console, options
from nephoscope.cli.app import app, fail, usage_errors

Sources = Annotated[
    list[str],
    Argument(
        metavar="SOURCE...",
        help="A file, a folder, a glob, '-' for standard input, an http(s) URL, "
        "'worldview:SATELLITE/DAY/PLACE', or 'sample'.",
    ),
]


class FormatsInHelp(TyperCommand):
    """Lists all output formats in its help; the registry is slow to import, so only help imports it."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help with the available formats."""
        from nephoscope.outputs import formats

        for option in self.params:
            if isinstance(option, TyperOption) and option.name == "formats":
                option.help = f"Comma-separated list of {', '.join(formats())}."
        super().format_help(ctx, formatter)


@app.command(cls=FormatsInHelp)
def segment(
    sources: Sources,
    folder: options.Folder = Path("nephoscope-output"),
    formats: Annotated[str, Option("--format")] = "overlay,json",
    bounds: Annotated[
        str | None,
        Option(
            metavar="WEST,SOUTH,EAST,NORTH|REGION",
            help="Bounds of all pictures in degrees. Default: from their names, tags or world files.",
        ),
    ] = None,
    day: Annotated[
        str | None, Option("--time", metavar="DAY", help="Day of all pictures. Default: from their names.")
    ] = None,
    model: options.ModelName = "default",
    join: Annotated[
        int | None,
        Option(
            min=0,
            max=100,
            metavar="PIXELS",
            help="Merge components at most this far apart (pixels of 350x525). Default: from the model card.",
        ),
    ] = None,
    tta: options.Tta = False,
    device: options.Device = "auto",
    overwrite: options.Overwrite = False,
    max_pixels: Annotated[
        int | None, Option(min=1, help="Refuse larger pictures. Default: 100,000,000.")
    ] = None,
    as_json: Annotated[bool, Option("--json", help="Print JSON lines.")] = False,
) -> None:
    """Find cloud patterns in pictures."""
    from nephoscope.core.geo import parse_bounds, parse_day
    from nephoscope.core.io import available_cpus
    from nephoscope.imagery.scene import MAX_PIXELS
    from nephoscope.imagery.sources import find_sources
    from nephoscope.inference.model import Model
    from nephoscope.outputs import parse_formats
    from nephoscope.outputs.batch import Job, run

    started = time.perf_counter()
    pictures = find_sources(sources, max_pixels or MAX_PIXELS)
    workers = min(available_cpus(), len(pictures))
    with usage_errors():
        names = parse_formats(formats)
        loaded = Model.load(model, threads=available_cpus() // workers, device=device)
        protected = frozenset(picture.path for picture in pictures if picture.path)
        where = parse_bounds(bounds) if bounds is not None else None
        when = parse_day(day) if day is not None else None
        job = Job(loaded, folder, names, overwrite, join, tta, protected, where, when)
    results = run(pictures, job, workers)
    counts = console.print_results(results, len(pictures), loaded.card.styled_patterns, as_json)
    console.print_summary(counts, folder, time.perf_counter() - started)
    if counts["failed"]:
        raise typer.Exit(1)


@app.command()
def sample(
    folder: options.Folder = Path("nephoscope-sample"),
    scenes: Annotated[
        int, Option(min=0, help="Also make this many labelled scenes, in the contest's layout.")
    ] = 0,
) -> None:
    """Write the built-in synthetic scene, to try nephoscope offline; it is not an observation."""
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
        fail(f"{folder}: not written: {error.strerror or error}")


@app.command()
def models(
    model: Annotated[str | None, Argument(metavar="[NAME|PATH]", help="Print this model's card.")] = None,
) -> None:
    """List the built-in models, or print a model's card."""
    from nephoscope.inference.model import Model, model_file, shipped

    with usage_errors():
        if model is not None:
            print(Model.load(model).card.to_json(), end="")
            return
        for name in shipped():
            size = model_file(name).stat().st_size / 1e6
            print(f"{name:<12}{size:5.1f} MB  {Model.load(name).card.description}")
        console.hint("'nephoscope models NAME' prints a model's card")
