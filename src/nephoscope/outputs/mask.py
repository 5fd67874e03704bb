"""`mask`: one PNG a pattern at the picture's own size, 0 and 1, for programs (black on a screen)."""

import cv2
import numpy as np

from nephoscope.inference.segmentation import Segmentation
from nephoscope.outputs.format import Format, Web


def render(segmentation: Segmentation) -> list[bytes]:
    """Render masks of 0 and 1 in the patterns' order, one byte a pixel."""
    size = segmentation.scene.size
    masks = (segmentation.mask(name, size).view(np.uint8) for name in segmentation.card.patterns)
    return [bytes(cv2.imencode(".png", mask)[1]) for mask in masks]


FORMAT = Format(
    name="mask",
    description="A mask of 0 and 1 for each pattern",
    media_type="image/png",
    render=render,
    endings=("_{pattern}.png",),
    save_endings=(".png",),
    web=Web(label="Masks", kind="ZIP", ending="_masks.zip"),
)
