"""`panel`: the picture, and a probability map and a mask for each pattern, as in a paper's figure."""

from string import ascii_lowercase

import cv2
import numpy as np
from PIL import Image as PilImage
from PIL import ImageDraw

from nephoscope.core.patterns import Pattern
from nephoscope.core.types import GridShape, Image
from nephoscope.imagery.resize import resize
from nephoscope.inference.segmentation import Segmentation
from nephoscope.outputs.format import Format
from nephoscope.plotting.drawing import FAINT, drawing, font, png, shortened

_CELL_WIDTH = 420  # px
_GAP = 14
_HEADING = 30
_COLOURS = cv2.COLORMAP_CIVIDIS  # even steps to every colour vision, and in grey
_BLACK = (20, 20, 20)
_GREY = (205, 205, 205)  # no data


def render(segmentation: Segmentation) -> list[bytes]:
    """Render a PNG: the picture, then a column a pattern with its probability above and its mask below."""
    height, width = segmentation.probabilities.shape[1:]
    cell = (max(1, round(_CELL_WIDTH * height / width)), _CELL_WIDTH)
    tall = 2 * cell[0] + _HEADING + _GAP
    large = (tall, max(1, round(tall * width / height)))
    patterns = segmentation.card.styled_patterns
    letters = ascii_lowercase[1:]
    page_width = 2 * _GAP + large[1] + len(patterns) * (cell[1] + _GAP)
    page = np.full((2 * _GAP + 2 * _HEADING + large[0], page_width, 3), 255, np.uint8)
    image, pen = drawing(page)
    name = shortened(segmentation.scene.name, large[1] - 40, font(20))
    _place(image, pen, resize(segmentation.prediction.raster.pixels, large), (_GAP, _GAP), f"a  {name}")
    for index, pattern in enumerate(patterns):
        x = 2 * _GAP + large[1] + index * (cell[1] + _GAP)
        rule = segmentation.card.rules[pattern.name]
        probability = _map(segmentation, index, cell)
        _place(image, pen, probability, (x, _GAP), f"{letters[index]}  {pattern.name}: probability")
        present = pattern.name in segmentation.present
        share = f"{segmentation.area_fractions[pattern.name]:.0%}" if present else "not found"
        lower = 2 * _GAP + _HEADING + cell[0]
        heading = f"{letters[len(patterns) + index]}  {pattern.name}: mask, {share}"
        _place(image, pen, _mask(segmentation, pattern, cell), (x, lower), heading)
        foot = f"score {segmentation.scores[pattern.name]:.2f} (present from {rule.presence:.2f})"
        if pattern.name in (chances := segmentation.presence_probabilities):
            foot = f"presence: probability {chances[pattern.name]:.2f}, {foot}"
        pen.text((x + cell[1], page.shape[0] - _GAP - 8), foot, (90, 90, 90), font(15), anchor="rm")
    _colour_bar(image, pen, (_GAP, page.shape[0] - _GAP - 16), large[1] // 2)
    return [png(np.asarray(image))]


def _map(segmentation: Segmentation, index: int, cell: GridShape) -> Image:
    levels = (segmentation.probabilities[index] * 255).round().astype(np.uint8)
    colours = cv2.cvtColor(cv2.applyColorMap(levels, _COLOURS), cv2.COLOR_BGR2RGB)
    colours[~segmentation.valid_mask] = _GREY
    return resize(np.asarray(colours, np.uint8), cell)


def _mask(segmentation: Segmentation, pattern: Pattern, cell: GridShape) -> Image:
    mask = segmentation.mask(pattern.name)
    picture = np.full((*mask.shape, 3), 245, np.uint8)
    picture[~segmentation.valid_mask] = _GREY
    picture[mask] = pattern.colour
    return resize(picture, cell)


def _place(
    image: PilImage.Image, pen: ImageDraw.ImageDraw, picture: Image, corner: tuple[int, int], heading: str
) -> None:
    x, y = corner
    pen.text((x, y + _HEADING / 2 - 2), heading, _BLACK, font(20), anchor="lm")
    image.paste(PilImage.fromarray(picture), (x, y + _HEADING))
    pen.rectangle(
        (x, y + _HEADING, x + picture.shape[1] - 1, y + _HEADING + picture.shape[0] - 1), outline=FAINT
    )


def _colour_bar(
    image: PilImage.Image, pen: ImageDraw.ImageDraw, corner: tuple[int, int], length: int
) -> None:
    x, y = corner
    levels = np.tile(np.linspace(0, 255, length).astype(np.uint8), (14, 1))
    bar = cv2.cvtColor(cv2.applyColorMap(levels, _COLOURS), cv2.COLOR_BGR2RGB)
    pen.text((x, y + 8), "probability 0", _BLACK, font(15), anchor="lm")
    image.paste(PilImage.fromarray(np.asarray(bar, np.uint8)), (x + 105, y))
    pen.text((x + length + 112, y + 8), "1", _BLACK, font(15), anchor="lm")
    pen.rectangle((x + length + 150, y, x + length + 164, y + 14), fill=_GREY)
    pen.text((x + length + 172, y + 8), "no data", _BLACK, font(15), anchor="lm")


FORMAT = Format(
    name="panel",
    description="The picture, and a probability map and a mask for each pattern, as in a paper's figure",
    media_type="image/png",
    render=render,
    endings=("_panel.png",),
    web=None,
)
