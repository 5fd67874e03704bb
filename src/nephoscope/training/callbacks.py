"""Callbacks of training: validation, checkpoints, and the messages of a run."""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from nephoscope.core.errors import TrainingError
from nephoscope.core.io import atomic_write
from nephoscope.core.patterns import styled_patterns
from nephoscope.core.types import Progress
from nephoscope.datasets.dataset import unpack_masks
from nephoscope.datasets.splits import group_kfold
from nephoscope.plotting.drawing import png
from nephoscope.training import panels, tracking
from nephoscope.training.batches import Batch
from nephoscope.training.checkpoint import Weights, save_weights
from nephoscope.training.job import BEST, PANELS, Job
from nephoscope.training.module import SegmentationModule
from nephoscope.training.run_log import RunLog
from nephoscope.training.validation import Measured, ValidationResult, concatenate, search_rules

DICE = "val/dice"
"""The figure that decides which epoch is best: mean Dice under rules chosen on other days."""

_FOLDS = 10

START_SHARE = 0.5
"""Weight of the starting model in the mean."""


class ValidationCallback(Callback):
    """Measures Dice over all validation scenes, draws some of them, and keeps the best or last weights.

    It must precede the callback that averages weights: at the end of validation that one removes its
    averages, and they are what is validated and kept.
    """

    def __init__(self, job: Job) -> None:
        self.job, self.scenes = job, job.scenes
        groups = [self.scenes.records[index].group for index in sorted(job.validation)]
        self.folds = group_kfold(groups, min(_FOLDS, len(set(groups))))
        self._dice: dict[int, list[float]] = {}  # by scene, under kept rules
        self.drawn = panels.choose(job.validation, job.settings.recipe.seed)
        self.best = -1.0
        self._measured: list[Measured] = []
        self._shown: dict[int, tuple[Any, Any]] = {}

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"]

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, *_: Any
    ) -> None:
        """Keep the measures of a batch, and the probabilities of the scenes to draw."""
        measured, probabilities = outputs
        self._measured.append(measured)
        kept = self.job.kept
        for position, index in enumerate(batch.indices.tolist()):
            if kept is None and index not in self.drawn:
                continue
            head = None if measured.presence is None else measured.presence[position].float().cpu().numpy()
            fields = probabilities[position].float().cpu().numpy()
            if kept is not None:
                fields = kept.calibrated(fields)
                truth = unpack_masks(self.scenes.masks[index], len(self.scenes.patterns))
                self._dice[index] = kept.dice(fields, head, truth)
            if index in self.drawn:
                self._shown[index] = fields, head

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Search rules on the scenes of all processes, or keep them; log Dice, keep weights, draw a panel."""
        measured = concatenate(_gather(self._measured))
        shown = {index: fields for part in _gather([self._shown]) for index, fields in part.items()}
        self._measured, self._shown = [], {}
        epoch = trainer.current_epoch + 1
        if not measured.scores.isfinite().all():
            raise TrainingError(
                f"after epoch {epoch} the outputs of the network are not finite: "
                "try a lower --learning-rate, or --precision fp32"
            )
        result = self._result(measured)
        mean = float(np.mean(list(result.dice.values())))
        values = {f"{DICE}_{name}": dice for name, dice in result.dice.items()}
        values |= {DICE: mean, "val/dice_seen": float(np.mean(list(result.in_sample_dice.values())))}
        values["val/scenes"] = float(len(measured.indices))
        pl_module.log_dict(values, sync_dist=False, rank_zero_only=False)
        better, self.best = mean > self.best, max(mean, self.best)
        if not trainer.is_global_zero:
            return
        if better or self.job.settings.recipe.keep == "last":
            assert isinstance(pl_module, SegmentationModule)
            state = pl_module.network.state_dict()
            weights = {name: value.detach().cpu() for name, value in state.items()}
            save_weights(self.job.run / BEST, weights, self.job.card(result, epoch))
        if epoch % self.job.settings.panel_every == 0 or epoch == trainer.max_epochs:
            self._draw(trainer, shown, result, f"epoch {epoch}, validation Dice {mean:.3f}")

    def _result(self, measured: Measured) -> ValidationResult:
        kept, patterns = self.job.kept, self.scenes.patterns
        if kept is None:
            return search_rules(measured, self.folds, patterns)
        rows = {index: row for part in _gather([self._dice]) for index, row in part.items()}
        self._dice = {}
        means = np.mean([rows[index] for index in sorted(rows)], axis=0).tolist()
        dice = dict(zip(patterns, means, strict=True))
        return ValidationResult(kept.rules, dice, dice)

    def _draw(
        self, trainer: pl.Trainer, shown: dict[int, tuple[Any, Any]], result: ValidationResult, title: str
    ) -> None:
        records, pictures, masks = self.scenes.records, self.scenes.pictures, self.scenes.masks
        scenes = [
            panels.Scene(records[index].image, pictures[index], masks[index], *shown[index])
            for index in self.drawn
        ]
        patterns = styled_patterns(self.scenes.patterns, self.scenes.styles)
        picture = panels.draw(scenes, patterns, result.rules, title)
        atomic_write(self.job.run / PANELS / f"epoch_{trainer.current_epoch + 1:03d}.png", png(picture))
        tracking.log_image(trainer.loggers, picture, trainer.global_step, title)


def _gather(values: list[Any]) -> list[Any]:
    """Concatenate the lists of all processes."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return values
    gathered: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(gathered, values)
    return [value for part in gathered for value in part]


class MeanWithStart(Callback):
    """Validates the mean of the weights in training and of those that the run starts from, which is kept.

    It remembers more of what the starting model knew than the weights in training do. Among the callbacks it
    comes after `ValidationCallback`, which keeps the mean, and before the one that averages weights: the
    averages are put back before that one removes them.

    Args:
        start: all weights of the network at the start of the run, in single precision.

    Source: Wortsman et al. 2022, Robust fine-tuning of zero-shot models, arXiv:2109.01903.
    """

    def __init__(self, start: Weights) -> None:
        self.start = {name: value.clone() for name, value in start.items() if value.is_floating_point()}
        self._trained: dict[str, Tensor] = {}

    @torch.no_grad()
    def on_validation_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int, *_: Any
    ) -> None:
        """Before the first batch: every callback has begun validation by then."""
        if batch_idx > 0:
            return
        for name, value in _weights(pl_module).items():
            if name in self.start:
                self._trained[name] = value.clone()
                value.lerp_(self.start[name].to(value.device), START_SHARE)

    @torch.no_grad()
    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for name, value in _weights(pl_module).items():
            if name in self._trained:
                value.copy_(self._trained[name])
        self._trained = {}


def _weights(pl_module: pl.LightningModule) -> Weights:
    assert isinstance(pl_module, SegmentationModule)
    return pl_module.network.state_dict()


class KeepLast(Callback):
    """Writes the checkpoint that a run resumes from after every epoch, atomically.

    A resumed run truncates the log to its length at the checkpoint.
    """

    def __init__(self, path: Path, log: RunLog) -> None:
        self.path, self.run_log = path, log

    def state_dict(self) -> dict[str, Any]:
        return {"log_size": self.run_log.size}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.run_log.cut(state_dict["log_size"])

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        neighbour = self.path.with_name(f".{self.path.name}.part")
        trainer.save_checkpoint(neighbour)
        if trainer.is_global_zero:
            with neighbour.open("rb+") as file:
                os.fsync(file.fileno())
            neighbour.replace(self.path)


class ThroughputMonitor(Callback):
    """Logs the training rate in scenes a second, and a line an epoch."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._begun = self._epoch_begun = self._training = 0.0
        self._steps = self._first_epoch = 0
        self._losses: list[Tensor] = []
        self._progress: Progress = lambda *_: None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._begun, self._first_epoch = time.perf_counter(), trainer.current_epoch

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._epoch_begun, self._steps = time.perf_counter(), trainer.global_step
        self._losses = []
        self._progress = self.job.progress(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}")

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_: Any
    ) -> None:
        self._losses.append(outputs["loss"].detach())  # stays on its device: to copy it would synchronise
        self._progress(len(self._losses), int(trainer.num_training_batches))

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._training = time.perf_counter() - self._epoch_begun

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        steps = trainer.global_step - self._steps
        rate = steps * self.job.settings.recipe.batch / max(1e-9, self._training)
        loss = torch.stack(self._losses).mean().item()
        for logger in trainer.loggers:
            values = {"train/mean_loss": loss, "scenes_per_second": round(rate, 2)}
            logger.log_metrics(values, step=trainer.global_step)
            logger.save()
        if trainer.is_global_zero:
            done, epochs, metrics = trainer.current_epoch + 1, trainer.max_epochs, trainer.callback_metrics
            seconds = (time.perf_counter() - self._begun) / (done - self._first_epoch)
            left = seconds * ((epochs or done) - done)
            patterns = self.job.scenes.patterns
            by_pattern = "  ".join(f"{name} {metrics[f'{DICE}_{name}']:.3f}" for name in patterns)
            self.job.log(
                f"epoch {done}/{epochs}  loss {loss:.3f}  val Dice {metrics[DICE]:.4f}  {by_pattern}  "
                f"{rate:.1f} scenes/s  {f'{left:.0f} s' if left < 90 else f'{left / 60:.0f} min'} left"
            )
