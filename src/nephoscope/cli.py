"""The `nephoscope` command: one function a sub-command."""

import dataclasses
import inspect
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from nephoscope import __version__, console
from nephoscope.training.recipe import PRESETS, Recipe, make_recipe

if TYPE_CHECKING:
    from nephoscope.dataset import Dataset

app = typer.Typer(
    name="nephoscope",
    help="Find how shallow clouds organise: Fish, Flower, Gravel and Sugar in satellite pictures.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Folder = Annotated[Path, typer.Option("--output", "-o", help="Where outputs go.")]


Folds = Annotated[
    int | None, typer.Option(min=2, help="Deal the days into so many folds, whatever the catalogue says.")
]
Fold = Annotated[int, typer.Option(min=0, help="Which fold to validate on.")]


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


def recipe_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for every entry of a recipe; those not said are left to the preset."""
    signature = inspect.signature(command, eval_str=True)
    own = [
        parameter
        for parameter in signature.parameters.values()
        if parameter.kind is not parameter.VAR_KEYWORD
    ]
    entries = []
    for field in dataclasses.fields(Recipe):
        about = f"{field.metadata['about']} [{field.default}]"
        kind = type(field.default) | None
        option = typer.Option(
            help=about, show_default=False, rich_help_panel="Recipe, with the default preset's values"
        )
        entries.append(
            inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind, option]
            )
        )
    command.__signature__ = signature.replace(parameters=[*own, *entries])  # type: ignore[attr-defined]
    command.__annotations__ = {entry.name: entry.annotation for entry in [*own, *entries]} | {"return": None}
    return command


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
@recipe_options
def train(
    data: Annotated[
        Path | None,
        typer.Argument(metavar="DATA", help="A folder in the contest's layout.", show_default=False),
    ] = None,
    run: Annotated[Path, typer.Option("--output", "-o", help="Where the run goes.")] = Path("nephoscope-run"),
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Go on with a run that was stopped.")
    ] = None,
    preset: Annotated[str, typer.Option(help=f"Of {', '.join(PRESETS)}; options change it.")] = "default",
    folds: Folds = None,
    fold: Fold = 0,
    track: Annotated[
        str, typer.Option(help="Of wandb, tensorboard, mlflow; several with commas. CSV and JSON always.")
    ] = "",
    panel_every: Annotated[
        int, typer.Option(min=1, help="Draw eight validation scenes every so many epochs.")
    ] = 2,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    cache: Annotated[Path | None, typer.Option(help="Where decoded scenes are kept.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at any problem in the labels.")] = False,
    **changes: Any,
) -> None:
    """Train a network on labelled scenes, make a model of it and calibrate it."""
    with _needs_training():
        from nephoscope.training import finish
        from nephoscope.training import run as running
        from nephoscope.training.tracking import parse_trackers
    how = {"cache": cache, "say": console.tell, "watch": console.watch}
    try:
        if resume is not None:
            run = resume
            running.resume(run, **how)
        elif data is None:
            _refuse("name a folder of labelled scenes, or --resume RUN")
        else:
            recipe = make_recipe(
                preset, **{name: value for name, value in changes.items() if value is not None}
            )
            trackers = parse_trackers(track)
            settings = running.Settings(str(data), recipe, folds, fold, strict, trackers, device, panel_every)
            running.begin(settings, run, **how)
        if running.is_first_process():
            console.calibration(finish.finish(run, console.tell, console.watch))
    except ValueError as error:
        _refuse(error)
    except OSError as error:
        _refuse(f"{error.filename}: {error.strerror or error}")


@app.command()
def calibrate(
    model: Annotated[str, typer.Argument(help="A model's name or file.")],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A folder in the contest's layout.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write; the model itself unless said.")
    ] = None,
    folds: Folds = None,
    fold: Fold = 0,
) -> None:
    """Search a model's rules on validation scenes and write them into its card."""
    with _needs_training():
        from nephoscope.training.calibrate import calibrate as search_rules
        from nephoscope.training.calibrate import calibrated, write_card
    from nephoscope.model import Model, shipped

    if output is None and model in shipped():
        _refuse(f"{model}: comes with nephoscope; -o FILE names the file for the calibrated one")
    try:
        loaded = Model.load(model, threads=1)
        _, validation = _both_sides(data, folds, fold)
        found = search_rules(loaded, validation, console.watch("calibrating"))
        on = f"{found.scenes:,} validation scenes of {data.resolve().name}"
        write_card(model, calibrated(loaded.card, found, on), output or Path(model))
        console.calibration(found)
        console.tell(f"{output or model}")
    except ValueError as error:
        _refuse(error)
    except OSError as error:
        _refuse(f"{error.filename}: {error.strerror or error}")


@app.command()
def export(
    checkpoints: Annotated[
        list[Path], typer.Argument(metavar="CHECKPOINT...", help="Trained weights; of several, the mean.")
    ],
    card: Annotated[
        Path | None, typer.Option(help="The model's card, as JSON; the one in the weights unless said.")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The model file to write.")] = Path(
        "model.onnx"
    ),
    tta: Annotated[
        bool, typer.Option("--tta", help="The model itself takes the mean over mirror images.")
    ] = False,
    int8: Annotated[
        Path | None,
        typer.Option(metavar="DATA", help="8-bit convolutions, if Dice on these labelled scenes stays."),
    ] = None,
    tolerance: Annotated[float, typer.Option(min=0, help="By how much int8 may lower mean Dice.")] = 0.005,
) -> None:
    """Make a model file of trained weights, and prove that it gives the same masks."""
    with _needs_training():
        from nephoscope.training.export import export as write_model
    try:
        parity = write_model(checkpoints, output, card_file=card, tta=tta)
        console.exported(output, parity.largest, parity.differing, parity.pixels)
        if int8 is not None:
            from nephoscope.training.quantise import quantise

            smaller = output.with_stem(f"{output.stem}-int8")
            training, validation = _both_sides(int8)
            console.quantised(smaller, *quantise(str(output), training, validation, smaller, tolerance))
    except ValueError as error:
        _refuse(error)
    except OSError as error:
        _refuse(f"{error.filename}: {error.strerror or error}")


def _both_sides(data: Path, folds: int | None = None, fold: int = 0) -> "tuple[Dataset, Dataset]":
    """Scenes to train on and to validate on."""
    from nephoscope.catalogue import split
    from nephoscope.dataset import read_dataset

    dataset = read_dataset(data, progress=console.watch("reading labels"))
    training, validation = split(dataset.records, folds, fold)
    return dataset.select(training), dataset.select(validation)


@contextmanager
def _needs_training() -> Iterator[None]:
    """Say what to install where a library of the `train` extra is missing."""
    try:
        yield
    except ImportError as error:
        _refuse(f"{error.name} is missing: pip install 'nephoscope[train]'")
