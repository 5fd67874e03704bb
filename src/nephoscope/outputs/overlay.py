"""`overlay`: the picture with its patterns in colour, outlined and named, and a legend with their cover."""

import cv2
import numpy as np
from PIL import ImageDraw

from nephoscope.core.geo import brief_name
from nephoscope.core.patterns import DEFAULT_PATTERNS, Pattern
from nephoscope.core.types import GridShape, Image, Mask
from nephoscope.imagery.resize import resize
from nephoscope.inference.segmentation import Segmentation
from nephoscope.outputs.format import Format, Web
from nephoscope.plotting.drawing import (
    FAINT,
    INK,
    PAPER,
    Colour,
    drawing,
    font,
    hatch,
    jpeg,
    png,
    shortened,
    tint,
)

_LONGEST_SIDE = 4096  # px; a larger picture is drawn smaller
_LEAST_WIDTH = 700  # px; a smaller picture is drawn larger, so that its legend can be read
_STRENGTH = 0.28  # of a pattern's colour over the clouds
_STEP = 4  # px; names need no finer search for their place

Box = tuple[float, float, float, float]


def render(segmentation: Segmentation) -> list[bytes]:
    """A JPEG at the picture's own size, the legend below it."""
    return [jpeg(draw(segmentation))]


def draw(segmentation: Segmentation) -> Image:
    """The same as pixels: red, green, blue, shape (height, width, 3)."""
    raster = segmentation.scene.read()
    size = _drawn_size(segmentation.scene.size)
    pixels = resize(raster.pixels, size).copy()
    unit = max(1.0, size[1] / 700)  # px; one line's width
    valid = cv2.resize(raster.valid_mask.view(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST)
    hatch(pixels, valid == 0, spacing=round(12 * unit))
    masks = [(pattern, segmentation.mask(pattern.name, size)) for pattern in DEFAULT_PATTERNS]
    for pattern, mask in masks:
        tint(pixels, mask, pattern.colour, _STRENGTH)
    for pattern, mask in masks:
        _outline(pixels, mask, pattern.colour, unit)
    page = np.concatenate([pixels, np.full((round(44 * unit), size[1], 3), PAPER, np.uint8)])
    image, pen = drawing(page)
    taken: list[Box] = []
    for pattern, mask in masks:
        _name_regions(pen, pattern, mask, unit, taken)
    _legend(pen, segmentation, size, unit)
    return np.asarray(image)


def _drawn_size(size: GridShape) -> GridShape:
    scale = min(_LONGEST_SIDE / max(size), max(1.0, _LEAST_WIDTH / size[1]))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _outline(pixels: Image, mask: Mask, colour: Colour, unit: float) -> None:
    contours, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(pixels, contours, -1, PAPER, round(4 * unit), cv2.LINE_AA)
    cv2.drawContours(pixels, contours, -1, colour, round(2 * unit), cv2.LINE_AA)


def _name_regions(
    pen: ImageDraw.ImageDraw, pattern: Pattern, mask: Mask, unit: float, taken: list[Box]
) -> None:
    """Write the pattern's name where each of its regions is widest: colour is not the only sign."""
    coarse = np.pad(mask[::_STEP, ::_STEP].view(np.uint8), 1)
    count, parts = cv2.connectedComponents(coarse, connectivity=8)
    depth = cv2.distanceTransform(coarse, cv2.DIST_L2, 3)
    for number in range(1, count):
        _, deepest, _, (x, y) = cv2.minMaxLoc(depth, (parts == number).view(np.uint8))
        if deepest * _STEP > 10 * unit:
            _name(pen, pattern, ((x - 0.5) * _STEP, (y - 0.5) * _STEP), unit, taken)


def _name(
    pen: ImageDraw.ImageDraw, pattern: Pattern, place: tuple[float, float], unit: float, taken: list[Box]
) -> None:
    """Write one name at a place, or as near above or below it as the names already written allow."""
    letters, pad = font(13 * unit), 4 * unit
    for shift in (0, 24, -24, 48, -48, 72, -72):
        centre = (place[0], place[1] + shift * unit)
        left, top, right, bottom = pen.textbbox(centre, pattern.name, letters, anchor="mm")
        box = (left - pad, top - pad, right + pad, bottom + pad)
        if not any(_overlap(box, other) for other in taken):
            break
    taken.append(box)
    pen.rounded_rectangle(box, 3 * unit, PAPER)
    pen.text(centre, pattern.name, pattern.colour, letters, anchor="mm")


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _legend(pen: ImageDraw.ImageDraw, segmentation: Segmentation, size: GridShape, unit: float) -> None:
    height, width = size
    covers = segmentation.covers
    first, second = height + 14 * unit, height + 32 * unit
    step = width / (len(DEFAULT_PATTERNS) + 2)
    for index, pattern in enumerate(DEFAULT_PATTERNS):
        x = 12 * unit + index * step
        present = pattern.name in segmentation.present
        swatch = (x, first - 6 * unit, x + 12 * unit, first + 6 * unit)
        if present:
            pen.rectangle(swatch, pattern.colour)
        else:
            pen.rectangle(swatch, outline=FAINT, width=max(1, round(unit)))
        pen.text(
            (x + 18 * unit, first), pattern.name, INK if present else FAINT, font(13 * unit), anchor="lm"
        )
        share = f"{covers[pattern.name]:.0%}" if present else "not found"
        pen.text((x + 18 * unit, second), share, INK if present else FAINT, font(12 * unit), anchor="lm")
    right, longest = width - 12 * unit, 2 * step - 24 * unit
    name = shortened(brief_name(segmentation.scene.name), longest, font(12 * unit))
    pen.text((right, first), name, INK, font(12 * unit), anchor="rm")
    data = segmentation.valid_mask.mean()
    note = f"model {segmentation.card.name}" if data else "no data in this picture"
    note += f", no data in {1 - data:.0%}" if 0 < data < 0.995 else ""
    pen.text((right, second), shortened(note, longest, font(12 * unit)), FAINT, font(12 * unit), anchor="rm")


FORMAT = Format(
    name="overlay",
    description="The picture with its patterns in colour",
    media_type="image/jpeg",
    render=render,
    endings=("_overlay.jpg",),
    web=Web(
        label="Overlay",
        kind="PNG",
        media_type="image/png",
        ending="_overlay.png",
        render=lambda segmentation: png(draw(segmentation)),
    ),
)
