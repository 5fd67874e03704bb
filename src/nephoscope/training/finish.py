"""From the best weights of a run to a calibrated model, with scores before and after training."""

from collections.abc import Callable
from pathlib import Path

from nephoscope.core.types import ProgressFactory
from nephoscope.datasets.dataset import read_dataset
from nephoscope.datasets.splits import split
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

    A run that started from weights is scored as before its training (`scores`).

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
    dataset = read_dataset(settings.data, progress=progress("reading labels"))
    _, validation = split(dataset.records, settings.split)
    model, calibration = Model.load(path, threads=1), None
    if settings.start_from and too_few([dataset.records[index] for index in validation]):
        log(f"rules {card.training['rules']}")
    else:
        calibration = calibrate(model, dataset.select(validation), progress)
        on = f"{calibration.scenes:,} validation scenes"
        write_card(str(path), calibrated(model.card, calibration, on), path)
        # The weights get the same card, so that `export` makes the same model.
        save_weights(run / BEST, weights, calibrated(card, calibration, on))
    if settings.start_from:
        score_finish(Model.load(path, threads=1), settings, run, progress)
    return calibration
