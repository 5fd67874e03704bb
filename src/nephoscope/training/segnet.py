"""The network this project began with: VGG19 down, as many unpooling steps and fewer convolutions up.

Source: SegNet (Badrinarayanan et al. 2017, doi:10.1109/TPAMI.2016.2644615) on the convolutions of VGG19
(Simonyan and Zisserman 2015, arXiv:1409.1556), with batch normalisation.
"""

import torch
from torch import Tensor, nn

from nephoscope.core.errors import TrainingError

# Channels and convolutions of VGG19's five blocks, and how many the decoder spends on the way back.
_WIDTHS = (64, 128, 256, 512, 512)
_DOWN = (2, 2, 4, 4, 4)
_UP = (1, 1, 2, 2, 2)


class SegNet(nn.Module):
    """VGG19 encoder and a symmetric decoder.

    Args:
        classes: how many masks.
        unpooling: `indices` puts each maximum back where pooling found it, as first built; `nearest` repeats
            it, which every runtime does quickly.
        presence_head: also say which classes are in the picture at all.
    """

    def __init__(self, classes: int, unpooling: str = "indices", presence_head: bool = False) -> None:
        super().__init__()
        before = (3, *_WIDTHS[:-1])
        self.encoder = nn.ModuleList(map(_block, before, _WIDTHS, _DOWN))
        self.decoder = nn.ModuleList(map(_block, _WIDTHS[::-1], (*_WIDTHS[-2::-1], 64), _UP[::-1]))
        self.pool = nn.MaxPool2d(2, return_indices=True)
        self.unpool = nn.MaxUnpool2d(2)
        self.repeat = nn.Upsample(scale_factor=2, mode="nearest")
        self.by_index = unpooling == "indices"
        self.head = nn.Conv2d(64, classes, 1)
        self.presence = None
        if presence_head:
            self.presence = nn.Sequential(
                nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(_WIDTHS[-1], classes)
            )

    def forward(self, features: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """From (count, 3, height, width), sides multiples of 32, to logits (count, classes, same sides).

        With a presence head, also its logits, (count, classes).
        """
        places = []
        for block in self.encoder:
            features, indices = self.pool(block(features))
            places.append(indices)
        presence = self.presence(features) if self.presence is not None else None
        for block in self.decoder:
            indices = places.pop()
            features = block(self.unpool(features, indices) if self.by_index else self.repeat(features))
        logits: Tensor = self.head(features)
        return logits if presence is None else (logits, presence)

    def load_vgg19(self, weights: dict[str, Tensor]) -> None:
        """Take over the convolutions of a VGG19 of torchvision, with or without batch normalisation.

        A convolution's bias has no place of its own here: what follows it subtracts the mean, so it goes into
        that mean. Of a VGG19 without batch normalisation only the kernels are taken.

        Raises:
            ValueError: not the weights of a VGG19.
        """
        layers = list(self.encoder.modules())
        convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
        norms = [layer for layer in layers if isinstance(layer, nn.BatchNorm2d)]
        kernels = (name.removesuffix(".weight") for name, value in weights.items() if value.ndim == 4)
        places = sorted(kernels, key=_place)  # files may list them in any order
        if len(places) != len(convolutions):
            raise TrainingError(f"{len(places)} convolutions in place of VGG19's {len(convolutions)}")
        with torch.no_grad():
            for place, convolution, norm in zip(places, convolutions, norms, strict=True):
                if weights[f"{place}.weight"].shape != convolution.weight.shape:
                    raise TrainingError(f"{place}: shape {tuple(weights[f'{place}.weight'].shape)}")
                convolution.weight.copy_(weights[f"{place}.weight"])
                stem, _, number = place.rpartition(".")
                following = f"{stem}.{int(number) + 1}"  # torchvision counts the layers of a block
                if f"{following}.running_mean" in weights:
                    norm.weight.copy_(weights[f"{following}.weight"])
                    norm.bias.copy_(weights[f"{following}.bias"])
                    mean = weights[f"{following}.running_mean"] - weights[f"{place}.bias"]
                    norm.running_mean, norm.running_var = mean, weights[f"{following}.running_var"].clone()


def _place(layer: str) -> int:
    """Which layer of VGG19's features it is, counted from 0; -1 for any other."""
    number = layer.rpartition(".")[2]
    return int(number) if number.isdecimal() else -1


def _block(before: int, after: int, convolutions: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for index in range(convolutions):
        layers += [
            nn.Conv2d(before if index == 0 else after, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)
