"""`overlay`: the picture with its patterns in colour, outlined and named, and a legend with their cover."""

import numpy as np
from PIL import ImageDraw

from nephoscope.core.geo import brief_name
from nephoscope.core.types import GridShape, Image
from nephoscope.imagery.resize import resize
from nephoscope.inference.segmentation import Segmentation
from nephoscope.outputs.format import Format, Web
from nephoscope.plotting.drawing import FAINT, INK, annotate, font, jpeg, png, shortened

_LONGEST_SIDE = 4096  # px; a larger picture is drawn smaller
_LEAST_WIDTH = 700  # px; a smaller picture is drawn larger, so that its legend can be read


def render(segmentation: Segmentation) -> list[bytes]:
    """Render a JPEG at the picture's own size, the legend below it."""
    return [jpeg(draw(segmentation))]


def draw(segmentation: Segmentation) -> Image:
    """Draw the overlay as pixels: red, green, blue, shape (height, width, 3)."""
    raster, (height, width) = segmentation.scene.read(), segmentation.scene.size
    scale = min(_LONGEST_SIDE / max(height, width), max(1.0, _LEAST_WIDTH / width))
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    unit = max(1.0, size[1] / 700)  # px
    masks = [(each, segmentation.mask(each.name, size)) for each in segmentation.card.styled_patterns]
    pixels = resize(raster.pixels, size)
    image, pen = annotate(pixels, raster.valid_mask, masks, unit, below=round(44 * unit))
    _legend(pen, segmentation, size, unit)
    return np.asarray(image)


def _legend(pen: ImageDraw.ImageDraw, segmentation: Segmentation, size: GridShape, unit: float) -> None:
    height, width = size
    first, second = height + 14 * unit, height + 32 * unit
    patterns = segmentation.card.styled_patterns
    step = width / (len(patterns) + 2)
    for index, pattern in enumerate(patterns):
        x = 12 * unit + index * step
        present = pattern.name in segmentation.present
        ink = INK if present else FAINT
        swatch = (x, first - 6 * unit, x + 12 * unit, first + 6 * unit)
        if present:
            pen.rectangle(swatch, pattern.colour)
        else:
            pen.rectangle(swatch, outline=FAINT, width=max(1, round(unit)))
        name = shortened(pattern.name, max(step - 24 * unit, 60 * unit), font(13 * unit))
        pen.text((x + 18 * unit, first), name, ink, font(13 * unit), anchor="lm")
        share = f"{segmentation.area_fractions[pattern.name]:.0%}" if present else "not found"
        pen.text((x + 18 * unit, second), share, ink, font(12 * unit), anchor="lm")
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
    save_endings=(".jpg", ".jpeg"),
    web=Web(
        label="Overlay",
        kind="PNG",
        media_type="image/png",
        ending="_overlay.png",
        render=lambda segmentation: png(draw(segmentation)),
    ),
)
