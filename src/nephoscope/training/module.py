"""Training and validation steps for pytorch-lightning."""

import hashlib
import math
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from nephoscope.imagery.scene import NODATA_BRIGHTNESS
from nephoscope.training.augmentation import augment, degrade, mix_noise
from nephoscope.training.batches import Batch
from nephoscope.training.config import Recipe
from nephoscope.training.distillation import Teachers
from nephoscope.training.losses import make_loss
from nephoscope.training.networks import encoder_of, split_outputs
from nephoscope.training.validation import measure


class SegmentationModule(pl.LightningModule):
    """A network in training by a recipe.

    Args:
        recipe: of the run.
        network: see `networks.start`.
        normalisation: `mean` and `deviation` of red, green and blue: one number, or one a colour.
        classes: number of patterns.
        teachers: networks whose predictions are part of the target.
    """

    mean: Tensor
    deviation: Tensor
    bits: Tensor

    def __init__(
        self,
        recipe: Recipe,
        network: nn.Module,
        normalisation: dict[str, Any],
        classes: int,
        teachers: Teachers | None = None,
    ) -> None:
        super().__init__()
        self.recipe, self.teachers = recipe, teachers
        self.network = network.to(memory_format=torch.channels_last)
        if recipe.compile:
            self.network.compile()
        self.loss = make_loss(recipe)
        for name in ("mean", "deviation"):
            self.register_buffer(name, torch.tensor(normalisation[name]).reshape(-1, 1, 1), persistent=False)
        bits = (2 ** torch.arange(classes)).to(torch.uint8).reshape(1, -1, 1, 1)
        self.register_buffer("bits", bits, persistent=False)

    def forward(self, colours: Tensor) -> tuple[Tensor, Tensor | None]:
        """From red, green, blue, 0 to 1, shape (count, 3, height, width), to logits in single precision."""
        normalised = ((colours - self.mean) / self.deviation).contiguous(memory_format=torch.channels_last)
        masks, presence = split_outputs(self.network(normalised))
        return masks.float(), None if presence is None else presence.float()

    def on_train_epoch_start(self) -> None:
        """Freeze the statistics of batch normalisation, where the recipe asks for it."""
        if self.recipe.freeze_norm:
            for module in self.network.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Augment a batch; the loss against labels, or labels mixed with predictions of teachers."""
        generator = torch.Generator().manual_seed(self._step_seed(batch_idx))
        torch.manual_seed(self._step_seed(batch_idx))  # of dropout
        packed = batch.masks[:, None].float()
        colours, packed = augment(_colours(batch), packed, self.recipe, generator)
        truth = self._unpack(packed)
        if self.teachers is None:
            present = truth.amax((2, 3))
        else:
            truth, present = self.teachers.soften(colours, truth, self.recipe.teacher_share, generator)
        if self.recipe.degrade:
            colours = degrade(colours, self.recipe.degrade, generator)
        if self.recipe.noise:
            colours, truth, present = mix_noise(colours, truth, present, self.recipe.noise, generator)
        logits, presence = self(colours)
        parts = self.loss(logits, truth, presence, present)
        loss = torch.stack(list(parts.values())).sum()
        self.log_dict({f"train/{name}": part.detach() for name, part in parts.items()})
        self.log("train/loss", loss.detach())
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> Any:
        """`validation.Measured` of a batch, and the probabilities it was measured on."""
        logits, presence = self(_colours(batch))
        black = batch.pictures.amax(-1) <= NODATA_BRIGHTNESS  # no data, so no pattern, as in `segment`
        probabilities = logits.sigmoid() * ~black[:, None]
        presence = None if presence is None else presence.sigmoid()
        truth = self._unpack(batch.masks[:, None])
        return measure(probabilities, truth, presence, batch.indices), probabilities

    def configure_optimizers(self) -> Any:
        """AdamW with a learning rate of its own for the encoder, and the schedule of the recipe."""
        recipe = self.recipe
        encoder = {id(parameter) for parameter in encoder_of(self.network).parameters()}
        rates = {False: recipe.learning_rate, True: recipe.learning_rate * recipe.encoder_factor}
        groups = [
            {"params": [p for p in self.parameters() if (id(p) in encoder) is inside], "lr": rate}
            for inside, rate in rates.items()
        ]
        fused = self.device.type == "cuda"
        optimizer = torch.optim.AdamW(groups, weight_decay=recipe.weight_decay, fused=fused)
        scheduler = _scheduler(recipe, optimizer, int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _unpack(self, packed: Tensor) -> Tensor:
        """One mask a pattern, 0 or 1, from bits; from shape (count, 1, ...) to (count, patterns, ...)."""
        return (packed.to(torch.uint8) & self.bits).ne(0).float()

    def _step_seed(self, batch_idx: int) -> int:
        """The seed of a step: the same whenever it is repeated, so a resumed run needs no generator state."""
        facts = f"{self.recipe.seed} {self.current_epoch} {batch_idx} {self.global_rank}"
        return int.from_bytes(hashlib.sha256(facts.encode()).digest()[:7])


def _colours(batch: Batch) -> Tensor:
    return batch.pictures.permute(0, 3, 1, 2).float() / 255


def _scheduler(
    recipe: Recipe, optimizer: torch.optim.Optimizer, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    if recipe.schedule == "one-cycle":
        highest = [float(group["lr"]) for group in optimizer.param_groups]
        steps = max(3, steps)  # one up, one at the top, one down
        rising = min(max(recipe.warm_up, 1.5 / steps), 1 - 0.5 / steps)
        return torch.optim.lr_scheduler.OneCycleLR(optimizer, highest, total_steps=steps, pct_start=rising)
    up = max(1, round(recipe.warm_up * steps))

    def factor(step: int) -> float:
        if step < up:
            return (step + 1) / up
        return 0.5 + 0.5 * math.cos(math.pi * min(1.0, (step - up) / max(1, steps - up)))

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
