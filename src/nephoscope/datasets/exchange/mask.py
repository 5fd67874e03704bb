"""`mask` and `mask-index`: PNG masks, one a class as `nephoscope segment` writes, or of class numbers."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PilImage

from nephoscope.core.errors import LabelError
from nephoscope.datasets.exchange.drawing import Drawing, Picture, check_canvas, draw
from nephoscope.datasets.exchange.format import LabelFormat
from nephoscope.datasets.exchange.reading import Candidate, Reading, check_bytes
from nephoscope.datasets.exchange.regions import Regions
from nephoscope.datasets.exchange.scene import ExportedScene
from nephoscope.datasets.labels import Problem

_INDEX_ENDING = "_classes"
_NUMBERED = ("1", "L", "P", "I", "I;16")  # Pillow's modes of one number a pixel


def _mode(path: Path) -> str:
    """How Pillow stores the pixels of a PNG; empty for no PNG."""
    try:
        with PilImage.open(path, formats=["PNG"]) as image:
            return image.mode
    except Exception:  # a damaged file can make the decoder raise anything
        return ""


def accepts_numbers(candidate: Candidate) -> bool:
    """Whether a PNG is named as one of class numbers."""
    path = candidate.path
    return path.stem.lower().endswith(_INDEX_ENDING) and _mode(path) in _NUMBERED


def accepts_class(candidate: Candidate) -> bool:
    """Whether a PNG is named after a class, or is no picture and has one number a pixel."""
    path, reading = candidate.path, candidate.reading
    name, _, pattern = path.stem.rpartition("_")
    if not name or accepts_numbers(candidate):
        return False
    return reading.has_pattern(pattern) or (not reading.pictures.has(path) and _mode(path) in _NUMBERED)


def _read_numbers(path: Path, picture: Picture) -> NDArray[Any]:
    """Numbers of the pixels of a PNG; of colours, whether they are neither black nor transparent."""
    check_bytes(path)
    try:
        with PilImage.open(path, formats=["PNG"]) as image:
            check_canvas((image.height, image.width), picture)
            pixels = np.array(image)
    except LabelError:
        raise
    except Exception as error:  # a damaged file can make the decoder raise anything
        raise LabelError(f"a mask that cannot be read: {error}") from error
    if pixels.ndim == 2:
        return pixels
    colours = pixels[..., :3] if pixels.shape[2] > 2 else pixels[..., :1]
    opaque = pixels[..., -1] > 0 if pixels.shape[2] in (2, 4) else True
    return np.asarray(colours.any(axis=2) & opaque)


def read_classes(files: Sequence[Path], reading: Reading) -> Iterator[Drawing]:
    """Read masks of one class each, the files of a picture together: `NAME_Fish.png`."""
    by_name: dict[str, list[tuple[int, Path]]] = {}
    for path in files:
        with reading.entry(path.name):
            name, _, pattern = path.stem.rpartition("_")
            if not name:
                raise LabelError(f"a mask not named PICTURE_CLASS.png: {path.name}")
            by_name.setdefault(name, []).append((reading.pattern(pattern), path))
    for name, paths in by_name.items():
        with reading.entry(paths[0][1].name):
            picture = reading.pictures.find(name)
            regions = Regions(picture, reading)
            for index, path in paths:
                with regions.entry(path.name):
                    draw(regions.masks, index, _read_numbers(path, picture) != 0)
            yield regions.drawing()


def read_numbers(files: Sequence[Path], reading: Reading) -> Iterator[Drawing]:
    """Read masks of class numbers: 0 none, 1 the first class."""
    for path in files:
        with reading.entry(path.name):
            name = path.stem
            if name.lower().endswith(_INDEX_ENDING):
                name = name[: -len(_INDEX_ENDING)]
            picture = reading.pictures.find(name, label=path)
            numbers = _read_numbers(path, picture)
            if numbers.dtype == np.bool_ and _mode(path) not in _NUMBERED:
                raise LabelError("a mask of colours: store class numbers, grey or indexed")
            regions = Regions(picture, reading)
            for number in np.unique(numbers).tolist():
                if number:
                    with regions.entry(path.name):
                        draw(regions.masks, reading.numbered_pattern(int(number) - 1), numbers == number)
            yield regions.drawing()


def render_classes(scene: ExportedScene, _: list[Problem]) -> Sequence[bytes]:
    """A PNG of 0 and 1 for each class, at the picture's own size."""
    return [_png(mask.view(np.uint8)) for _, mask in scene.sized()]


def render_numbers(scene: ExportedScene, problems: list[Problem]) -> Sequence[bytes]:
    """A PNG of class numbers; where classes overlap, the first in order is kept."""
    numbers, lost = np.zeros(scene.size, np.uint8), 0
    for number, (_, mask) in enumerate(scene.sized(), 1):
        lost += int(np.count_nonzero(mask & (numbers > 0)))
        numbers[mask & (numbers == 0)] = number
    if lost:
        where = f"{scene.name}: {lost:,} pixels of a later class"
        problems.append(Problem("classes that overlap, which one number a pixel cannot hold", where))
    return [_png(numbers)]


def _png(pixels: NDArray[np.uint8]) -> bytes:
    return bytes(cv2.imencode(".png", pixels)[1])


_png_format = partial(LabelFormat, endings=(".png",))

CLASSES = _png_format(
    name="mask",
    description="A mask for each class, not 0 where the class is",
    accepts=accepts_class,
    read=read_classes,
    file="{picture}_{pattern}.png",
    render=render_classes,
)
NUMBERS = _png_format(
    name="mask-index",
    description="One mask of class numbers: 0 none, 1 the first class; classes cannot overlap",
    accepts=accepts_numbers,
    read=read_numbers,
    file=f"{{picture}}{_INDEX_ENDING}.png",
    render=render_numbers,
)
