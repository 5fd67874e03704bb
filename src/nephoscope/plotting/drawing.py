"""What the pictures share: letters, swatches, hatching, colour under a mask."""

import cv2
import numpy as np
from PIL import Image as PilImage
from PIL import ImageDraw, ImageFont

from nephoscope.core.types import Image, Mask

Colour = tuple[int, int, int]

INK: Colour = (236, 239, 244)
FAINT: Colour = (128, 136, 150)
PAPER: Colour = (24, 28, 36)
NO_DATA: Colour = (58, 62, 70)


def font(height: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own typeface at a height in pixels."""
    return ImageFont.load_default(max(8.0, height))


def tint(pixels: Image, mask: Mask, colour: Colour, strength: float) -> None:
    """Mix a colour into a picture, in place, where a mask is on."""
    if mask.any():
        x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
        box = np.s_[y : y + height, x : x + width]
        coloured = cv2.addWeighted(pixels[box], 1 - strength, np.full_like(pixels[box], colour), strength, 0)
        cv2.copyTo(coloured, mask[box].view(np.uint8), pixels[box])


def hatch(pixels: Image, where: Mask, spacing: int) -> None:
    """Fill an area, in place, with thin diagonal lines: there is no data."""
    if where.any():
        rows, columns = np.nonzero(where)
        lines = (rows + columns) % spacing < max(1, spacing // 8)
        pixels[rows[lines], columns[lines]] = NO_DATA


def shortened(text: str, longest: float, letters: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """A text, its middle replaced by an ellipsis if it is longer than some pixels."""
    if letters.getlength(text) <= longest:
        return text
    for kept in range(len(text) - 1, 2, -1):
        half = kept // 2
        candidate = f"{text[:half]}...{text[-half:]}"
        if letters.getlength(candidate) <= longest:
            return candidate
    return ""


def drawing(pixels: Image) -> tuple[PilImage.Image, ImageDraw.ImageDraw]:
    """A Pillow image of some pixels, and a pen for it."""
    image = PilImage.fromarray(pixels)
    return image, ImageDraw.Draw(image)


def png(pixels: Image) -> bytes:
    """A picture as a PNG file's content."""
    return bytes(cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1])


def jpeg(pixels: Image) -> bytes:
    """A picture as a JPEG file's content, with the full colour resolution that keeps thin lines crisp."""
    sampling = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
    options = (cv2.IMWRITE_JPEG_QUALITY, 90, *sampling)
    return bytes(cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), options)[1])
