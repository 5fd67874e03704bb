"""Loss functions of logits and truth, both of shape (count, patterns, height, width)."""

from typing import Protocol

from segmentation_models_pytorch.losses import LovaszLoss
from torch import Tensor
from torch.nn import functional
from torchvision.ops import sigmoid_focal_loss

from nephoscope.training.config import LOSSES, Recipe, resolve

Parts = dict[str, Tensor]

_PRESENT = 0.3  # up to this target presence a mask counts as empty: those of teachers are never all zeros


def dice_loss(
    logits: Tensor,
    truth: Tensor,
    present: Tensor | None = None,
    *,
    squared: bool = False,
    empty: float = 0.0,
) -> Tensor:
    """Soft Dice loss, 1 - 2|X∩Y| / (|X|+|Y|): weighted mean over scenes and patterns.

    Args:
        logits: before the sigmoid.
        truth: 0 to 1.
        present: target presence, 0 to 1, shape (count, patterns). Default: the maximum of each mask.
        squared: square the terms of the denominator, which gives confident pixels more weight.
        empty: weight of an empty mask, relative to others. Its Dice is 0 for any prediction above 0, so its
            gradient lowers the prediction everywhere.

    Source: Milletari et al. 2016, V-Net, arXiv:1606.04797 (squared); the contest's metric (plain).
    """
    predicted = logits.sigmoid()
    shared = (predicted * truth).sum((2, 3))
    sizes = (predicted.square() if squared else predicted).sum((2, 3)) + truth.sum((2, 3))
    # One pixel is added so that the loss of an empty mask falls to 0 as its prediction does.
    cost = 1 - (2 * shared + 1) / (sizes + 1)
    present = truth.amax((2, 3)) if present is None else present
    weight = (present > _PRESENT).float().clamp(min=empty)
    return (cost * weight).sum() / weight.sum().clamp(min=1)


def lovasz_loss(logits: Tensor, truth: Tensor, *_: object) -> Tensor:
    """Symmetric Lovász hinge: mean over patterns and their backgrounds, so that empty masks count.

    Source: Berman et al. 2018, arXiv:1705.08790.
    """
    hinge = LovaszLoss("binary", per_image=True)
    flat, flat_truth = logits.flatten(0, 1), truth.flatten(0, 1)
    both: Tensor = (hinge(flat, flat_truth) + hinge(-flat, 1 - flat_truth)) / 2
    return both


def focal_loss(logits: Tensor, truth: Tensor, *_: object) -> Tensor:
    """Focal loss with γ = 2 and equal weights of both classes. Source: Lin et al. 2017, arXiv:1708.02002."""
    loss: Tensor = sigmoid_focal_loss(logits, truth, alpha=0.5, gamma=2, reduction="mean")
    return loss


def bce(logits: Tensor, truth: Tensor, *_: object) -> Tensor:
    """Binary cross-entropy."""
    return functional.binary_cross_entropy_with_logits(logits, truth)


def dice(logits: Tensor, truth: Tensor, present: Tensor, recipe: Recipe) -> Tensor:
    """Soft Dice with the options of a recipe."""
    return dice_loss(logits, truth, present, squared=recipe.dice_squared, empty=recipe.dice_empty)


def bce_dice(logits: Tensor, truth: Tensor, present: Tensor, recipe: Recipe) -> Parts:
    """Binary cross-entropy and soft Dice, weighted by a recipe."""
    return {
        "bce": (1 - recipe.dice_share) * bce(logits, truth),
        "dice": recipe.dice_share * dice(logits, truth, present, recipe),
    }


class LossFunction(Protocol):
    """A loss of masks and presence."""

    def __call__(
        self, logits: Tensor, truth: Tensor, presence: Tensor | None, present: Tensor | None = None
    ) -> Parts:
        """The weighted terms of the loss by name; training minimises their sum.

        Args:
            logits: of masks.
            truth: target masks, 0 to 1.
            presence: logits of presence, shape (count, patterns), or None.
            present: target presence, 0 to 1. Default: the maximum of each target mask.
        """


def make_loss(recipe: Recipe) -> LossFunction:
    """The loss function of a recipe."""
    function = resolve(LOSSES[recipe.loss].function)

    def loss(logits: Tensor, truth: Tensor, presence: Tensor | None, present: Tensor | None = None) -> Parts:
        present = truth.amax((2, 3)) if present is None else present
        value = function(logits, truth, present, recipe)
        parts: Parts = dict(value) if isinstance(value, dict) else {recipe.loss: value}
        if presence is not None:
            parts["presence"] = recipe.presence_share * bce(presence, present)
        return parts

    return loss
