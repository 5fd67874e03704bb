"""A picture of how a network does: the same validation scenes each time, truth above, prediction below."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nephoscope.core.patterns import DEFAULT_NAMES, DEFAULT_PATTERNS
from nephoscope.core.types import SCORE_GRID, Image, Mask
from nephoscope.datasets.catalogue import Record
from nephoscope.imagery.resize import resize, resize_mask
from nephoscope.imagery.scene import find_nodata
from nephoscope.inference.postprocess import Rule, resample, segment_pattern
from nephoscope.plotting.drawing import FAINT, INK, PAPER, drawing, font, shortened, tint_and_outline

COUNT = 8
_ACROSS = 4
_CELL = (200, 300)  # px
_LINE = 20
_EDGE = 2


def choose(scenes: Sequence[int], seed: int) -> list[int]:
    """Eight of some scenes (or all, if they are fewer), the same for the same seed."""
    count = min(COUNT, len(scenes))
    return sorted(np.random.default_rng(seed).choice(np.asarray(scenes), count, replace=False).tolist())


def draw(
    pictures: Sequence[Image],
    truth: Sequence[NDArray[np.uint8]],
    probabilities: Sequence[NDArray[np.float32]],
    heads: Sequence[NDArray[np.float32] | None],
    records: Sequence[Record],
    rules: dict[str, Rule],
    title: str,
) -> Image:
    """Draw a panel.

    Args:
        pictures: red, green, blue, each of shape (height, width, 3).
        truth: one bit a pattern, each of shape (height, width).
        probabilities: each of shape (patterns, height, width).
        heads: what the presence head says of each, shape (patterns,), or None.
        records: what the scenes are called.
        rules: how probabilities become masks, on the grid of 350x525.
        title: written above.
    """
    down = -(-len(pictures) // _ACROSS)
    height = 2 * _LINE + down * (2 * _CELL[0] + 2 * _EDGE + _LINE)
    page = np.full((height, _ACROSS * (_CELL[1] + _EDGE), 3), PAPER, np.uint8)
    names = []
    together = zip(pictures, truth, probabilities, heads, strict=True)
    for index, (picture, bits, field, head) in enumerate(together):
        row, column = divmod(index, _ACROSS)
        top, left = 2 * _LINE + row * (2 * _CELL[0] + 2 * _EDGE + _LINE), column * (_CELL[1] + _EDGE)
        names.append((left + 4, top + _LINE / 2))
        true = [(bits >> pattern & 1).astype(np.bool_) for pattern in range(len(DEFAULT_NAMES))]
        for place, masks in enumerate((true, _masks(field * ~find_nodata(picture), head, rules))):
            y = top + _LINE + place * (_CELL[0] + _EDGE)
            page[y : y + _CELL[0], left : left + _CELL[1]] = _tinted(picture, masks)
    image, pen = drawing(page)
    pen.text((6, _LINE / 2), title, INK, font(13), anchor="lm")
    x = 6.0
    for pattern in DEFAULT_PATTERNS:
        pen.rectangle((x, 1.3 * _LINE, x + 10, 1.8 * _LINE), pattern.colour)
        pen.text((x + 15, 1.55 * _LINE), pattern.name, INK, font(12), anchor="lm")
        x += 80
    pen.text((x, 1.55 * _LINE), "above: people's masks, below: predicted", FAINT, font(12), anchor="lm")
    for corner, record in zip(names, records, strict=True):
        pen.text(corner, shortened(record.image, _CELL[1] - 10, font(11)), FAINT, font(11), anchor="lm")
    return np.asarray(image)


def _masks(
    field: NDArray[np.float32], head: NDArray[np.float32] | None, rules: dict[str, Rule]
) -> list[Mask]:
    return [
        segment_pattern(
            resample(probability, SCORE_GRID),
            rules[name],
            presence_probability=None if head is None else float(head[index]),
        )[0]
        > 0
        for index, (name, probability) in enumerate(zip(DEFAULT_NAMES, field, strict=True))
    ]


def _tinted(picture: Image, masks: Sequence[Mask]) -> Image:
    cell = resize(picture, _CELL).copy()
    fitted = (resize_mask(mask, _CELL) for mask in masks)
    tint_and_outline(cell, list(zip(DEFAULT_PATTERNS, fitted, strict=True)))
    return cell
