"""The first pipeline of this project, for comparison.

VGG19 encoder and unpooling decoder in eager PyTorch, Pillow decoding at full size, a loop over components.
The weights are random: speed does not depend on them. `python -m benchmarks.first_pipeline PICTURE` runs it
as a whole process.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image as PilImage
from torch import nn

from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.training.networks import build

SIZE = (480, 320)
GRID = (525, 350)
SMALLEST = 4000


def load() -> nn.Module:
    torch.manual_seed(0)
    return build({"architecture": "vgg19-segnet"}, len(DEFAULT_NAMES)).eval()


def decode(path: Path) -> torch.Tensor:
    picture = PilImage.open(path).convert("RGB").resize(SIZE, PilImage.Resampling.BILINEAR)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255


@torch.inference_mode()
def probabilities(network: nn.Module, picture: torch.Tensor) -> np.ndarray:
    return torch.sigmoid(network(picture))[0].numpy()


def masks(fields: np.ndarray) -> list[np.ndarray]:
    import cv2

    kept_masks = []
    for field in fields:
        mask = cv2.resize(field, GRID) > 0.5
        count, parts = cv2.connectedComponents(mask.astype(np.uint8))
        kept = np.zeros_like(mask)
        for number in range(1, count):
            part = parts == number
            if part.sum() > SMALLEST:
                kept[part] = True
        kept_masks.append(kept)
    return kept_masks


def run_lengths(mask: np.ndarray) -> str:
    flat = np.concatenate([[0], mask.T.flatten(), [0]])
    runs = np.where(flat[1:] != flat[:-1])[0] + 1
    runs[1::2] -= runs[::2]
    return " ".join(str(number) for number in runs)


def segment(network: nn.Module, path: Path) -> list[str]:
    return [run_lengths(mask) for mask in masks(probabilities(network, decode(path)))]


if __name__ == "__main__":
    for name, text in zip(DEFAULT_NAMES, segment(load(), Path(sys.argv[1])), strict=True):
        print(f"{Path(sys.argv[1]).name}_{name},{text}")
