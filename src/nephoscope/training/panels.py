"""Panels of validation scenes: labels above, predictions below."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nephoscope.core.patterns import Pattern
from nephoscope.core.types import SCORE_GRID, Image, Mask
from nephoscope.imagery.resize import resize, resize_mask
from nephoscope.imagery.scene import find_nodata
from nephoscope.inference.postprocess import Rule, resample, segment_pattern
from nephoscope.plotting.drawing import FAINT, INK, PAPER, drawing, font, shortened, tint_and_outline

COUNT = 8
_ACROSS = 4
_CELL = (200, 300)  # px
_LINE = 20
_EDGE = 2


class Scene(NamedTuple):
    """A scene to draw, with its labels as bits, its probabilities, and those of the presence head."""

    name: str
    pixels: Image
    bits: NDArray[np.uint8]
    probabilities: NDArray[np.float32]
    presence: NDArray[np.float32] | None


def choose(scenes: Sequence[int], seed: int) -> list[int]:
    """Eight scenes (or all, if they are fewer), the same for the same seed."""
    count = min(COUNT, len(scenes))
    return sorted(np.random.default_rng(seed).choice(np.asarray(scenes), count, replace=False).tolist())


def draw(
    scenes: Sequence[Scene], patterns: Sequence[Pattern], rules: Mapping[str, Rule], title: str
) -> Image:
    """Draw a panel, with the patterns in the order of the bits and the rules on the grid of 350x525."""
    down = -(-len(scenes) // _ACROSS)
    height = 2 * _LINE + down * (2 * _CELL[0] + 2 * _EDGE + _LINE)
    page = np.full((height, _ACROSS * (_CELL[1] + _EDGE), 3), PAPER, np.uint8)
    corners = []
    for index, scene in enumerate(scenes):
        row, column = divmod(index, _ACROSS)
        top, left = 2 * _LINE + row * (2 * _CELL[0] + 2 * _EDGE + _LINE), column * (_CELL[1] + _EDGE)
        corners.append((left + 4, top + _LINE / 2))
        labels = [(scene.bits >> bit & 1).astype(np.bool_) for bit in range(len(patterns))]
        for half, masks in enumerate((labels, _predicted(scene, patterns, rules))):
            y = top + _LINE + half * (_CELL[0] + _EDGE)
            page[y : y + _CELL[0], left : left + _CELL[1]] = _tinted(scene.pixels, masks, patterns)
    image, pen = drawing(page)
    pen.text((6, _LINE / 2), title, INK, font(13), anchor="lm")
    x = 6.0
    for pattern in patterns:
        pen.rectangle((x, 1.3 * _LINE, x + 10, 1.8 * _LINE), pattern.colour)
        pen.text((x + 15, 1.55 * _LINE), pattern.name, INK, font(12), anchor="lm")
        x += max(80, 30 + font(12).getlength(pattern.name))
    pen.text((x, 1.55 * _LINE), "above: people's masks, below: predicted", FAINT, font(12), anchor="lm")
    for corner, scene in zip(corners, scenes, strict=True):
        pen.text(corner, shortened(scene.name, _CELL[1] - 10, font(11)), FAINT, font(11), anchor="lm")
    return np.asarray(image)


def _predicted(scene: Scene, patterns: Sequence[Pattern], rules: Mapping[str, Rule]) -> list[Mask]:
    valid_mask = ~find_nodata(scene.pixels)
    heads = [None] * len(patterns) if scene.presence is None else scene.presence.tolist()
    return [
        segment_pattern(resample(field * valid_mask, SCORE_GRID), rules[pattern.name], head_probability=head)[
            0
        ]
        > 0
        for pattern, field, head in zip(patterns, scene.probabilities, heads, strict=True)
    ]


def _tinted(pixels: Image, masks: Sequence[Mask], patterns: Sequence[Pattern]) -> Image:
    cell = resize(pixels, _CELL).copy()
    fitted = (resize_mask(mask, _CELL) for mask in masks)
    tint_and_outline(cell, list(zip(patterns, fitted, strict=True)))
    return cell
