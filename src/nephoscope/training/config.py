"""The recipe of a training run, and its presets.

Does not import PyTorch, so that the command shows its options at once.
"""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any, Literal, NamedTuple, get_args

from nephoscope.core.errors import TrainingError

Schedule = Literal["one-cycle", "cosine"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Keep = Literal["best", "last"]


class Loss(NamedTuple):
    """A loss that a recipe can name.

    Attributes:
        function: takes logits and targets, shape (count, patterns, height, width), each pattern's target
            presence, shape (count, patterns), and the recipe. Returns a tensor of one number, or several by
            name, which are added. Its path as `module:name` where importing it needs PyTorch.
        soft_targets: whether targets may lie between 0 and 1, as predictions of teachers do.
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

SEGNET = "vgg19-segnet"

NETWORKS: dict[str, Callable[..., Any] | str] = {
    SEGNET: "nephoscope.training.networks:build_segnet",
    "coarse-fpn": "nephoscope.training.coarse_fpn:build",
}
"""Networks beside those of segmentation-models-pytorch, by the name that `--arch` gives; others may add
rows: functions as `networks.build`, or their paths as `module:name`.
"""

NETWORK_ENTRIES = frozenset({"arch", "encoder", "encoder_weights", "unpooling", "presence_head"})
"""Entries that initial weights (`--from`) decide, in place of the recipe."""

FEW = "few"
"""The preset for training on from weights (`--from`), where none is named."""


def resolve(function: Callable[..., Any] | str) -> Callable[..., Any]:
    """The function of a row, which may be its path as `module:name`."""
    return resolve_name(function) if isinstance(function, str) else function


def _option(default: Any, about: str, low: float = 0, high: float = math.inf) -> Any:
    return dataclasses.field(default=default, metadata={"about": about, "range": (low, high)})


@dataclass(frozen=True)
class Recipe:
    """All that decides how a network is trained. The `about` of each entry documents it.

    Raises:
        TrainingError: an entry is unknown or out of range.
    """

    arch: str = _option("fpn", "vgg19-segnet, or an architecture of segmentation-models-pytorch.")
    encoder: str = _option("tu-tf_efficientnet_lite2", "Encoder; vgg19-segnet has its own.")
    encoder_weights: str = _option("imagenet", "Initial weights of the encoder: imagenet, none, or a file.")
    unpooling: str = _option("indices", "Of vgg19-segnet: indices (original) or nearest (for deployment).")
    presence_head: bool = _option(True, "Add a head that predicts which patterns are present.")
    size: str = _option("320x480", "Height x width of the network's input in pixels; multiples of 32.")
    loss: str = _option("bce+dice", f"One of {', '.join(LOSSES)}.")
    dice_share: float = _option(0.25, "Weight of Dice in bce+dice.", high=1)
    dice_squared: bool = _option(False, "Square the terms of the denominator of Dice.")
    dice_empty: float = _option(0.0, "Relative weight of Dice where the mask is empty.", high=1)
    presence_share: float = _option(0.1, "Weight of the loss of the presence head.")
    epochs: int = _option(12, "Passes over the training scenes.", low=1)
    batch: int = _option(32, "Scenes a step, over all devices.", low=1)
    accumulate: int = _option(1, "Parts of a step, to save memory (gradient accumulation).", low=1)
    learning_rate: float = _option(1e-3, "Highest learning rate.")
    encoder_factor: float = _option(1.0, "Learning rate of the encoder, as a multiple of it.")
    weight_decay: float = _option(0.01, "Weight decay of AdamW.")
    schedule: Schedule = _option("one-cycle", f"Of the learning rate: {' or '.join(get_args(Schedule))}.")
    warm_up: float = _option(0.15, "Share of the steps in which the learning rate rises.", high=1)
    ema: float = _option(0.995, "Decay of the moving average of weights that is kept; 0 for none.")
    ema_warm_up: bool = _option(False, "Limit the decay of step n to n / (n + 9).")
    precision: Precision = _option(
        "auto",
        f"One of {', '.join(get_args(Precision))}; auto takes bf16 where that is quicker.",
    )
    cutmix: float = _option(0.5, "Share of steps with CutMix: boxes from other scenes.", high=1)
    rotation: float = _option(15.0, "Largest rotation in degrees.")
    zoom: float = _option(1.3, "Largest change of scale, as a factor.", low=1)
    shift: float = _option(0.1, "Largest translation, as a share of height and width.", high=1)
    brightness: float = _option(0.15, "Largest change of brightness and contrast.", high=1)
    degrade: float = _option(
        0.0,
        "Share of pictures to blur, sharpen, recompress or bleach; above 0, most change brightness.",
        high=1,
    )
    noise: float = _option(0.0, "Share of pictures to replace by noise, which has no pattern.", high=1)
    teacher_share: float = _option(0.0, "Weight of teachers in the targets; labels have the rest.", high=1)
    freeze_norm: bool = _option(False, "Keep the running statistics of batch normalisation.")
    scenes: int = _option(0, "Training scenes an epoch, drawn at random; 0 for all.")
    replay_share: float = _option(0.5, "Share of the scenes of --replay in a step; at least one.", high=0.95)
    patience: int = _option(0, "Stop after this many epochs without a better validation Dice; 0 for never.")
    keep: Keep = _option(
        "best",
        "Weights to keep: of the best epoch by validation Dice, or of the last, which no scene chooses.",
    )
    compile: bool = _option(False, "Compile the network first (torch.compile).")
    seed: int = _option(0, "Random seed.", high=2**63 - 1)

    def __post_init__(self) -> None:
        choices = {
            "loss": tuple(LOSSES),
            "schedule": get_args(Schedule),
            "precision": get_args(Precision),
            "unpooling": ("indices", "nearest"),
            "keep": get_args(Keep),
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise TrainingError(f"unknown {name} {getattr(self, name)!r}; available: {', '.join(known)}")
        for field in dataclasses.fields(self):
            value, (low, high) = getattr(self, field.name), field.metadata["range"]
            if not isinstance(value, str) and not (low <= value <= high and value != math.inf):
                limits = f"at least {low}" if high == math.inf else f"between {low} and {high}"
                raise TrainingError(f"{field.name} must be a finite number {limits}, got {value}")
        for name in ("learning_rate", "encoder_factor"):
            if getattr(self, name) == 0:
                raise TrainingError(f"{name} must be above 0")
        if self.ema >= 1:
            raise TrainingError(f"ema must be below 1, got {self.ema}")
        height, width = self.input_size
        if max(height, width) > 8192:
            raise TrainingError(f"size must be at most 8192 a side, got {self.size}")
        if min(height, width) < 32 or height % 32 or width % 32:
            raise TrainingError(f"size must be multiples of 32, got {self.size}")
        if self.batch % self.accumulate:
            raise TrainingError(f"batch {self.batch} cannot be divided into {self.accumulate} equal parts")
        if self.scenes and self.scenes < self.batch:
            raise TrainingError(f"scenes must be 0 or at least batch ({self.batch}), got {self.scenes}")
        if self.teacher_share and not LOSSES[self.loss].soft_targets:
            soft = ", ".join(name for name, loss in LOSSES.items() if loss.soft_targets)
            raise TrainingError(f"loss {self.loss} cannot be used with teachers; available: {soft}")

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, _, width = self.size.partition("x")
        if not (height.isdecimal() and width.isdecimal() and len(self.size) < 12):
            raise TrainingError(f"size must be HEIGHTxWIDTH, such as 320x480, got {self.size!r}")
        return int(height), int(width)


PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    # For two processor cores and an hour: a smaller encoder on smaller images.
    "cpu": {"encoder": "tu-tf_efficientnet_lite0", "size": "192x288", "epochs": 4, "batch": 16},
    # The first network of this project: VGG19, index unpooling, Dice loss.
    "first": {
        "arch": "vgg19-segnet",
        "loss": "dice",
        "presence_head": False,
        "learning_rate": 1e-4,
        "batch": 16,
    },
    # Training on from weights (--from) with few scenes: small steps, statistics kept, an early end.
    FEW: {
        "epochs": 20,
        "scenes": 64,
        "batch": 8,
        "learning_rate": 3e-4,
        "encoder_factor": 0.3,
        "ema": 0.95,
        "ema_warm_up": True,
        "freeze_norm": True,
        "patience": 6,
    },
    # Fine-tuning of trained weights (--from) towards their own predictions or those of teachers (--teacher).
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
        TrainingError: an unknown preset, or an entry out of range.
    """
    if preset not in PRESETS:
        raise TrainingError(f"unknown preset {preset!r}; available: {', '.join(PRESETS)}")
    return Recipe(**{**PRESETS[preset], **changes})
