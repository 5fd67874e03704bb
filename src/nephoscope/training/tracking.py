"""Other people's trackers: W&B, TensorBoard, MLflow. Each follows the run's own log, and may be missing."""

import os
from collections.abc import Sequence
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from pytorch_lightning.loggers import MLFlowLogger, TensorBoardLogger, WandbLogger
from pytorch_lightning.loggers.logger import Logger

from nephoscope.core.errors import TrainingError
from nephoscope.core.types import Image

_LOCAL = ("csv", "jsonl")  # always there: asking for them changes nothing
_NEEDS = {  # module and package
    "wandb": ("wandb", "wandb"),
    "tensorboard": ("tensorboard", "tensorboard"),
    "mlflow": ("mlflow", "mlflow-skinny"),
}

PANEL = "validation_scenes"


def parse_trackers(text: str) -> tuple[str, ...]:
    """Names of trackers from a text with commas between them.

    Raises:
        TrainingError: an unknown name, or one whose library is not installed.
    """
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    known = (*_NEEDS, *_LOCAL)
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise TrainingError(f"--track {name}: no such tracker; {hint}")
        if name in _NEEDS and find_spec(_NEEDS[name][0]) is None:
            raise TrainingError(f"--track {name}: pip install {_NEEDS[name][1]}")
    return tuple(name for name in names if name in _NEEDS)


def make_trackers(names: Sequence[str], folder: Path, run_id: str, settings: dict[str, Any]) -> list[Logger]:
    """Start trackers, or go on with those of a run that was stopped.

    Args:
        names: of `parse_trackers`.
        folder: the run's; what trackers keep locally lies in it.
        run_id: the same when the run is resumed, so that it goes on where it was.
        settings: the recipe and what else describes the run.
    """
    loggers: list[Logger] = []
    for name in names:
        if name == "wandb":
            logger: Logger = _wandb(folder, run_id)
        elif name == "tensorboard":
            logger = TensorBoardLogger(folder, name="tensorboard", version="")
        else:
            logger = _mlflow(folder)
        logger.log_hyperparams(settings)
        loggers.append(logger)
    return loggers


def show(loggers: Sequence[Logger], picture: Image, step: int, caption: str) -> None:
    """Hand a picture to every tracker that takes pictures."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            logger.log_image(PANEL, [picture], step=step, caption=[caption])
        elif isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image(PANEL, np.asarray(picture), step, dataformats="HWC")
        elif isinstance(logger, MLFlowLogger):
            file = f"{PANEL}_{step:06d}.png"
            logger.experiment.log_image(logger.run_id, np.asarray(picture), artifact_file=file)


def _wandb(folder: Path, run_id: str) -> WandbLogger:
    """W&B: online when logged in, offline otherwise."""
    import wandb

    offline = os.environ.get("WANDB_MODE") == "offline" or not wandb.login(prompt=False, verify=False)
    # Begun here, since what Lightning would ask of W&B in its environment comes too late for it to hear.
    experiment = wandb.init(
        project="nephoscope",
        name=folder.name,
        dir=folder,
        id=run_id,
        resume="allow",
        mode="offline" if offline else "online",
    )
    return WandbLogger(experiment=experiment)


def _mlflow(folder: Path) -> MLFlowLogger:
    """MLflow: the server that `MLFLOW_TRACKING_URI` names, or files in the run's folder."""
    server = os.environ.get("MLFLOW_TRACKING_URI")
    if server is None:
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # the store that needs no database
    note = folder / "mlflow_run_id.txt"
    logger = MLFlowLogger(
        "nephoscope",
        run_name=folder.name,
        tracking_uri=server or (folder / "mlflow").absolute().as_uri(),
        run_id=note.read_text() if note.is_file() else None,
    )
    note.write_text(str(logger.run_id))
    return logger
