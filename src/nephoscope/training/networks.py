"""Networks by name: from a card's `network` entry to a PyTorch module."""

from typing import Any, cast

import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn

from nephoscope.patterns import NAMES
from nephoscope.training.segnet import SegNet


def build(network: dict[str, Any]) -> nn.Module:
    """Build a network without trained weights.

    Args:
        network: `architecture`, either `vgg19-segnet` or a name of segmentation-models-pytorch, such as
            `fpn`; for the latter also `encoder`, such as `tu-tf_efficientnet_lite2`, and `presence_head`.

    Returns:
        A module from normalised pictures, shape (count, 3, height, width), to logits of shape
        (count, patterns, height, width); with a presence head, to a pair with presence logits of shape
        (count, patterns).

    Raises:
        ValueError: no such architecture or encoder.
    """
    try:
        return _build(network)
    except (KeyError, TypeError, RuntimeError) as error:
        raise ValueError(f"no such network: {network}: {error}") from error


def _build(network: dict[str, Any]) -> nn.Module:
    if network["architecture"] == "vgg19-segnet":
        return SegNet(len(NAMES))
    head = {"classes": len(NAMES), "pooling": "avg", "dropout": 0.2} if network["presence_head"] else None
    net = smp.create_model(
        network["architecture"],
        network["encoder"],
        encoder_weights=None,
        classes=len(NAMES),
        aux_params=head,
    )
    return cast(nn.Module, net)


class Deployed(nn.Module):
    """A network as a model file holds it: bytes in, probabilities out, nothing to know."""

    def __init__(self, network: nn.Module, mean: float, deviation: float) -> None:
        super().__init__()
        self.network = network
        self.mean, self.deviation = mean, deviation

    def forward(self, pictures: Tensor) -> Tensor:
        """From uint8 (count, height, width, 3) to probabilities (count, patterns, height, width)."""
        colours = pictures.permute(0, 3, 1, 2).float()
        logits = self.network((colours / 255 - self.mean) / self.deviation)
        return torch.sigmoid(logits[0] if isinstance(logits, tuple | list) else logits)
