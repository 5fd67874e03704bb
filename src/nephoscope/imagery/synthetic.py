"""Synthetic scenes with known patterns, for tests and offline trials. They are not observations.

Clouds are drawn from filtered noise in a few polygons a scene, each textured as one pattern; the polygon is
the pattern's true mask, as the contest's rectangles are. The corner is marked "SYNTHETIC".
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PilImage
from PIL import ImageDraw, ImageFont

from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import LABEL_GRID, GridShape, Image, Mask

Field = NDArray[np.float32]

SAMPLE_NAME = "synthetic_sample.jpg"
SAMPLE_SEED = 53

_SEA = np.array([15, 20, 38], np.float32)  # as in the darkest sixth of real scenes
_CLOUD = np.array([236, 238, 242], np.float32)


@dataclass(frozen=True, eq=False)
class SyntheticScene:
    """A synthetic picture and its true masks."""

    pixels: Image
    masks: dict[str, Mask]  # by pattern, shape (height, width); false where there is no data


def make_scene(
    seed: int, size: GridShape = LABEL_GRID, patterns: tuple[str, ...] | None = None
) -> SyntheticScene:
    """Make a synthetic scene.

    Args:
        seed: the same seed makes the same scene.
        size: height and width in pixels; the drawing scales with it.
        patterns: names of the patterns to draw, at most four. Default: one to three at random.
    """
    rng = np.random.default_rng(seed)
    if patterns is None:
        patterns = tuple(rng.permutation(DEFAULT_NAMES)[: rng.integers(1, 4)].tolist())
    unit = size[1] / 525  # px; patterns are drawn in units of a 525 px wide picture
    haze = _noise(rng, size, 60 * unit) + 0.5 * _noise(rng, size, 20 * unit)
    cloud = 0.03 * np.clip(haze, 0, None)
    masks = {name: np.zeros(size, np.bool_) for name in DEFAULT_NAMES}
    for name, area in zip(patterns, _areas(rng, size, len(patterns)), strict=True):
        texture = _TEXTURES[name](rng, size, unit)
        edge = cv2.GaussianBlur(area.astype(np.float32), (0, 0), 5 * unit)
        cloud = np.maximum(cloud, texture * np.clip(2 * edge, 0, 1))
        masks[name] |= area
    light = 1 + 0.12 * _noise(rng, size, 120 * unit)
    picture = _SEA * light[..., None] + (_CLOUD - _SEA) * np.clip(cloud, 0, 1)[..., None]
    picture += rng.normal(0, 3, size)[..., None]
    nodata = _swath_gap(rng, size)
    picture = np.clip(picture, 12, 255).astype(np.uint8)
    picture[nodata] = 0
    image = PilImage.fromarray(picture)
    corner, letters = (6 * unit, size[0] - 6 * unit), ImageFont.load_default(max(6.0, 9 * unit))
    ImageDraw.Draw(image).text(corner, "SYNTHETIC", (200, 205, 215), letters, anchor="ls")
    return SyntheticScene(np.array(image), {name: mask & ~nodata for name, mask in masks.items()})


def sample() -> bytes:
    """The built-in sample: a JPEG of 2100x1400 px with all four patterns."""
    return encode_jpeg(make_scene(SAMPLE_SEED, patterns=DEFAULT_NAMES).pixels)


def _noise(rng: np.random.Generator, size: GridShape, scale: float) -> Field:
    """Smooth noise of mean 0 and deviation 1 whose bumps are about `scale` pixels wide."""
    step = max(1.0, scale / 3)
    small = rng.normal(size=(int(size[0] / step) + 8, int(size[1] / step) + 8)).astype(np.float32)
    smooth = cv2.GaussianBlur(small, (0, 0), scale / step / 2)
    field = cv2.resize(smooth, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray((field - field.mean()) / (field.std() + 1e-6), np.float32)


def _ramp(field: Field, low: float, high: float) -> Field:
    return np.asarray(np.clip((field - low) / (high - low), 0, 1), np.float32)


def _fractal(rng: np.random.Generator, size: GridShape, largest: float, smallest: float) -> Field:
    """Noise with bumps of every width between two, the larger ones stronger, as in real cloud fields."""
    field = np.zeros(size, np.float32)
    scale = largest
    while scale >= smallest:
        field += _noise(rng, size, scale) * (scale / largest) ** 0.6
        scale /= 2
    return np.asarray(field / field.std(), np.float32)


def _sugar(rng: np.random.Generator, size: GridShape, unit: float) -> Field:
    """Fine dust: tiny clouds everywhere, in faint streets, none of them large."""
    dust = _fractal(rng, size, 3 * unit, 0.7 * unit) + 0.6 * _noise(rng, size, 25 * unit)
    return 0.36 * _ramp(dust, 0.1, 2.6)


def _gravel(rng: np.random.Generator, size: GridShape, unit: float) -> Field:
    """Small arcs and rings: granular cloud on the rims of cold pools."""
    pools = np.zeros(size, np.float32)
    for _ in range(int(2200 * size[0] / size[1])):
        centre = (int(rng.integers(size[1])), int(rng.integers(size[0])))
        radius = rng.uniform(3, 10) * unit
        axes = (int(radius), max(1, int(radius * rng.uniform(0.6, 1))))
        begin = rng.uniform(0, 360)
        width = max(1, round(rng.uniform(1, 2.4) * unit))
        arc = begin + rng.uniform(100, 300)
        cv2.ellipse(pools, centre, axes, rng.uniform(0, 180), begin, arc, 1.0, width)
    rims = cv2.GaussianBlur(pools, (0, 0), 0.8 * unit) + 0.35 * _fractal(rng, size, 40 * unit, 0.7 * unit)
    return 0.9 * _ramp(rims, 0.5, 1.5)


def _flower(rng: np.random.Generator, size: GridShape, unit: float) -> Field:
    """Large separate clumps of stratiform cloud, bright and ragged, with clear sky between."""
    clumps = np.zeros(size, np.float32)
    spacing = 62 * unit
    for y in np.arange(0, size[0] + spacing, spacing):
        for x in np.arange(0, size[1] + spacing, spacing):
            centre = (int(x + rng.normal(0, 12) * unit), int(y + rng.normal(0, 12) * unit))
            axes = (int(rng.uniform(16, 29) * unit), int(rng.uniform(13, 22) * unit))
            cv2.ellipse(clumps, centre, axes, rng.uniform(0, 180), 0, 360, 1.0, -1)
    ragged = cv2.GaussianBlur(clumps, (0, 0), 7 * unit) + 0.2 * _fractal(rng, size, 16 * unit, 1.2 * unit)
    return _ramp(ragged, 0.42, 0.75) * (0.85 + 0.1 * _fractal(rng, size, 6 * unit, 1.2 * unit))


def _fish(rng: np.random.Generator, size: GridShape, unit: float) -> Field:
    """Long skeletal bands with ribs, wide clear lanes between them."""
    rows, columns = np.mgrid[: size[0], : size[1]].astype(np.float32) / unit
    angle = rng.uniform(-0.5, 0.5)
    across = rows * np.cos(angle) + columns * np.sin(angle) + 22 * _noise(rng, size, 110 * unit)
    along = columns * np.cos(angle) - rows * np.sin(angle)
    spine = np.cos(across * 2 * np.pi / 125)
    ribs = np.cos((along + 0.6 * np.abs(across % 125 - 62)) * 2 * np.pi / 42) * _ramp(spine, -0.3, 0.7)
    ragged = spine + 0.4 * ribs + 0.7 * _fractal(rng, size, 12 * unit, 0.7 * unit)
    between = 0.6 * _sugar(rng, size, unit)
    return np.asarray(np.maximum(0.9 * _ramp(ragged, 0.5, 2.2), between), np.float32)


_TEXTURES = {"Fish": _fish, "Flower": _flower, "Gravel": _gravel, "Sugar": _sugar}


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
        share = rng.uniform(0.72, 0.92, 2) if count > 1 else rng.uniform(0.45, 0.75, 2)
        box = cv2.boxPoints(
            (centre, (share[0] * width / columns, share[1] * height / rows), rng.uniform(-5, 5))
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
        broad = rng.uniform(0.02, 0.06) * width
        corners = [(top, 0), (top + broad, 0), (top + lean + 2 * broad, height), (top + lean, height)]
        cv2.fillPoly(nodata, [np.array(corners).round().astype(np.int32)], 1)
    return nodata.view(np.bool_)


def encode_jpeg(pixels: Image) -> bytes:
    """A picture as a JPEG file's content."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, 90]
    return bytes(cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), quality)[1])
