"""The `nephoscope` command: one function a sub-command."""

import os
import sys
import time
import warnings
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from nephoscope import __version__, console

app = typer.Typer(
    name="nephoscope",
    help="Find how shallow clouds organise: Fish, Flower, Gravel and Sugar in satellite pictures.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Folder = Annotated[Path, typer.Option("--output", "-o", help="Where outputs go.")]


def main() -> None:
    """Run the command and exit: 0 all done, 1 something failed, 2 wrong usage, 130 interrupted."""
    # What a library mutters about a damaged picture is said once, in our own line.
    warnings.simplefilter("ignore")
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:  # closed by whoever started us
            setattr(sys, stream, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
        getattr(sys, stream).reconfigure(errors="backslashreplace")
    try:
        app()
    except SystemExit as stop:
        if stop.code == 130:  # what Typer makes of an interrupt
            console.complain("interrupted; the files written so far are whole")
        raise
    except OSError as error:
        console.complain(f"standard output: {error.strerror or error}")
        sys.exit(1)


def _refuse(message: object) -> NoReturn:
    console.complain(str(message))
    raise typer.Exit(2)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"nephoscope {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def segment(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="A file, a folder, a glob, '-' for standard input, an http(s) URL, or 'sample'.",
        ),
    ],
    folder: Folder = Path("nephoscope-output"),
    formats: Annotated[
        str, typer.Option("--format", help="Of overlay, panel, mask, json, csv; several with commas.")
    ] = "overlay,json",
    model: Annotated[str, typer.Option(help="A model's name or file; see 'nephoscope models'.")] = "default",
    join: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=100,
            metavar="PIXELS",
            help="Groups this near count as one region (pixels of 350x525); the model's own choice unless said.",
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
    from nephoscope.batch import Job, OutputExists, run
    from nephoscope.model import Model, ModelError, available_cpus
    from nephoscope.outputs import UnknownFormat, parse_formats
    from nephoscope.scene import MAX_PIXELS
    from nephoscope.sources import find_sources

    started = time.perf_counter()
    found = find_sources(sources, max_pixels or MAX_PIXELS)
    workers = min(available_cpus(), len(found))
    try:
        wanted = parse_formats(formats)
        loaded = Model.load(model, threads=available_cpus() // workers, device=device)
        pictures = frozenset(source.path for source in found if source.path)
        job = Job(loaded, folder, wanted, overwrite, join, tta, pictures)
    except (UnknownFormat, ModelError, OutputExists) as error:
        _refuse(error)
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
    from nephoscope import synthetic
    from nephoscope.files import write_whole

    try:
        write_whole(folder / synthetic.SAMPLE_NAME, synthetic.sample())
        print(folder / synthetic.SAMPLE_NAME)
        if scenes:
            synthetic.write_dataset(folder, scenes)
            print(folder / "train.csv")
    except OSError as error:
        _refuse(f"{folder}: not written: {error.strerror or error}")


@app.command()
def evaluate(
    csv: Annotated[
        tuple[Path, Path],
        typer.Option("--csv", metavar="PREDICTED TRUTH", help="Two files in the contest's form."),
    ],
) -> None:
    """Score answers against labels, as the contest does."""
    from nephoscope.evaluate import evaluate_csv
    from nephoscope.labels import LabelError

    try:
        console.evaluation(evaluate_csv(*csv))
    except LabelError as error:
        _refuse(error)
    except OSError as error:
        _refuse(f"{error.filename}: {error.strerror or error}")


@app.command()
def models(
    model: Annotated[
        str | None, typer.Argument(metavar="[NAME|PATH]", help="Print this model's card.")
    ] = None,
) -> None:
    """List the models that come with nephoscope, or print a model's card."""
    from nephoscope.model import Model, ModelError, model_file, shipped

    try:
        if model is not None:
            print(Model.load(model).card.to_json(), end="")
            return
        for name in shipped():
            console.model_line(name, Model.load(name).card, model_file(name).stat().st_size)
        console.hint("'nephoscope models NAME' prints a model's card")
    except ModelError as error:
        _refuse(error)


@app.command()
def export(
    checkpoint: Annotated[Path, typer.Argument(help="Trained weights, as safetensors.")],
    card: Annotated[Path, typer.Option(help="The model's card, as JSON.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The model file to write.")] = Path(
        "model.onnx"
    ),
) -> None:
    """Make a model file of trained weights and a card, and prove that it gives the same masks."""
    try:
        from nephoscope.training.export import ExportError
        from nephoscope.training.export import export as write_model
    except ImportError as error:
        _refuse(f"{error.name} is missing: pip install 'nephoscope[train]'")
    try:
        parity = write_model(checkpoint, card, output)
    except ExportError as error:
        _refuse(error)
    except OSError as error:
        _refuse(f"{error.filename}: {error.strerror or error}")
    console.exported(output, parity.largest, parity.differing, parity.pixels)
