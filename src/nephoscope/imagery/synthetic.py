"""Synthetic scenes with known patterns, for tests and offline trials. They are not observations.

Clouds of the patterns (`cloud_fields`) fill a few tilted boxes; the box is the pattern's true mask, as the
contest's rectangles are. Clouds of no pattern lie around them. The corner is marked "SYNTHETIC".
"""

import dataclasses
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image as PilImage
from PIL import ImageDraw, ImageFont

from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import LABEL_GRID, GridShape, Image, Mask
from nephoscope.imagery.cloud_fields import SCATTERED, TEXTURES, Field, Noise

SAMPLE_NAME = "synthetic_sample.jpg"
SAMPLE_SEED = 8

_TINT = np.array([-9, -5, 14], np.float32)  # red, green, blue of the dark sea, less their mean: as measured
_GLINT = np.array([1, 1, 0.93], np.float32)
_MARGIN = 25  # units around a box over which its clouds give way to others


@dataclass(frozen=True, eq=False)
class SyntheticScene:
    """A synthetic picture and its true masks."""

    pixels: Image
    masks: dict[str, Mask]  # by pattern, shape (height, width); false where there is no data


def make_scene(
    seed: int,
    size: GridShape = LABEL_GRID,
    patterns: tuple[str, ...] | None = None,
    *,
    glint: bool | None = None,
    cirrus: bool = False,
) -> SyntheticScene:
    """Make a synthetic scene.

    Args:
        seed: the same seed makes the same scene.
        size: height and width in pixels; the drawing scales with it.
        patterns: names of the patterns to draw, at most four. Default: one to three at random.
        glint: whether the sun glints on a strip of the sea. Default: in one scene of two.
        cirrus: whether a thin veil of ice cloud lies over a part of it.
    """
    rng = np.random.default_rng(seed)
    if patterns is None:
        patterns = tuple(rng.permutation(DEFAULT_NAMES)[: rng.integers(1, 4)].tolist())
    noise = Noise(rng, size, unit=size[1] / 525, wind=rng.uniform(-0.35, 0.35))
    bright = SCATTERED.draw(noise)
    masks = {name: np.zeros(size, np.bool_) for name in DEFAULT_NAMES}
    for name, area in zip(patterns, _areas(rng, size, len(patterns)), strict=True):
        _fill(bright, area, name, noise)
        masks[name] |= area
    if cirrus:
        bright = _veil(bright, noise)
    picture = _colours(bright, noise, rng.random() < 0.5 if glint is None else glint)
    nodata = _swath_gap(rng, size)
    picture[nodata] = 0
    unit = noise.unit
    image = PilImage.fromarray(picture)
    corner, letters = (6 * unit, size[0] - 6 * unit), ImageFont.load_default(max(6.0, 9 * unit))
    ImageDraw.Draw(image).text(corner, "SYNTHETIC", (200, 205, 215), letters, anchor="ls")
    return SyntheticScene(np.array(image), {name: mask & ~nodata for name, mask in masks.items()})


def sample() -> bytes:
    """The built-in sample: a JPEG of 2100x1400 px with all four patterns."""
    return encode_jpeg(make_scene(SAMPLE_SEED, patterns=DEFAULT_NAMES).pixels)


def _fill(bright: Field, area: Mask, name: str, noise: Noise) -> None:
    """Draw the clouds of a pattern into its area, with a ragged border."""
    unit, margin = noise.unit, int(_MARGIN * noise.unit)
    left, top, width, height = cv2.boundingRect(area.view(np.uint8))
    box = (
        slice(max(top - margin, 0), top + height + margin),
        slice(max(left - margin, 0), left + width + margin),
    )
    inner = dataclasses.replace(noise, shape=bright[box].shape)
    inside = cv2.GaussianBlur(area[box].astype(np.float32), (0, 0), 10 * unit)
    ragged = inner.power_law(1.5, 40, smooth=True)
    share = np.clip(2 * inside - 0.5 + 2 * ragged * inside * (1 - inside), 0, 1)
    share = cv2.GaussianBlur(share, (0, 0), 2 * unit)
    bright[box] += share * (TEXTURES[name].draw(inner) - bright[box])


def _veil(bright: Field, noise: Noise) -> Field:
    """Cirrus: streaks that hide what lies below in part."""
    streaks = noise.power_law(1.8, 60, stretch=5) + noise.power_law(3, 300, smooth=True)
    opacity = 0.6 * np.clip((streaks - 0.5) / 2.5, 0, 1)
    return np.asarray(bright + opacity * (190 - bright), np.float32)


def _colours(bright: Field, noise: Noise, glint: bool) -> Image:
    """The picture of a field of brightness."""
    height, width = noise.shape
    clear = 1 - bright[..., None] / 255
    sea = _TINT * noise.rng.uniform(0.6, 1.7) + 3 * noise.power_law(3, 400, smooth=True)[..., None]
    if glint:
        rows, columns = np.mgrid[:height, :width].astype(np.float32)
        middle, broad = noise.rng.uniform(0.1, 0.9) * width, noise.rng.uniform(0.06, 0.16) * width
        strip = np.exp(-(((columns - middle - 0.08 * (rows - height / 2)) / broad) ** 2) / 2)
        sea = sea + (noise.rng.uniform(30, 80) * strip)[..., None] * _GLINT
    return np.clip(bright[..., None] + clear * sea, 0, 255).astype(np.uint8)


def _areas(rng: np.random.Generator, size: GridShape, count: int) -> list[Mask]:
    """Separate, slightly tilted boxes: one a cell of a two by two board, larger where they are fewer."""
    height, width = size
    columns = 1 if count == 1 else 2
    rows = 2 if count > 2 else 1
    cells = [(row, column) for row in range(rows) for column in range(columns)]
    areas = []
    for cell in rng.permutation(len(cells))[:count]:
        row, column = cells[cell]
        centre = ((column + 0.5) * width / columns, (row + 0.5) * height / rows)
        share = rng.uniform(0.82, 0.98, 2) if count > 1 else rng.uniform(0.5, 0.8, 2)
        box = cv2.boxPoints(
            (centre, (share[0] * width / columns, share[1] * height / rows), rng.uniform(-4, 4))
        )
        area = np.zeros(size, np.uint8)
        cv2.fillPoly(area, [box.round().astype(np.int32)], 1)
        areas.append(area.view(np.bool_))
    return areas


def _swath_gap(rng: np.random.Generator, size: GridShape) -> Mask:
    """A black wedge from top to bottom, as between two passes of a satellite; in two scenes of three."""
    nodata = np.zeros(size, np.uint8)
    if rng.random() < 2 / 3:
        height, width = size
        top, lean = rng.uniform(0.05, 0.95) * width, rng.uniform(0.08, 0.14) * width
        broad = rng.uniform(0.03, 0.07) * width
        corners = [(top, 0), (top + broad, 0), (top + lean + 2 * broad, height), (top + lean, height)]
        cv2.fillPoly(nodata, [np.array(corners).round().astype(np.int32)], 1)
    return nodata.view(np.bool_)


def encode_jpeg(pixels: Image) -> bytes:
    """A picture as a JPEG file's content."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, 90]
    return bytes(cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), quality)[1])
