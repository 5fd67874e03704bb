"""Drawing on pictures: annotated scenes, legends, letters, swatches and hatching."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from PIL import Image as PilImage
from PIL import ImageDraw, ImageFont

from nephoscope.core.patterns import Pattern
from nephoscope.core.types import Image, Mask
from nephoscope.imagery.resize import resize, resize_mask
from nephoscope.imagery.scene import Raster

Colour = tuple[int, int, int]
Box = tuple[float, float, float, float]
PatternMasks = Sequence[tuple[Pattern, Mask]]

INK: Colour = (236, 239, 244)
FAINT: Colour = (128, 136, 150)
PAPER: Colour = (24, 28, 36)
NO_DATA: Colour = (58, 62, 70)

_STRENGTH = 0.28  # of a pattern's colour over the clouds
_STEP = 4  # px; names are placed on a grid this coarse
_SPACE = 10  # px between scenes side by side


def font(height: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own typeface at a height in pixels."""
    return ImageFont.load_default(max(8.0, height))


def tint(pixels: Image, mask: Mask, colour: Colour, strength: float = _STRENGTH) -> None:
    """Mix a colour into a picture, in place, where a mask is on."""
    if mask.any():
        x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
        box = np.s_[y : y + height, x : x + width]
        coloured = cv2.addWeighted(pixels[box], 1 - strength, np.full_like(pixels[box], colour), strength, 0)
        cv2.copyTo(coloured, mask[box].view(np.uint8), pixels[box])


def hatch(pixels: Image, where: Mask, spacing: int) -> None:
    """Fill an area, in place, with thin diagonal lines: no data."""
    if where.any():
        width = where.shape[1]
        line = np.arange(width + spacing) % spacing < max(1, spacing // 8)
        for row, inside in enumerate(where):  # positions of the whole area would need much memory
            start = row % spacing
            pixels[row, inside & line[start : start + width]] = NO_DATA


def tint_and_outline(pixels: Image, masks: PatternMasks, unit: float = 1.0) -> None:
    """Draw masks onto a picture, in place: each in its pattern's colour, its edges on a dark line."""
    for pattern, mask in masks:
        tint(pixels, mask, pattern.colour)
    for pattern, mask in masks:
        contours, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(pixels, contours, -1, PAPER, round(4 * unit), cv2.LINE_AA)
        cv2.drawContours(pixels, contours, -1, pattern.colour, round(2 * unit), cv2.LINE_AA)


def annotate(
    pixels: Image, valid_mask: Mask, masks: PatternMasks, unit: float = 1.0, above: int = 0, below: int = 0
) -> tuple[PilImage.Image, ImageDraw.ImageDraw]:
    """Draw a scene with its patterns tinted, outlined and named, and no data hatched.

    Args:
        pixels: red, green, blue, at the size of the drawing; left unchanged.
        valid_mask: where there is data, of any shape over the same area.
        masks: of the same shape as the pixels.
        unit: width of a thin line in pixels; letters and margins scale with it.
        above: height of an empty bar above the scene, in pixels.
        below: the same below it.

    Returns:
        The drawing, and a pen to write in its bars.
    """
    height, width = pixels.shape[:2]
    page = np.full((above + height + below, width, 3), PAPER, np.uint8)
    scene = page[above : above + height]
    scene[:] = pixels
    hatch(scene, ~resize_mask(valid_mask, (height, width)), spacing=round(12 * unit))
    tint_and_outline(scene, masks, unit)
    image, pen = drawing(page)
    for pattern, (x, y), (left, top, right, bottom) in place_names(masks, unit):
        pen.rounded_rectangle((left, top + above, right, bottom + above), 3 * unit, PAPER)
        pen.text((x, y + above), pattern.name, pattern.colour, font(13 * unit), anchor="mm")
    return image, pen


def place_names(masks: PatternMasks, unit: float = 1.0) -> list[tuple[Pattern, tuple[float, float], Box]]:
    """Find where to write the pattern's name of each region that is large enough for it.

    This is where the region is widest, or as near to it as other names allow.

    Args:
        masks: of one shape, which is that of the drawing.
        unit: width of a thin line in pixels; letters are 13 times as high.

    Returns:
        The pattern, the centre of its name, and the name's box, in pixels, for each.
    """
    _, pen = drawing(np.zeros((1, 1, 3), np.uint8))
    letters, pad = font(13 * unit), 4 * unit
    placed: list[tuple[Pattern, tuple[float, float], Box]] = []
    for pattern, mask in masks:
        coarse = np.pad(mask[::_STEP, ::_STEP].view(np.uint8), 1)
        count, labels = cv2.connectedComponents(coarse, connectivity=8)
        depth = cv2.distanceTransform(coarse, cv2.DIST_L2, 3)
        for number in range(1, count):
            _, deepest, _, (column, row) = cv2.minMaxLoc(depth, (labels == number).view(np.uint8))
            if deepest * _STEP <= 10 * unit:
                continue
            x, y = (column - 0.5) * _STEP, (row - 0.5) * _STEP
            for shift in (0, 24, -24, 48, -48, 72, -72):
                centre = (x, y + shift * unit)
                left, top, right, bottom = pen.textbbox(centre, pattern.name, letters, anchor="mm")
                box = (left - pad, top - pad, right + pad, bottom + pad)
                if not any(_overlap(box, other) for _, _, other in placed):
                    break
            placed.append((pattern, centre, box))
    return placed


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def draw_scene(
    scene: Raster, patterns: Sequence[Pattern], masks: Mapping[str, Mask], width: int, title: str = ""
) -> Image:
    """Draw an annotated scene at a width in pixels, with an optional title in a bar above it.

    Masks may have any shape over the same area; patterns without one are left out.
    """
    size = (round(width * scene.pixels.shape[0] / scene.pixels.shape[1]), width)
    drawn = [(each, resize_mask(masks[each.name], size)) for each in patterns if each.name in masks]
    bar = 24 if title else 0
    image, pen = annotate(resize(scene.pixels, size), scene.valid_mask, drawn, above=bar)
    letters = font(13)
    pen.text((8, bar / 2), shortened(title, width - 16, letters), INK, letters, anchor="lm")
    return np.asarray(image)


def legend(patterns: Sequence[Pattern], width: int) -> Image:
    """Draw a legend of patterns and "no data", a line each; red, green, blue, `width` pixels wide."""
    line, last = 26, len(patterns)
    image, pen = drawing(np.full((line * (last + 1) + 12, width, 3), PAPER, np.uint8))
    for row, pattern in enumerate(patterns):
        pen.rectangle((12, line * row + 12, 47, line * (row + 1) - 1), pattern.colour)
    texts = [": ".join(filter(None, (pattern.name, pattern.meaning))) for pattern in patterns]
    for row, text in enumerate([*texts, "No data: outside of the satellite's swaths"]):
        pen.text((60, line * row + 6 + line / 2), text, INK, font(14), anchor="lm")
    page = np.array(image)
    swatch = page[line * last + 12 : line * (last + 1), 12:48]
    swatch[:] = 0
    hatch(swatch, np.ones(swatch.shape[:2], np.bool_), spacing=8)
    return page


def side_by_side(pictures: Sequence[Image]) -> Image:
    """Put pictures in a row, their tops in line, dark between them and below the lower ones."""
    height = max(picture.shape[0] for picture in pictures)
    columns = [
        cv2.copyMakeBorder(each, 0, height - each.shape[0], 0, _SPACE, cv2.BORDER_CONSTANT, value=PAPER)
        for each in pictures
    ]
    return np.asarray(np.hstack(columns)[:, :-_SPACE], np.uint8)


def shortened(text: str, longest: float, letters: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """A text that fits into a length in pixels, its middle replaced by an ellipsis where it is longer."""
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


def jpeg(pixels: Image, quality: int = 90) -> bytes:
    """A picture as a JPEG file's content, with the full colour resolution that keeps thin lines crisp."""
    sampling = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
    options = (cv2.IMWRITE_JPEG_QUALITY, quality, *sampling)
    return bytes(cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), options)[1])
