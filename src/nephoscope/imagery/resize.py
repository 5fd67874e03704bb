"""Resizing of pictures and masks."""

import cv2
import numpy as np
from PIL import Image as PilImage

from nephoscope.core.types import GridShape, Image, Mask


def resize(pixels: Image, size: GridShape) -> Image:
    """Resize a picture: bicubic, with antialiasing where it shrinks.

    The result is about equally sharp whatever the original size. Area means are not: shrinking by little,
    they blur, and a network needs the fine detail to tell Sugar from nothing.

    Args:
        pixels: red, green, blue, shape (height, width, 3).
        size: height and width of the result.
    """
    if pixels.shape[:2] == size:
        return pixels
    picture = PilImage.fromarray(pixels).resize(size[::-1], PilImage.Resampling.BICUBIC)
    return np.asarray(picture, np.uint8)


def resize_mask(mask: Mask, size: GridShape) -> Mask:
    """Resize a mask of shape (height, width) to the nearest neighbour."""
    values = np.ascontiguousarray(mask).view(np.uint8)
    return cv2.resize(values, size[::-1], interpolation=cv2.INTER_NEAREST).view(np.bool_)


def resize_mask_by_area(mask: Mask, size: GridShape) -> Mask:
    """Resize a mask of shape (height, width): a pixel is on where at least half of its area is."""
    method = cv2.INTER_AREA if size[0] * size[1] < mask.size else cv2.INTER_LINEAR
    return np.asarray(
        cv2.resize(mask.view(np.uint8) * 255, size[::-1], interpolation=method) >= 128, np.bool_
    )
