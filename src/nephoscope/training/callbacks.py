"""What happens around training: every epoch is judged, the best and the last are kept, the pace is told."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from nephoscope.core.errors import TrainingError
from nephoscope.core.io import atomic_write
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import Progress, ProgressFactory
from nephoscope.datasets.catalogue import group_kfold
from nephoscope.plotting.drawing import png
from nephoscope.training import panels, tracking
from nephoscope.training.batches import Batch
from nephoscope.training.cache import Scenes
from nephoscope.training.module import SegmentationModule
from nephoscope.training.run_log import RunLog
from nephoscope.training.validation import Measured, Result, concatenate, judge

DICE = "val/dice"
"""The figure that says which epoch is best: mean Dice, rules chosen on other days."""

_FOLDS = 10


class ValidationCallback(Callback):
    """Measures Dice over all validation scenes, draws some of them, and has the best weights kept.

    It must stand before the callback that averages weights: at the end of validation that one takes its
    averages away again, and they are what is judged and kept.

    Args:
        scenes: all scenes.
        validation: indices of those to validate on.
        folder: where panels go.
        every: draw a panel every so many epochs.
        keep: given the weights and the result of every epoch that is better than all before.
        seed: of the choice of scenes to draw.
    """

    def __init__(
        self,
        scenes: Scenes,
        validation: list[int],
        folder: Path,
        every: int,
        keep: Callable[[dict[str, Tensor], Result, int], None],
        seed: int,
    ) -> None:
        self.scenes, self.folder, self.every, self.keep = scenes, folder, every, keep
        groups = [scenes.records[index].group for index in sorted(validation)]
        self.folds = group_kfold(groups, min(_FOLDS, len(set(groups))))
        self.drawn = panels.choose(validation, seed)
        self.best = -1.0
        self._measured: list[Measured] = []
        self._shown: dict[int, tuple[NDArray[np.float32], NDArray[np.float32] | None]] = {}

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run must know: the best so far."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what was the best so far."""
        self.best = state_dict["best"]

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, *_: Any
    ) -> None:
        """Keep what was measured, and the probabilities of the scenes to draw."""
        measured, probabilities = outputs
        self._measured.append(measured)
        for place, index in enumerate(batch.indices.tolist()):
            if index in self.drawn:
                head = None if measured.head is None else measured.head[place].float().cpu().numpy()
                self._shown[index] = probabilities[place].float().cpu().numpy(), head

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """ValidationCallback all scenes of all processes together."""
        parts, self._measured = _from_all(self._measured), []
        shown = {index: answer for some in _from_all([self._shown]) for index, answer in some.items()}
        self._shown = {}
        measured = concatenate(parts)
        if not measured.scores.isfinite().all():
            raise TrainingError(
                f"after epoch {trainer.current_epoch + 1} the network gives no numbers any more: "
                "try a lower --learning-rate, or --precision fp32"
            )
        result = judge(measured, self.folds)
        mean = float(np.mean(list(result.dice.values())))
        values = {f"{DICE}_{name}": result.dice[name] for name in DEFAULT_NAMES}
        values |= {DICE: mean, "val/dice_seen": float(np.mean(list(result.seen.values())))}
        values["val/scenes"] = float(len(measured.indices))
        pl_module.log_dict(values, sync_dist=False, rank_zero_only=False)
        if mean > self.best:
            self.best = mean
            if trainer.is_global_zero:
                assert isinstance(pl_module, SegmentationModule)
                weights = {
                    name: value.detach().cpu() for name, value in pl_module.network.state_dict().items()
                }
                self.keep(weights, result, trainer.current_epoch + 1)
        epoch = trainer.current_epoch + 1
        if trainer.is_global_zero and (epoch % self.every == 0 or epoch == trainer.max_epochs):
            self._draw(trainer, shown, result, f"epoch {epoch}, validation Dice {mean:.3f}", epoch)

    def _draw(
        self, trainer: pl.Trainer, shown: dict[int, Any], result: Result, title: str, epoch: int
    ) -> None:
        picture = panels.draw(
            [self.scenes.pictures[index] for index in self.drawn],
            [self.scenes.masks[index] for index in self.drawn],
            [shown[index][0] for index in self.drawn],
            [shown[index][1] for index in self.drawn],
            [self.scenes.records[index] for index in self.drawn],
            result.rules,
            title,
        )
        atomic_write(self.folder / f"epoch_{epoch:03d}.png", png(picture))
        tracking.show(trainer.loggers, picture, trainer.global_step, title)


def _from_all(mine: list[Any]) -> list[Any]:
    """The same lists of all processes, one after the other."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return mine
    theirs: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(theirs, mine)
    return [entry for some in theirs for entry in some]


class KeepLast(Callback):
    """Writes what a stopped run needs to go on, after every epoch: whole, or the one before stays.

    Args:
        path: the checkpoint.
        log: the run's own; a resumed run goes on where it was when the checkpoint was written.
    """

    def __init__(self, path: Path, log: RunLog) -> None:
        self.path, self.run_log = path, log

    def state_dict(self) -> dict[str, Any]:
        """How long the log is."""
        return {"log_size": self.run_log.size}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Cut the log back to that."""
        self.run_log.cut(state_dict["log_size"])

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save beside the last checkpoint, then take its name."""
        neighbour = self.path.with_name(f".{self.path.name}.part")
        trainer.save_checkpoint(neighbour)
        if trainer.is_global_zero:
            with neighbour.open("rb") as file:
                os.fsync(file.fileno())
            neighbour.replace(self.path)


class ThroughputMonitor(Callback):
    """Logs how many scenes a second are trained on, and tells of every epoch in a line.

    Args:
        say: told the line.
        watch: gives progress for each epoch.
        batch: scenes a step, over all processes.
    """

    def __init__(self, say: Callable[[str], None], watch: ProgressFactory, batch: int) -> None:
        self.say, self.watch, self.batch = say, watch, batch
        self._begun = self._epoch_begun = self._training = 0.0
        self._steps = self._first_epoch = 0
        self._losses: list[Tensor] = []
        self._progress: Progress = lambda *_: None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remember when, and at which epoch, this process began."""
        self._begun, self._first_epoch = time.perf_counter(), trainer.current_epoch

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remember when."""
        self._epoch_begun, self._steps = time.perf_counter(), trainer.global_step
        self._losses = []
        self._progress = self.watch(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}")

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_: Any
    ) -> None:
        """Keep the loss where it is: fetching it would make the device wait."""
        self._losses.append(outputs["loss"].detach())
        self._progress(len(self._losses), int(trainer.num_training_batches))

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Training has stopped its clock."""
        self._training = time.perf_counter() - self._epoch_begun

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the rate of the epoch."""
        rate = (trainer.global_step - self._steps) * self.batch / max(1e-9, self._training)
        loss = torch.stack(self._losses).mean().item()
        for logger in trainer.loggers:
            values = {"train/mean_loss": loss, "scenes_per_second": round(rate, 2)}
            logger.log_metrics(values, step=trainer.global_step)
            logger.save()
        done = trainer.current_epoch + 1
        took = (time.perf_counter() - self._begun) / (done - self._first_epoch)
        metrics, left = trainer.callback_metrics, took * ((trainer.max_epochs or done) - done)
        if trainer.is_global_zero:
            by_pattern = "  ".join(f"{name} {metrics[f'{DICE}_{name}']:.3f}" for name in DEFAULT_NAMES)
            self.say(
                f"epoch {done}/{trainer.max_epochs}  loss {loss:.3f}  "
                f"val Dice {metrics[DICE]:.4f}  {by_pattern}  {rate:.1f} scenes/s  {_minutes(left)} left"
            )


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
