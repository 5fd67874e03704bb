"""The commands `train`, `calibrate` and `export`."""

import dataclasses
from collections.abc import Callable
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from nephoscope.cli import console, figures, options
from nephoscope.cli.app import app, fail, needs, usage_errors
from nephoscope.datasets.splits import Folds
from nephoscope.training.config import FEW, NETWORK_ENTRIES, PRESETS, Recipe, make_recipe
from nephoscope.training.settings import Settings

if TYPE_CHECKING:
    from nephoscope.datasets.dataset import Dataset


StartFrom = Annotated[
    list[Path] | None,
    Option(
        "--from",
        metavar="MODEL|RUN|FILE",
        help="Start from a model's weights (a name, .onnx or .safetensors) or a run's, with its network, "
        "its size unless --size is given, and its patterns of the same names; repeat to average several.",
    ),
]
Teachers = Annotated[
    list[Path] | None,
    Option(
        "--teacher",
        metavar="MODEL|RUN|FILE",
        help="Weights of a teacher (see --teacher-share); repeat for the mean of several. "
        "Default: those of --from.",
    ),
]


Replay = Annotated[
    Path | None,
    Option(
        metavar="DATA2",
        help="With --from: older labelled scenes, whose training scenes are part of every step "
        "(--replay-share), so that they are not forgotten.",
    ),
]


def recipe_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for every entry of a recipe; None stands for the preset's value."""
    own = signature(command, eval_str=True)
    parameters = [each for each in own.parameters.values() if each.kind is not Parameter.VAR_KEYWORD]
    for field in dataclasses.fields(Recipe):
        option = Option(
            help=f"{field.metadata['about']} Default: {field.default}.",
            show_default=False,
            rich_help_panel="Recipe, with the default preset's values",
        )
        parameter = Parameter(field.name, Parameter.KEYWORD_ONLY, default=None)
        parameters.append(parameter.replace(annotation=Annotated[type(field.default) | None, option]))
    command.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in parameters} | {"return": None}
    return command


@app.command()
@recipe_options
def train(
    data: options.OptionalData = None,
    run: Annotated[Path, Option("--output", "-o", help="The run folder to write.")] = Path("nephoscope-run"),
    resume: Annotated[Path | None, Option(metavar="RUN", help="Resume an interrupted run.")] = None,
    preset: Annotated[
        str | None,
        Option(
            help=f"One of {', '.join(PRESETS)}; options override its values. "
            f"Default: {FEW} with --from, else default.",
            show_default=False,
        ),
    ] = None,
    folds: options.Folds = None,
    fold: options.Fold = 0,
    fold_by: options.FoldBy = "day",
    track: Annotated[
        str, Option(help="Comma-separated list of wandb, tensorboard, mlflow, beside CSV and JSON.")
    ] = "",
    panel_every: Annotated[
        int, Option(min=1, help="Draw eight validation scenes every this many epochs.")
    ] = 2,
    device: options.TrainingDevice = "auto",
    cache: Annotated[Path | None, Option(help="Folder of decoded scenes.")] = None,
    strict: options.Strict = False,
    start_from: StartFrom = None,
    teachers: Teachers = None,
    card: Annotated[
        Path | None, Option(help="Card of the weights of --from and --teacher. Default: the one in each.")
    ] = None,
    replay: Replay = None,
    **changes: Any,
) -> None:
    """Train a network on labelled scenes, export it as a model and calibrate its rules."""
    from nephoscope.datasets.dataset import label_file

    with usage_errors():
        entries = {name: value for name, value in changes.items() if value is not None}
        recipe = make_recipe(preset or (FEW if start_from else "default"), **entries)
        if data is not None:
            label_file(data)
        if resume is not None:
            Settings.read(resume)
            given = (preset, folds, fold, fold_by, track, device, strict, start_from, teachers, card, replay)
            if entries or any(given[6:]) or given[:6] != (None, None, 0, "day", "", "auto"):
                fail(f"{resume}: a resumed run keeps its options; only DATA and --cache may be given")
            _train(resume, data, None, cache)
            return
        if data is None:
            fail("name a folder of labelled scenes, or --resume RUN")
        if start_from and (own := NETWORK_ENTRIES & entries.keys()):
            fail(f"--{min(own).replace('_', '-')}: the network comes from the weights of --from")
        with needs("train"):
            from nephoscope.training.tracking import parse_trackers
        settings = Settings(
            *(str(data.resolve()), recipe, folds, fold, fold_by),
            *(strict, parse_trackers(track), device, panel_every),
            start_from=_weights(start_from),
            teachers=_weights(teachers),
            card=str(card.resolve()) if card else None,
            own_size="size" in entries,
            replay=str(replay.resolve()) if replay else None,
        )
        _train(run, data, settings, cache)


def _train(run: Path, data: Path | None, settings: Settings | None, cache: Path | None) -> None:
    """Begin a run, or resume it if there are no settings; then export and calibrate."""
    with needs("train"):
        from nephoscope.training import finish
        from nephoscope.training import run as training
        from nephoscope.training.checkpoint import load_weights
        from nephoscope.training.devices import is_first_process
        from nephoscope.training.job import BEST
        from nephoscope.training.scores import read_scores

    reporting: dict[str, Any] = {"cache": cache, "log": console.info, "progress": console.progress_bar}
    try:
        if settings is None:
            training.resume(run, data, **reporting)
        else:
            training.begin(settings, run, **reporting)
    except KeyboardInterrupt:
        if Settings.exist(run):
            console.info(f"'nephoscope train --resume {run}' resumes from the last complete epoch")
        raise
    if is_first_process():
        if calibration := finish.finish(run, console.info, console.progress_bar):
            figures.print_calibration(calibration)
        if scores := read_scores(run):
            figures.print_scores(scores, load_weights(run / BEST)[1])
        console.info(f"use it: nephoscope segment SOURCE --model {run / finish.MODEL}")


def _weights(given: list[Path] | None) -> tuple[str, ...]:
    """Files of weights of models, runs and files, absolute, so that a run can be resumed from any folder."""
    with needs("train"):
        from nephoscope.training.job import BEST
    from nephoscope.inference.model_files import model_files

    named = model_files()
    files = (named.get(str(path), path / BEST if path.is_dir() else path) for path in given or ())
    return tuple(str(path.resolve()) for path in files)


@app.command()
def calibrate(
    model: Annotated[str, Argument(help="Name or file of a model.")],
    data: options.Data,
    output: Annotated[
        Path | None, Option("--output", "-o", help="The file to write. Default: the model itself.")
    ] = None,
    folds: options.Folds = None,
    fold: options.Fold = 0,
    fold_by: options.FoldBy = "day",
) -> None:
    """Calibrate a model's probabilities and search its rules on validation scenes; write them into it."""
    with needs("train"):
        from nephoscope.training.calibration import calibrate as search_rules
        from nephoscope.training.calibration import calibrated, write_card
    from nephoscope.inference.model import Model
    from nephoscope.inference.model_files import model_file, shipped

    _check_output(output)
    if output is None and model in shipped():
        fail(f"{model}: built-in models are not overwritten; -o FILE names the model file to write")
    with usage_errors():
        loaded = Model.load(model, threads=1)
        _, validation = _split(data, Folds(folds, fold, fold_by))
        result = search_rules(loaded, validation, console.progress_bar)
        on = f"{result.scenes:,} validation scenes of {data.resolve().name}"
        write_card(model, calibrated(loaded.card, result, on), output or model_file(model))
        figures.print_calibration(result)
        console.info(f"{output or model}")


@app.command()
def export(
    checkpoints: Annotated[
        list[Path], Argument(metavar="CHECKPOINT...", help="Trained weights; several are averaged.")
    ],
    card: Annotated[Path | None, Option(help="The model's card, as JSON. Default: from the weights.")] = None,
    output: options.OutputFile = Path("model.onnx"),
    tta: Annotated[bool, Option("--tta", help="Build the mean over mirror images into the model.")] = False,
    int8: Annotated[
        Path | None, Option(metavar="DATA", help="Also quantize to 8 bits if Dice on these scenes is kept.")
    ] = None,
    tolerance: Annotated[float, Option(min=0, help="Largest loss of mean Dice by --int8.")] = 0.005,
    folds: options.Folds = None,
    fold: options.Fold = 0,
    fold_by: options.FoldBy = "day",
) -> None:
    """Export trained weights as a model file, and check that it gives the same masks."""
    _check_output(output)
    with needs("train"):
        from nephoscope.training.export import export as write_model
    with usage_errors():
        parity = write_model(checkpoints, output, card_file=card, tta=tta)
        figures.print_export(output, parity)
        if int8 is not None:
            from nephoscope.training.quantization import quantise

            smaller = output.with_stem(f"{output.stem}-int8")
            dice = quantise(str(output), *_split(int8, Folds(folds, fold, fold_by)), smaller, tolerance)
            figures.print_quantization(smaller, *dice)


def _check_output(output: Path | None) -> None:
    if output is not None and output.is_dir():
        fail(f"{output}: is a folder; -o FILE names the model file to write")


def _split(data: Path, folds: Folds) -> "tuple[Dataset, Dataset]":
    """Read labelled scenes and split them into training and validation."""
    from nephoscope.datasets.dataset import read_dataset
    from nephoscope.datasets.splits import split

    dataset = read_dataset(data, progress=console.progress_bar("reading labels"))
    training, validation = split(dataset.records, folds)
    return dataset.select(training), dataset.select(validation)
