"""Experiment trackers: W&B, TensorBoard, MLflow. Each follows the run's own log, and is optional."""

import os
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from pytorch_lightning.loggers import MLFlowLogger, TensorBoardLogger, WandbLogger
from pytorch_lightning.loggers.logger import Logger

from nephoscope.core.errors import MissingExtraError, TrainingError
from nephoscope.core.extras import install_command, missing_modules
from nephoscope.core.types import Image

_LOCAL = ("csv", "jsonl")  # always written
_TRACKERS = ("wandb", "tensorboard", "mlflow")  # each has an extra of its name

PANEL = "validation_scenes"


def parse_trackers(text: str) -> tuple[str, ...]:
    """Names of trackers from a comma-separated text.

    Raises:
        TrainingError: an unknown name.
        MissingExtraError: a tracker's library is not installed.
    """
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    known = (*_TRACKERS, *_LOCAL)
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"available: {', '.join(known)}"
            raise TrainingError(f"unknown --track {name!r}; {hint}")
        if name in _TRACKERS and missing_modules(name):
            raise MissingExtraError(f"--track {name}: {name} is missing: {install_command(name)}")
    return tuple(name for name in names if name in _TRACKERS)


def make_trackers(names: Sequence[str], folder: Path, run_id: str, settings: dict[str, Any]) -> list[Logger]:
    """Start trackers, or continue those of a stopped run, with their files in its folder."""
    loggers: list[Logger] = []
    for name in names:
        if name == "wandb":
            loggers.append(_wandb(folder, run_id))
        elif name == "tensorboard":
            loggers.append(TensorBoardLogger(folder, name="tensorboard", version=""))
        else:
            loggers.append(_mlflow(folder))
        loggers[-1].log_hyperparams(settings)
    return loggers


def log_image(loggers: Sequence[Logger], picture: Image, step: int, caption: str) -> None:
    """Log a picture with every tracker that takes pictures."""
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
    # Initialised here: Lightning would set the environment of W&B too late.
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
    """MLflow: the server of `MLFLOW_TRACKING_URI`, or files in the folder of the run."""
    server = os.environ.get("MLFLOW_TRACKING_URI")
    if server is None:
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # the store that needs no database
    id_file = folder / "mlflow_run_id.txt"
    logger = MLFlowLogger(
        "nephoscope",
        run_name=folder.name,
        tracking_uri=server or (folder / "mlflow").absolute().as_uri(),
        run_id=id_file.read_text() if id_file.is_file() else None,
    )
    id_file.write_text(str(logger.run_id))
    return logger
