"""Scenes drawn with their masks: tinted, outlined and named, for reports."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from PIL import ImageDraw

from nephoscope.core.patterns import DEFAULT_PATTERNS
from nephoscope.core.types import Image, Mask
from nephoscope.imagery.resize import resize
from nephoscope.imagery.scene import Raster
from nephoscope.plotting.drawing import INK, PAPER, drawing, font, hatch, shortened, tint

_STRENGTH = 0.22  # of a pattern's colour over the clouds
_SPACE = 10  # px between scenes side by side


def draw_scene(scene: Raster, masks: Mapping[str, Mask], width: int, title: str = "") -> Image:
    """A scene with its masks in the patterns' colours, each named in its widest place; gaps are hatched.

    Args:
        scene: the decoded picture.
        masks: by pattern, boolean, of any shape over the same area; empty ones are left out.
        width: of the drawing, in pixels; its height follows from the picture's shape.
        title: a line in a dark bar above the picture; none if empty.

    Returns:
        Red, green, blue, shape (height, width, 3).
    """
    size = (round(width * scene.pixels.shape[0] / scene.pixels.shape[1]), width)
    pixels = resize(scene.pixels, size).copy()
    hatch(pixels, ~_onto(scene.valid_mask, size), spacing=12)
    drawn = [
        (pattern, _onto(masks[pattern.name], size)) for pattern in DEFAULT_PATTERNS if pattern.name in masks
    ]
    for pattern, mask in drawn:
        tint(pixels, mask, pattern.colour, _STRENGTH)
    for pattern, mask in drawn:
        edges, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(pixels, edges, -1, (0, 0, 0), 4, cv2.LINE_AA)
        cv2.drawContours(pixels, edges, -1, pattern.colour, 2, cv2.LINE_AA)
    bar = 24 if title else 0
    image, pen = drawing(np.concatenate([np.full((bar, width, 3), PAPER, np.uint8), pixels]))
    if title:
        letters = font(13)
        pen.text((8, bar / 2), shortened(title, width - 16, letters), INK, letters, anchor="lm")
    free = np.ones(size, np.bool_)
    for pattern, mask in drawn:
        _name(pen, pattern.name, pattern.colour, mask, free, bar)
    return np.asarray(image)


def legend(width: int) -> Image:
    """What the colours in `draw_scene` stand for, a line each; red, green, blue, `width` pixels wide."""
    line = 26
    page = np.full((line * (len(DEFAULT_PATTERNS) + 1) + 12, width, 3), PAPER, np.uint8)
    swatches = [
        (np.s_[line * place + 12 : line * (place + 1), 12:48], place)
        for place in range(len(DEFAULT_PATTERNS) + 1)
    ]
    for (where, _), pattern in zip(swatches, DEFAULT_PATTERNS, strict=False):
        page[where] = pattern.colour
    page[swatches[-1][0]] = 0
    hatched = np.zeros(page.shape[:2], np.bool_)
    hatched[swatches[-1][0]] = True
    hatch(page, hatched, spacing=8)
    image, pen = drawing(page)
    texts = [f"{pattern.name}: {pattern.meaning}" for pattern in DEFAULT_PATTERNS]
    for place, text in enumerate([*texts, "No data: a gap between two swaths of the satellite"]):
        pen.text((60, line * place + 6 + line / 2), text, INK, font(14), anchor="lm")
    return np.asarray(image)


def side_by_side(pictures: Sequence[Image]) -> Image:
    """Pictures in a row, their tops in line, dark between them and below the lower ones."""
    height = max(picture.shape[0] for picture in pictures)
    width = sum(picture.shape[1] + _SPACE for picture in pictures) - _SPACE
    row = np.full((height, width, 3), PAPER, np.uint8)
    left = 0
    for picture in pictures:
        row[: picture.shape[0], left : left + picture.shape[1]] = picture
        left += picture.shape[1] + _SPACE
    return row


def encoded(pixels: Image, ending: str) -> bytes:
    """A drawing as a file's bytes, by the ending: `.png` or `.jpg`."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, 85] if ending == ".jpg" else []
    return bytes(cv2.imencode(ending, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), quality)[1])


def _onto(mask: Mask, size: tuple[int, int]) -> Mask:
    bytes_ = np.ascontiguousarray(mask).view(np.uint8)
    return cv2.resize(bytes_, size[::-1], interpolation=cv2.INTER_NEAREST).view(np.bool_)


def _name(
    pen: ImageDraw.ImageDraw,
    name: str,
    colour: tuple[int, int, int],
    mask: Mask,
    free: Mask,
    top: int,
) -> None:
    """Write a pattern's name where its mask is widest and no name stands yet; takes that place."""
    if not mask.any():
        return
    within = np.pad(mask & free if (mask & free).any() else mask, 1)
    depth = cv2.distanceTransform(within.view(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    letters = font(15)
    half_width, half_height = letters.getbbox(name)[2] / 2 + 6, 11.0
    x = float(np.clip(column, half_width, mask.shape[1] - half_width))
    y = float(np.clip(row, half_height, mask.shape[0] - half_height))
    box = (x - half_width, y - half_height, x + half_width, y + half_height)
    free[round(box[1]) - 4 : round(box[3]) + 4, round(box[0]) - 4 : round(box[2]) + 4] = False
    pen.rounded_rectangle((box[0], box[1] + top, box[2], box[3] + top), 4, PAPER, colour, 2)
    pen.text((x, y + top), name, INK, letters, anchor="mm")
