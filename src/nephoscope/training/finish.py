"""From the best weights of a run to a calibrated model, with scores before and after training."""

from collections.abc import Callable, Sequence
from pathlib import Path

from nephoscope.core.types import ProgressFactory
from nephoscope.datasets.catalogue import Record
from nephoscope.datasets.dataset import Dataset, read_dataset
from nephoscope.datasets.splits import folds_for, split
from nephoscope.inference.model import Model
from nephoscope.training.calibration import Calibration, calibrate, calibrated, write_card
from nephoscope.training.checkpoint import load_weights, save_weights
from nephoscope.training.export import export
from nephoscope.training.job import BEST
from nephoscope.training.kept_rules import too_few
from nephoscope.training.scores import score_finish
from nephoscope.training.settings import Settings

MODEL = "model.onnx"


def finish(
    run: Path,
    log: Callable[[str], None] = lambda _: None,
    progress: ProgressFactory = lambda _: lambda *_: None,
) -> Calibration | None:
    """Export the best weights of a run as `model.onnx` and calibrate it on the run's validation scenes.

    Where these are too few, validation scenes of `--replay` are added. A run that started from weights is
    scored as before its training (`scores`).

    Returns:
        The calibration; None where the rules of the starting model are kept (`kept_rules`).

    Raises:
        TrainingError: the folder has no run, or the model differs from the network.
    """
    settings = Settings.read(run)
    path = run / MODEL
    parity = export([run / BEST], path)
    weights, card = load_weights(run / BEST)
    log(
        f"{path}: epoch {card.training['epoch']} of {settings.recipe.epochs}, the {settings.recipe.keep}; "
        f"parity with PyTorch: probabilities within {parity.largest:.1e}"
    )
    whole = read_dataset(settings.data, progress=progress("reading labels"))
    training, validation = split(whole.records, settings.split)
    dataset, older = whole.select(validation), None
    if settings.replay and too_few(dataset.records):
        older = _older_validation(settings.replay, [whole.records[index] for index in training])
    model, calibration = Model.load(path, threads=1), None
    if settings.start_from and too_few([*dataset.records, *(older.records if older else ())]):
        log(f"rules {card.training['rules']}")
    else:
        calibration = calibrate(model, dataset, progress, older)
        on = f"{calibration.scenes:,} validation scenes"
        if older:
            on += f", {len(dataset.records):,} of {dataset.folder.name} and the others of {older.folder.name}"
        write_card(str(path), calibrated(model.card, calibration, on), path)
        # The weights get the same card, so that `export` makes the same model.
        save_weights(run / BEST, weights, calibrated(card, calibration, on))
    if settings.start_from:
        score_finish(Model.load(path, threads=1), settings, run, progress)
    return calibration


def _older_validation(folder: str, training: Sequence[Record]) -> Dataset:
    """Validation scenes of `--replay`, without days and names that the run was trained on."""
    dataset = read_dataset(folder)
    groups, images = {record.group for record in training}, {record.image for record in training}
    _, validation = split(dataset.records, folds_for(dataset.records))
    return dataset.select(
        [
            index
            for index in validation
            if dataset.records[index].group not in groups and dataset.records[index].image not in images
        ]
    )
