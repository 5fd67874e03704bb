"""A feature pyramid of three levels: about half of the arithmetic of the one with four.

Labels are large, so the level at a quarter of the input's resolution costs much and adds little.
Source: panoptic feature pyramids (Kirillov et al. 2019, arXiv:1901.02446), without the finest level, with
fewer channels, and with batch normalisation, which costs nothing once folded into the convolutions.
"""

from typing import Any

import segmentation_models_pytorch as smp
from torch import Tensor, nn
from torch.nn import functional

_PYRAMID, _SEGMENTATION = 128, 64  # channels


def build(network: dict[str, Any], classes: int) -> "CoarseFpn":
    """Build the network; arguments as of `networks.build`."""
    return CoarseFpn(network["encoder"], classes, network.get("presence_head", False))


class CoarseFpn(nn.Module):
    """An encoder of segmentation-models-pytorch and a pyramid on its features at strides 8, 16 and 32."""

    def __init__(self, encoder: str, classes: int, presence_head: bool) -> None:
        super().__init__()
        self.encoder = smp.encoders.get_encoder(encoder, weights=None)
        channels = self.encoder.out_channels[3:6]
        self.decoder = _Pyramid(channels)
        self.dropout = nn.Dropout2d(0.2)
        self.head = nn.Conv2d(_SEGMENTATION, classes, 1)
        self.classification_head = None
        if presence_head:
            self.classification_head = nn.Sequential(
                nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(channels[-1], classes)
            )

    def forward(self, pictures: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """From (count, 3, height, width), sides multiples of 32, to logits of masks and any presence."""
        features = self.encoder(pictures)[3:6]
        coarse = self.head(self.dropout(self.decoder(features)))
        logits = functional.interpolate(coarse, scale_factor=8.0, mode="bilinear")
        if self.classification_head is None:
            return logits
        return logits, self.classification_head(features[-1])


class _Pyramid(nn.Module):
    """From features at strides 8, 16 and 32 to one feature map at stride 8."""

    def __init__(self, channels: list[int]) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(count, _PYRAMID, 1) for count in channels)
        up = nn.Upsample(scale_factor=2.0, mode="bilinear")
        self.smooth = nn.ModuleList(
            [
                _convolution(_PYRAMID),
                nn.Sequential(_convolution(_PYRAMID), up),
                nn.Sequential(_convolution(_PYRAMID), up, _convolution(_SEGMENTATION), up),
            ]
        )

    def forward(self, features: list[Tensor]) -> Tensor:
        level = self.lateral[2](features[2])
        total: Tensor = self.smooth[2](level)
        for index in (1, 0):
            level = self.lateral[index](features[index]) + _twice(level)
            total = total + self.smooth[index](level)
        return total


def _convolution(channels: int) -> nn.Sequential:
    convolution = nn.Conv2d(channels, _SEGMENTATION, 3, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(_SEGMENTATION), nn.ReLU(inplace=True))


def _twice(features: Tensor) -> Tensor:
    return functional.interpolate(features, scale_factor=2.0, mode="nearest")
