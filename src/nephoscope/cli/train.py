"""Commands that learn from labelled scenes and judge what was learnt."""

import dataclasses
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nephoscope.cli import console
from nephoscope.cli.app import Folder, app, needs, plain_errors, refuse
from nephoscope.training.config import NETWORK_ENTRIES, PRESETS, Recipe, make_recipe

if TYPE_CHECKING:
    from nephoscope.datasets.dataset import Dataset

Folds = Annotated[
    int | None, typer.Option(min=2, help="Deal the days into so many folds, whatever the catalogue says.")
]
Fold = Annotated[int, typer.Option(min=0, help="Which fold to validate on.")]


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
        about = f"{field.metadata['about']} Default: {field.default}."
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


@app.command()
def explore(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A folder in the contest's layout.")],
    folder: Folder = Path("nephoscope-explore"),
    strict: Annotated[bool, typer.Option("--strict", help="Stop at any problem in the labels.")] = False,
) -> None:
    """Report on labelled scenes: how often, how large, where, how bright, and what is wrong with them."""
    with needs("train"):
        from nephoscope.evaluation.report.exploration import write_report
    from nephoscope.datasets.dataset import read_dataset

    with plain_errors():
        dataset = read_dataset(data, strict=strict, progress=console.watch("reading labels"))
        path, numbers = write_report(dataset, folder, console.watch("measuring scenes"))
        console.explored(numbers)
        console.tell(str(path))


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
    start_from: Annotated[
        list[Path] | None,
        typer.Option(
            "--from",
            metavar="WEIGHTS",
            help="Begin from a run's best.safetensors, with its network and size; given several times, "
            "from the mean of the weights.",
        ),
    ] = None,
    teachers: Annotated[
        list[Path] | None,
        typer.Option(
            "--teacher",
            metavar="WEIGHTS",
            help="Weights whose answers are part of the target (--teacher-share); several for their mean. "
            "Default: those of --from.",
        ),
    ] = None,
    card: Annotated[
        Path | None,
        typer.Option(help="The card of the weights of --from and --teacher. Default: the one in each."),
    ] = None,
    **changes: Any,
) -> None:
    """Train a network on labelled scenes, make a model of it and calibrate it."""
    from nephoscope.datasets.dataset import label_file
    from nephoscope.training.settings import Settings

    with plain_errors():
        chosen = {name: value for name, value in changes.items() if value is not None}
        recipe = make_recipe(preset, **chosen)
        if data is not None:
            label_file(data)
        if resume is not None:
            Settings.read(resume)
            usual = (preset, folds, fold, track, device, strict) == ("default", None, 0, "", "auto", False)
            if chosen or start_from or teachers or card or not usual:
                refuse(
                    f"{resume}: a resumed run goes on as it began; DATA, if it moved, and --cache may be said"
                )
        elif data is None:
            refuse("name a folder of labelled scenes, or --resume RUN")
        if start_from and (own := NETWORK_ENTRIES & chosen.keys()):
            refuse(f"--{min(own).replace('_', '-')}: the weights of --from bring network and size")
        with needs("train"):
            from nephoscope.training import finish
            from nephoscope.training import run as running
            from nephoscope.training.tracking import parse_trackers
        how: dict[str, Any] = {"cache": cache, "say": console.tell, "watch": console.watch}
        run = resume or run
        try:
            if resume is not None:
                running.resume(run, data, **how)
            elif data is not None:
                trackers = parse_trackers(track)
                settings = Settings(
                    *(str(data.resolve()), recipe, folds, fold, strict, trackers, device, panel_every),
                    start_from=_absolute(start_from),
                    teachers=_absolute(teachers),
                    card=str(card.resolve()) if card else None,
                )
                running.begin(settings, run, **how)
        except KeyboardInterrupt:
            if Settings.exist(run):
                console.tell(f"nephoscope train --resume {run} goes on from the last whole epoch")
            raise
        if running.is_first_process():
            console.calibration(finish.finish(run, console.tell, console.watch))
            console.tell(f"use it: nephoscope segment SOURCE --model {run / finish.MODEL}")


def _absolute(paths: list[Path] | None) -> tuple[str, ...]:
    """Paths as a run keeps them, so that it can be resumed from anywhere."""
    return tuple(str(path.resolve()) for path in paths or ())


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
    with needs("train"):
        from nephoscope.training.calibration import calibrate as search_rules
        from nephoscope.training.calibration import calibrated, write_card
    from nephoscope.inference.model import Model, shipped

    if output is not None and output.is_dir():
        refuse(f"{output}: is a folder; -o FILE names the model file to write")
    if output is None and model in shipped():
        refuse(f"{model}: comes with nephoscope; -o FILE names the file for the calibrated one")
    with plain_errors():
        loaded = Model.load(model, threads=1)
        _, validation = _both_sides(data, folds, fold)
        found = search_rules(loaded, validation, console.watch("calibrating"))
        on = f"{found.scenes:,} validation scenes of {data.resolve().name}"
        write_card(model, calibrated(loaded.card, found, on), output or Path(model))
        console.calibration(found)
        console.tell(f"{output or model}")


@app.command()
def evaluate(
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="A model's name or file.", show_default=False)
    ] = None,
    data: Annotated[
        Path | None,
        typer.Argument(metavar="DATA", help="A folder in the contest's layout.", show_default=False),
    ] = None,
    csv: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            metavar="PREDICTED TRUTH", help="Score answers instead: two files in the contest's form."
        ),
    ] = None,
    folder: Folder = Path("nephoscope-evaluation"),
    part: Annotated[
        Literal["val", "train", "all"], typer.Option("--split", help="Of the scenes: val, train or all.")
    ] = "val",
    folds: Folds = None,
    fold: Fold = 0,
    tta: Annotated[bool, typer.Option("--tta", help="Mean over four mirror images.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Judge a model on labelled scenes, against baselines and against people; or score a file of answers."""
    if (csv is None) == (model is None) or (model is None) != (data is None):
        refuse("give MODEL and DATA, or --csv PREDICTED TRUTH")
    with plain_errors():
        if csv is not None:
            from nephoscope.evaluation.submission import evaluate_csv

            console.evaluation(evaluate_csv(*csv))
            return
        assert model is not None
        assert data is not None
        with needs("train"):
            from nephoscope.evaluation.report.evaluation import Options, write_report
        from nephoscope.core.io import available_cpus
        from nephoscope.datasets.dataset import read_dataset
        from nephoscope.inference.model import Model

        loaded = Model.load(model, threads=1, device=device)
        dataset = read_dataset(data, progress=console.watch("reading labels"))
        options = Options(part, folds, fold, tta, workers=available_cpus())
        path, numbers = write_report(loaded, dataset, folder, options, console.watch("judging scenes"))
        console.judged(numbers, loaded.card)
        console.tell(str(path))


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
    folds: Folds = None,
    fold: Fold = 0,
) -> None:
    """Make a model file of trained weights, and prove that it gives the same masks."""
    if output.is_dir():
        refuse(f"{output}: is a folder; -o FILE names the model file to write")
    with needs("train"):
        from nephoscope.training.export import export as write_model
    with plain_errors():
        parity = write_model(checkpoints, output, card_file=card, tta=tta)
        console.exported(output, parity)
        if int8 is not None:
            from nephoscope.training.quantization import quantise

            smaller = output.with_stem(f"{output.stem}-int8")
            training, validation = _both_sides(int8, folds, fold)
            console.quantised(smaller, *quantise(str(output), training, validation, smaller, tolerance))


def _both_sides(data: Path, folds: int | None = None, fold: int = 0) -> "tuple[Dataset, Dataset]":
    """Scenes to train on and to validate on."""
    from nephoscope.datasets.catalogue import split
    from nephoscope.datasets.dataset import read_dataset

    dataset = read_dataset(data, progress=console.watch("reading labels"))
    training, validation = split(dataset.records, folds, fold)
    return dataset.select(training), dataset.select(validation)
