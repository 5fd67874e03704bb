"""The mean of the weights in training and of those that a run starts from, to be validated and kept.

It remembers more of what the starting model knew than the weights in training do.

Source: Wortsman et al. 2022, Robust fine-tuning of zero-shot models, arXiv:2109.01903.
"""

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from nephoscope.training.checkpoint import Weights
from nephoscope.training.module import SegmentationModule

START_SHARE = 0.5
"""Weight of the starting model in the mean."""


class MeanWithStart(Callback):
    """Puts the mean into the network for the time of validation.

    Among the callbacks it comes after the one that keeps weights at the end of validation, and before the one
    that puts moving averages in place: their mean with the start is validated, and they are put back before
    that one takes them away.

    Args:
        start: all weights of the network at the start of the run, in single precision.
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
