"""Robustness of a model: agreement of its masks of a scene with its masks of the same scene, changed.

The changes are other sizes, JPEG compression, mirroring, a shift, brightness, and loss of colour. Agreement
is the mean Dice over the patterns that either segmentation has, on the part of the scene that both show. A
pattern that only one of the two has counts 0.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from nephoscope.core.io import is_hidden, map_in_order
from nephoscope.core.types import Image
from nephoscope.evaluation.metrics import dice
from nephoscope.imagery.reading import open_scene
from nephoscope.inference.model import Model
from nephoscope.inference.segmentation import apply_rules

SIZES = ((1050, 700), (525, 350), (480, 320))
"""Width and height in pixels that the large scenes are reduced to."""

SHIFT = 40
"""Pixels by which `shifted` moves a picture to the right; of 480 in the small scenes."""

JPEG_QUALITY = 30

Change = Callable[[Image], Image]
"""Changes a picture."""

_WORKERS = 2
_NOISE_SIZE = (320, 480)
_Masks = NDArray[np.bool_]  # shape (patterns, height, width)


def agreements(model: Model, data: Path, every: int) -> Iterator[tuple[str, float]]:
    """Measure a model on the scenes of a folder.

    Args:
        model: the model.
        data: a folder with large scenes in `full_size/` and small ones in `train_images/`.
        every: the interval at which small scenes are taken, in the order of their names.

    Yields:
        The name of each change and the agreement, 0 to 1: sizes on the large scenes, then `CHANGES` on the
        small ones.

    Raises:
        OSError, SceneError: a picture cannot be read.
    """
    large, small = _read_all(data / "full_size", 1), _read_all(data / "train_images", every)
    sizes = {f"at {width}x{height}": reduced((width, height)) for width, height in SIZES}
    for pictures, changes in ((large, sizes), (small, CHANGES)):
        before = list(map_in_order(lambda pixels: _segment(model, pixels), pictures, _WORKERS))
        for name, change in changes.items():
            yield name, _agreement(model, pictures, before, change)


def reduced(size: tuple[int, int]) -> Change:
    """Reduce a picture to a width and height in pixels, by means over areas."""
    return lambda pixels: np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def recompressed(pixels: Image) -> Image:
    """Write and read a picture as JPEG of quality 30."""
    encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)


def brightened(factor: float) -> Change:
    """Multiply brightness by a factor."""
    return lambda pixels: np.clip(pixels * factor, 0, 255).astype(np.uint8)


def grey(pixels: Image) -> Image:
    """Drop colour."""
    return np.repeat(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None], 3, 2).astype(np.uint8)


def mirrored(pixels: Image) -> Image:
    """Swap left and right."""
    return np.ascontiguousarray(pixels[:, ::-1])


def shifted(pixels: Image) -> Image:
    """Move a picture to the right by `SHIFT` pixels; the left edge becomes black, which means no data."""
    return np.asarray(np.pad(pixels, ((0, 0), (SHIFT, 0), (0, 0)))[:, : pixels.shape[1]])


CHANGES: dict[str, Change] = {
    f"as JPEG of quality {JPEG_QUALITY}": recompressed,
    "mirrored": mirrored,
    f"moved by {SHIFT} px": shifted,
    "15 % brighter": brightened(1.15),
    "15 % darker": brightened(0.85),
    "grey": grey,
}
"""Changes to the small scenes, by name."""


def noise_pictures(count: int, seed: int = 0) -> Iterator[Image]:
    """Pictures without a scene: white noise in grey and in colour, smooth noise, and plain colours."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        kind, finest = number % 4, 2.0 ** rng.uniform(1, 5)
        channels = 1 if kind == 0 else 3
        pixels = rng.integers(0, 256, (*_NOISE_SIZE, channels)).astype(np.float32)
        if kind == 2:
            pixels = np.asarray(cv2.GaussianBlur(pixels, (0, 0), finest), np.float32)
            pixels = 255 * (pixels - pixels.min()) / np.ptp(pixels)
        if kind == 3:
            pixels[:] = rng.uniform(20, 255, 3)
        yield np.broadcast_to(pixels, (*_NOISE_SIZE, 3)).astype(np.uint8)


def rejected_noise(model: Model, count: int = 40) -> float:
    """Share of the pictures of noise in which a model finds no pattern."""
    found = map_in_order(lambda pixels: bool(_segment(model, pixels).any()), noise_pictures(count), _WORKERS)
    return 1 - float(np.mean(list(found)))


def _read_all(folder: Path, every: int) -> list[Image]:
    paths = sorted(path for path in folder.iterdir() if not is_hidden(path))
    return [open_scene(path).read().pixels for path in paths[::every]]


def _segment(model: Model, pixels: Image) -> _Masks:
    return apply_rules(model.predict(open_scene(pixels))).masks


def _agreement(model: Model, pictures: list[Image], masks: list[_Masks], change: Change) -> float:
    """Mean Dice between the masks of pictures and of the same pictures changed."""

    def one(pair: tuple[Image, _Masks]) -> list[float]:
        pixels, before = pair
        after = _segment(model, change(pixels))
        if change is mirrored:
            after = after[:, :, ::-1]
        if change is shifted:
            shift = round(SHIFT * before.shape[2] / pixels.shape[1])
            before, after = before[:, :, :-shift], after[:, :, shift:]
        pairs = zip(before, after, strict=True)
        return [dice(old, new) for old, new in pairs if old.any() or new.any()]

    scores = map_in_order(one, zip(pictures, masks, strict=True), _WORKERS)
    return float(np.mean([score for each in scores for score in each]))
