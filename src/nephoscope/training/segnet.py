"""The network this project began with: VGG19 down, as many unpooling steps and fewer convolutions up.

Source: SegNet (Badrinarayanan et al. 2017, doi:10.1109/TPAMI.2016.2644615) on the convolutions of VGG19
(Simonyan and Zisserman 2015, arXiv:1409.1556).
"""

from torch import Tensor, nn

# Channels and convolutions of VGG19's five blocks, and how many the decoder spends on the way back.
_WIDTHS = (64, 128, 256, 512, 512)
_DOWN = (2, 2, 4, 4, 4)
_UP = (1, 1, 2, 2, 2)


class SegNet(nn.Module):
    """VGG19 encoder and a symmetric decoder that puts each maximum back where pooling found it."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        before = (3, *_WIDTHS[:-1])
        self.encoder = nn.ModuleList(map(_block, before, _WIDTHS, _DOWN))
        self.decoder = nn.ModuleList(map(_block, _WIDTHS[::-1], (*_WIDTHS[-2::-1], 64), _UP[::-1]))
        self.pool = nn.MaxPool2d(2, return_indices=True)
        self.unpool = nn.MaxUnpool2d(2)
        self.head = nn.Conv2d(64, classes, 1)

    def forward(self, features: Tensor) -> Tensor:
        """From (count, 3, height, width), sides multiples of 32, to logits (count, classes, same sides)."""
        places = []
        for block in self.encoder:
            features, indices = self.pool(block(features))
            places.append(indices)
        for block in self.decoder:
            features = block(self.unpool(features, places.pop()))
        logits: Tensor = self.head(features)
        return logits


def _block(before: int, after: int, convolutions: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for index in range(convolutions):
        layers += [
            nn.Conv2d(before if index == 0 else after, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)
