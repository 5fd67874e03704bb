"""From a run's best weights to a model that knows its rules."""

from collections.abc import Callable
from pathlib import Path

from nephoscope.core.types import ProgressFactory
from nephoscope.datasets.catalogue import split
from nephoscope.datasets.dataset import read_dataset
from nephoscope.inference.model import Model
from nephoscope.training.calibration import Calibration, calibrate, calibrated, write_card
from nephoscope.training.checkpoint import load_weights, save_weights
from nephoscope.training.export import export
from nephoscope.training.run import BEST
from nephoscope.training.settings import Settings

MODEL = "model.onnx"


def finish(
    run: Path, say: Callable[[str], None] = lambda _: None, watch: ProgressFactory = lambda _: lambda *_: None
) -> Calibration:
    """Export a run's best weights as `model.onnx` and calibrate it on the run's validation scenes.

    Args:
        run: the run's folder.
        say: told each step.
        watch: gives progress for each part of the work.

    Raises:
        TrainingError: the model does not answer as the network does.
        TrainingError: no run there.
    """
    settings = Settings.read(run)
    path = run / MODEL
    parity = export([run / BEST], path)
    weights, card = load_weights(run / BEST)
    say(
        f"{path}: epoch {card.training['epoch']} of {settings.recipe.epochs}, the best; "
        f"parity with PyTorch: probabilities within {parity.largest:.1e}"
    )
    dataset = read_dataset(settings.data, progress=watch("reading labels"))
    _, validation = split(dataset.records, settings.folds, settings.fold)
    model = Model.load(path, threads=1)
    found = calibrate(model, dataset.select(validation), watch("calibrating"))
    on = f"{found.scenes:,} validation scenes"
    write_card(str(path), calibrated(model.card, found, on), path)
    save_weights(run / BEST, weights, calibrated(card, found, on))  # so that `export` gives the same model
    return found
