"""The commands `segment` and `sample`."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option
from typer.core import TyperCommand, TyperOption

from nephoscope.cli import completion, console, options
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
    formats: Annotated[str, Option("--format", autocompletion=completion.formats)] = "overlay,json",
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
    extent: Annotated[
        float | None,
        Option(
            metavar="DEGREES",
            help="Degrees from west to east that pictures of unknown location show. Default: 21 x 14.",
        ),
    ] = None,
    bands: Annotated[
        str | None,
        Option(metavar="RED,GREEN,BLUE", help="Bands by number, from 1, or name. Default: as the file says."),
    ] = None,
    scale: Annotated[
        str,
        Option(
            metavar="SCALE",
            help="What values mean: auto, byte (0-255), unit (0-1), uint16, reflectance, or LOW,HIGH.",
        ),
    ] = "auto",
    model: options.ModelName = "default",
    rules: options.Rules = "contest",
    thresholds: Annotated[
        list[str],
        Option(
            "--threshold",
            metavar="[PATTERN=]PROBABILITY",
            help="Least probability of a pattern's pixels, such as Fish=0.4, or 0.4 for all patterns; "
            "repeatable. Default: from the rules.",
        ),
    ] = [],  # noqa: B006 (Typer copies it)
    join: Annotated[
        int | None,
        Option(
            min=0,
            max=100,
            metavar="PIXELS",
            help="Merge components at most this far apart (pixels of 350x525). Default: from the model card.",
        ),
    ] = None,
    names: options.Names = "nephoscope",
    tta: options.Tta = False,
    device: options.Device = "auto",
    server: Annotated[
        str | None,
        Option(
            metavar="URL",
            help="Run the network on another machine: the address that its 'nephoscope serve' printed.",
        ),
    ] = None,
    overwrite: options.Overwrite = False,
    max_pixels: Annotated[
        int | None, Option(min=1, help="Refuse larger pictures. Default: 100,000,000.")
    ] = None,
    as_json: Annotated[bool, Option("--json", help="Print JSON lines.")] = False,
) -> None:
    """Find cloud patterns in pictures."""
    from nephoscope.core.geo import parse_bounds, parse_day
    from nephoscope.core.io import available_cpus
    from nephoscope.core.patterns import C3ONTEXT_NAMES
    from nephoscope.imagery.bands import parse_bands
    from nephoscope.imagery.scene import MAX_PIXELS, check_extent
    from nephoscope.imagery.sources import find_sources
    from nephoscope.imagery.values import parse_scale
    from nephoscope.inference.card import parse_thresholds
    from nephoscope.inference.model import Model
    from nephoscope.inference.prediction import Predictor
    from nephoscope.inference.renamed import RenamedModel
    from nephoscope.outputs import parse_formats
    from nephoscope.outputs.batch import Job, run

    started = time.perf_counter()
    if server and device != "auto":
        fail("--device is for this machine; a server has its own")
    with usage_errors():
        meaning = parse_scale(scale)
        chosen = parse_bands(bands) if bands is not None else None
        pictures = find_sources(sources, max_pixels or MAX_PIXELS, bands=chosen, scale=meaning)
        outputs = parse_formats(formats)
        loaded: Predictor
        if server:
            from nephoscope.inference.remote import RemoteModel

            remote = RemoteModel(server, model)
            loaded, workers = remote, min(remote.connections, len(pictures))
        else:
            workers = min(available_cpus(), len(pictures))
            loaded = Model.load(model, threads=available_cpus() // workers, device=device)
        if names == "c3ontext":
            loaded = RenamedModel(loaded, C3ONTEXT_NAMES)
        card = loaded.card.with_rules(rules, parse_thresholds(thresholds, loaded.card.patterns))
        protected = frozenset(picture.path for picture in pictures if picture.path)
        where = parse_bounds(bounds) if bounds is not None else None
        if extent is not None:
            check_extent(extent)
        when = parse_day(day) if day is not None else None
        job = Job(loaded, folder, outputs, overwrite, join, tta, protected, where, when, extent, card)
    results = run(pictures, job, workers)
    counts = console.print_results(results, len(pictures), card.styled_patterns, as_json)
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
