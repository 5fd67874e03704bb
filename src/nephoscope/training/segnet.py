"""SegNet with a VGG19 encoder and a lighter decoder: the first network of this project.

Source: SegNet (Badrinarayanan et al. 2017, doi:10.1109/TPAMI.2016.2644615) on the convolutions of VGG19
(Simonyan and Zisserman 2015, arXiv:1409.1556), with batch normalisation.
"""

import torch
from torch import Tensor, nn

from nephoscope.core.errors import TrainingError

# Channels and convolutions of the five blocks of VGG19, and convolutions of the decoder.
_WIDTHS = (64, 128, 256, 512, 512)
_DOWN = (2, 2, 4, 4, 4)
_UP = (1, 1, 2, 2, 2)


class SegNet(nn.Module):
    """VGG19 encoder and a symmetric decoder.

    Unpooling by `indices` restores each maximum at its index, as in the original network; `nearest` repeats
    it, which every runtime does fast. A presence head also predicts which classes are present.
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
        """From (count, 3, height, width), sides multiples of 32, to logits of masks and any presence."""
        pooled = []
        for block in self.encoder:
            features, indices = self.pool(block(features))
            pooled.append(indices)
        presence = self.presence(features) if self.presence is not None else None
        for block in self.decoder:
            indices = pooled.pop()
            features = block(self.unpool(features, indices) if self.by_index else self.repeat(features))
        logits: Tensor = self.head(features)
        return logits if presence is None else (logits, presence)

    def load_vgg19(self, weights: dict[str, Tensor]) -> None:
        """Copy the convolutions of a VGG19 of torchvision, with or without batch normalisation.

        Convolutions here have no bias: it goes into the mean that the next layer subtracts. Of a VGG19
        without batch normalisation only the kernels are copied.

        Raises:
            TrainingError: not the weights of a VGG19.
        """
        modules = list(self.encoder.modules())
        convolutions = [module for module in modules if isinstance(module, nn.Conv2d)]
        norms = [module for module in modules if isinstance(module, nn.BatchNorm2d)]
        kernels = (name.removesuffix(".weight") for name, value in weights.items() if value.ndim == 4)
        layers = sorted(kernels, key=_layer_number)  # files may list them in any order
        if len(layers) != len(convolutions):
            raise TrainingError(f"{len(layers)} convolutions; VGG19 has {len(convolutions)}")
        with torch.no_grad():
            for layer, convolution, norm in zip(layers, convolutions, norms, strict=True):
                if weights[f"{layer}.weight"].shape != convolution.weight.shape:
                    raise TrainingError(f"{layer}: shape {tuple(weights[f'{layer}.weight'].shape)}")
                convolution.weight.copy_(weights[f"{layer}.weight"])
                following = f"{layer.rpartition('.')[0]}.{_layer_number(layer) + 1}"
                if f"{following}.running_mean" in weights:
                    norm.weight.copy_(weights[f"{following}.weight"])
                    norm.bias.copy_(weights[f"{following}.bias"])
                    mean = weights[f"{following}.running_mean"] - weights[f"{layer}.bias"]
                    norm.running_mean, norm.running_var = mean, weights[f"{following}.running_var"].clone()


def _layer_number(layer: str) -> int:
    """Index of a layer of torchvision's VGG19 features; -1 for any other."""
    number = layer.rpartition(".")[2]
    return int(number) if number.isdecimal() else -1


def _block(inputs: int, outputs: int, convolutions: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for index in range(convolutions):
        layers += [
            nn.Conv2d(inputs if index == 0 else outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)
