"""Loss functions of logits and truth, both of shape (count, patterns, height, width)."""

from collections.abc import Callable
from functools import partial

from segmentation_models_pytorch.losses import LovaszLoss
from torch import Tensor
from torch.nn import functional
from torchvision.ops import sigmoid_focal_loss

from nephoscope.training.config import Recipe

_bce = functional.binary_cross_entropy_with_logits
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


def lovasz_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Symmetric Lovász hinge: mean over patterns and their backgrounds, so that empty masks count.

    Source: Berman et al. 2018, arXiv:1705.08790.
    """
    hinge = LovaszLoss("binary", per_image=True)
    flat, flat_truth = logits.flatten(0, 1), truth.flatten(0, 1)
    both: Tensor = (hinge(flat, flat_truth) + hinge(-flat, 1 - flat_truth)) / 2
    return both


def focal_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Focal loss with γ = 2 and equal weights of both classes. Source: Lin et al. 2017, arXiv:1708.02002."""
    loss: Tensor = sigmoid_focal_loss(logits, truth, alpha=0.5, gamma=2, reduction="mean")
    return loss


_PLAIN: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "bce": _bce,
    "focal": focal_loss,
    "lovasz": lovasz_loss,
}


class RecipeLoss:
    """The loss of a recipe, of masks and presence."""

    def __init__(self, recipe: Recipe) -> None:
        self.presence_share = recipe.presence_share
        weights = {"bce": 1 - recipe.dice_share, "dice": recipe.dice_share}
        self.weights = weights if recipe.loss == "bce+dice" else {recipe.loss: 1.0}
        self.dice = partial(dice_loss, squared=recipe.dice_squared, empty=recipe.dice_empty)

    def __call__(
        self, logits: Tensor, truth: Tensor, presence: Tensor | None, present: Tensor | None = None
    ) -> dict[str, Tensor]:
        """The weighted terms of the loss by name; training minimises their sum.

        Args:
            logits: of masks.
            truth: target masks, 0 to 1.
            presence: logits of presence, shape (count, patterns), or None.
            present: target presence, 0 to 1. Default: the maximum of each target mask.
        """
        present = truth.amax((2, 3)) if present is None else present
        terms = {}
        for name, weight in self.weights.items():
            plain = self.dice(logits, truth, present) if name == "dice" else _PLAIN[name](logits, truth)
            terms[name] = weight * plain
        if presence is not None:
            terms["presence"] = self.presence_share * _bce(presence, present)
        return terms
