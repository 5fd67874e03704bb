"""Resizing of pictures."""

import numpy as np
from PIL import Image as PilImage

from nephoscope.core.types import GridShape, Image


def resize(pixels: Image, size: GridShape) -> Image:
    """Bring a picture to a size: bicubic, and smoothed as far as it shrinks, so that nothing aliases.

    A picture comes out about equally sharp whatever it was made of. Plain means over areas do not do that:
    shrunk by little they blur, and blur is what tells Sugar from nothing.

    Args:
        pixels: red, green, blue, shape (height, width, 3).
        size: height and width of the result.
    """
    if pixels.shape[:2] == size:
        return pixels
    picture = PilImage.fromarray(pixels).resize(size[::-1], PilImage.Resampling.BICUBIC)
    return np.asarray(picture, np.uint8)
