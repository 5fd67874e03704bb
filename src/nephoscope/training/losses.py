"""What training makes small. All take logits and truth of shape (count, patterns, height, width)."""

from collections.abc import Callable
from functools import partial

from segmentation_models_pytorch.losses import LovaszLoss
from torch import Tensor
from torch.nn import functional
from torchvision.ops import sigmoid_focal_loss

from nephoscope.training.config import Recipe

Parts = dict[str, Tensor]


def dice_loss(logits: Tensor, truth: Tensor, squared: bool = False, empty: float = 0.0) -> Tensor:
    """Soft Dice, 1 - 2|X∩Y| / (|X|+|Y|), of each scene and pattern; the mean by what each mask costs.

    Args:
        logits: before the sigmoid.
        truth: 0 or 1.
        squared: square the terms of the denominator, which weighs sure pixels more.
        empty: what an empty mask costs, as a share of what one with pixels does. Its Dice is 0 for any
            prediction above 0, so it asks for less everywhere, and says nothing about where.

    Source: Milletari et al. 2016, V-Net, arXiv:1606.04797 (squared); the contest's metric (plain).
    """
    predicted = logits.sigmoid()
    shared = (predicted * truth).sum((2, 3))
    sizes = (predicted.square() if squared else predicted).sum((2, 3)) + truth.sum((2, 3))
    # One pixel is added so that an empty mask's cost falls to 0 as its prediction does.
    cost = 1 - (2 * shared + 1) / (sizes + 1)
    weight = (truth.sum((2, 3)) > 0).float().clamp(min=empty)
    return (cost * weight).sum() / weight.sum().clamp(min=1)


def lovasz_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Symmetric Lovász hinge: the mean over patterns and over their backgrounds, so that empty masks count.

    Source: Berman et al. 2018, arXiv:1705.08790.
    """
    hinge = LovaszLoss("binary", per_image=True)
    flat, flat_truth = logits.flatten(0, 1), truth.flatten(0, 1)
    both: Tensor = (hinge(flat, flat_truth) + hinge(-flat, 1 - flat_truth)) / 2
    return both


def focal_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Focal loss with γ = 2, both classes of equal weight. Source: Lin et al. 2017, arXiv:1708.02002."""
    loss: Tensor = sigmoid_focal_loss(logits, truth, alpha=0.5, gamma=2, reduction="mean")
    return loss


def make_loss(recipe: Recipe) -> Callable[[Tensor, Tensor, Tensor | None], Parts]:
    """The loss a recipe names.

    Returns:
        From logits of masks, true masks and logits of presence (or None), to the weighted parts of the loss
        by name; their sum is what training makes small.
    """
    dice = partial(dice_loss, squared=recipe.dice_squared, empty=recipe.dice_empty)
    bce = functional.binary_cross_entropy_with_logits
    share = recipe.dice_share
    terms: dict[str, dict[str, tuple[float, Callable[[Tensor, Tensor], Tensor]]]] = {
        "bce+dice": {"bce": (1 - share, bce), "dice": (share, dice)},
        "dice": {"dice": (1.0, dice)},
        "bce": {"bce": (1.0, bce)},
        "focal": {"focal": (1.0, focal_loss)},
        "lovasz": {"lovasz": (1.0, lovasz_loss)},
    }
    chosen = terms[recipe.loss]

    def loss(logits: Tensor, truth: Tensor, presence: Tensor | None) -> Parts:
        parts = {name: weight * part(logits, truth) for name, (weight, part) in chosen.items()}
        if presence is not None:
            there = truth.amax((2, 3))
            parts["presence"] = recipe.presence_share * bce(presence, there)
        return parts

    return loss
