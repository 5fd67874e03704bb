"""What a training run does, in numbers and names: one recipe, and presets of it.

Knows no PyTorch, so that the command can show its options at once.
"""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

from nephoscope.core.errors import TrainingError

Schedule = Literal["one-cycle", "cosine"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]


class Loss(NamedTuple):
    """A loss that a recipe can name.

    Attributes:
        function: takes logits and targets, shape (count, patterns, height, width), each pattern's target
            presence, shape (count, patterns), and the recipe. Returns a tensor of one number, or several by
            name, which are added. Its path as `module:name` where importing it needs PyTorch.
        soft_targets: whether targets may lie between 0 and 1, as teachers' predictions do.
    """

    function: Callable[..., Any] | str
    soft_targets: bool = False


LOSSES: dict[str, Loss] = {
    "bce+dice": Loss("nephoscope.training.losses:bce_dice", soft_targets=True),
    "dice": Loss("nephoscope.training.losses:dice", soft_targets=True),
    "bce": Loss("nephoscope.training.losses:bce", soft_targets=True),
    "focal": Loss("nephoscope.training.losses:focal_loss"),
    "lovasz": Loss("nephoscope.training.losses:lovasz_loss"),
}
"""Losses by the name that `--loss` gives. Other packages may add rows."""

NETWORK_ENTRIES = frozenset({"arch", "encoder", "encoder_weights", "unpooling", "presence_head", "size"})
"""Entries that weights to begin with decide, in place of the recipe."""


def _option(default: Any, about: str) -> Any:
    return dataclasses.field(default=default, metadata={"about": about})


@dataclass(frozen=True)
class Recipe:
    """All that decides how a network is trained. Each entry's `about` says what it is.

    Raises:
        TrainingError: an entry that cannot be.
    """

    arch: str = _option(
        "fpn", "vgg19-segnet, or an architecture of segmentation-models-pytorch, such as unet."
    )
    encoder: str = _option("tu-tf_efficientnet_lite2", "Its encoder; vgg19-segnet brings its own.")
    encoder_weights: str = _option("imagenet", "imagenet, none, or a file of weights to start from.")
    unpooling: str = _option(
        "indices", "For vgg19-segnet: indices (as first built) or nearest (for deployment)."
    )
    presence_head: bool = _option(True, "Let the network also say which patterns are in a picture at all.")
    size: str = _option("320x480", "Height x width in pixels of what the network sees; multiples of 32.")
    loss: str = _option("bce+dice", f"Of {', '.join(LOSSES)}.")
    dice_share: float = _option(0.25, "Of bce+dice, the share of Dice.")
    dice_squared: bool = _option(False, "Square the terms of Dice's denominator.")
    dice_empty: float = _option(
        0.0, "What Dice costs where a mask is empty, as a share of its cost elsewhere."
    )
    presence_share: float = _option(0.1, "Weight of the presence head's loss.")
    epochs: int = _option(12, "Passes over the training scenes.")
    batch: int = _option(32, "Scenes a step, over all devices.")
    accumulate: int = _option(1, "Parts a step is done in, to save memory.")
    learning_rate: float = _option(1e-3, "Highest learning rate.")
    encoder_factor: float = _option(1.0, "The encoder's learning rate as a multiple of it.")
    weight_decay: float = _option(0.01, "Of AdamW.")
    schedule: Schedule = _option("one-cycle", f"Of the learning rate: {' or '.join(get_args(Schedule))}.")
    warm_up: float = _option(0.15, "Share of the steps in which the learning rate rises.")
    ema: float = _option(
        0.995, "Decay of the moving average of weights that is validated and kept; 0 for none."
    )
    ema_warm_up: bool = _option(
        False, "Average over fewer steps at first: the decay of step n is at most n / (n + 9)."
    )
    precision: Precision = _option(
        "auto", f"Of {', '.join(get_args(Precision))}; auto takes bf16 where it is quick."
    )
    cutmix: float = _option(0.5, "Share of steps in which a box of each scene comes from another.")
    rotation: float = _option(15.0, "Scenes are turned by up to so many degrees.")
    zoom: float = _option(1.3, "Scenes are made up to so many times larger or smaller.")
    shift: float = _option(0.1, "Scenes are moved by up to this share of their sides.")
    brightness: float = _option(0.15, "Brightness and contrast change by up to this share.")
    degrade: float = _option(
        0.0,
        "Share of pictures made softer, sharper or recompressed; if above 0, half of all change brightness.",
    )
    teacher_share: float = _option(
        0.0, "Weight of the teachers' answers in the targets; labels have the rest. 0 for labels alone."
    )
    freeze_norm: bool = _option(False, "Keep the running statistics of batch normalisation as they are.")
    scenes: int = _option(0, "Training scenes an epoch, drawn at random; 0 for all.")
    patience: int = _option(0, "Stop after so many epochs without a better validation Dice; 0 for never.")
    compile: bool = _option(False, "Compile the network first (torch.compile).")
    seed: int = _option(0, "Of everything random.")

    def __post_init__(self) -> None:
        choices = {"loss": LOSSES, "schedule": get_args(Schedule), "precision": get_args(Precision)}
        for name, allowed in choices.items():
            if (value := getattr(self, name)) not in allowed:
                raise TrainingError(f"unknown {name} {value!r}; available: {', '.join(allowed)}")
        if self.unpooling not in ("indices", "nearest"):
            raise TrainingError(f"unpooling {self.unpooling!r}: there are indices, nearest")
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise TrainingError(f"{field.name} must be a finite number, not {value}")
        if self.seed >= 2**63:
            raise TrainingError(f"seed must be below 2**63, not {self.seed}")
        height, width = self.input_size
        if max(height, width) > 8192:
            raise TrainingError(f"size {self.size}: at most 8192 a side")
        if min(height, width) < 32 or height % 32 or width % 32:
            raise TrainingError(f"size {self.size}: both sides must be multiples of 32")
        for name in ("epochs", "batch", "accumulate"):
            if getattr(self, name) < 1:
                raise TrainingError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.batch % self.accumulate:
            raise TrainingError(f"batch {self.batch} cannot be done in {self.accumulate} equal parts")
        shares = ("dice_share", "dice_empty", "warm_up", "cutmix", "shift", "brightness")
        for name in (*shares, "degrade", "teacher_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise TrainingError(f"{name} must be from 0 to 1, not {getattr(self, name)}")
        if not 0 <= self.ema < 1:
            raise TrainingError(f"ema must be from 0 to below 1, not {self.ema}")
        if self.zoom < 1:
            raise TrainingError(f"zoom must be at least 1, not {self.zoom}")
        if min(self.learning_rate, self.encoder_factor) <= 0 or min(self.weight_decay, self.rotation) < 0:
            raise TrainingError(
                "learning_rate and encoder_factor must be above 0, weight_decay and rotation not below"
            )
        if min(self.patience, self.seed, self.presence_share) < 0:
            raise TrainingError("patience, seed and presence_share must not be below 0")
        if self.scenes and self.scenes < self.batch:
            raise TrainingError(f"scenes must be 0 or at least batch ({self.batch}), not {self.scenes}")
        if self.teacher_share and not LOSSES[self.loss].soft_targets:
            soft = [name for name, loss in LOSSES.items() if loss.soft_targets]
            raise TrainingError(f"loss {self.loss} takes no teachers; available: {', '.join(soft)}")

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width in pixels.

        Raises:
            TrainingError: `size` is no HEIGHTxWIDTH.
        """
        height, _, width = self.size.partition("x")
        if not (height.isdecimal() and width.isdecimal() and len(self.size) < 12):
            raise TrainingError(f"size {self.size!r}: expected HEIGHTxWIDTH, such as 320x480")
        return int(height), int(width)


PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    # For two processor cores and an hour: a smaller encoder on smaller pictures.
    "cpu": {"encoder": "tu-tf_efficientnet_lite0", "size": "192x288", "epochs": 4, "batch": 16},
    # As this project began: VGG19, index unpooling, Dice loss.
    "first": {
        "arch": "vgg19-segnet",
        "loss": "dice",
        "presence_head": False,
        "learning_rate": 1e-4,
        "batch": 16,
    },
    # From trained weights (--from), towards their own answers or those of teachers (--teacher).
    "steadier": {
        "epochs": 1,
        "scenes": 2000,
        "batch": 16,
        "learning_rate": 2e-4,
        "ema": 0.98,
        "ema_warm_up": True,
        "cutmix": 0.4,
        "zoom": 1.2,
        "degrade": 0.8,
        "teacher_share": 0.5,
        "freeze_norm": True,
    },
}


def make_recipe(preset: str = "default", **changes: Any) -> Recipe:
    """A preset, with some entries changed.

    Raises:
        TrainingError: no such preset, or an entry that cannot be.
    """
    if preset not in PRESETS:
        raise TrainingError(f"preset {preset!r}: there are {', '.join(PRESETS)}")
    return Recipe(**{**PRESETS[preset], **changes})
