"""Small data sets and label files for the tests of the exchange."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.datasets.annotations import FILE, read_annotations
from nephoscope.datasets.collection import Collection, LabelledScene
from nephoscope.datasets.dataset import read_dataset
from nephoscope.imagery.synthetic import encode_jpeg, make_scene

SIZE = (56, 84)  # a 25th of the label grid in each direction
PLACED = "Aqua_CorrectedReflectance20160401_-61--40_10-24.jpg"
PACIFIC = "Terra_CorrectedReflectance20160402_170--169_8-22.jpg"  # across the antimeridian
JPEG = encode_jpeg(make_scene(1, SIZE).pixels)


def random_masks(seed: int, *, disjoint: bool = False) -> np.ndarray:
    """Masks of four patterns with boxes, holes and single pixels."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((4, *SIZE), np.bool_)
    for mask in masks[: rng.integers(0, 5)]:
        for value in (True, True, False):
            top, left = rng.integers(0, SIZE[0]), rng.integers(0, SIZE[1])
            mask[top : top + rng.integers(1, 40), left : left + rng.integers(1, 50)] = value
        mask[rng.integers(0, SIZE[0], 5), rng.integers(0, SIZE[1], 5)] ^= True
    if disjoint:
        masks &= np.cumsum(masks, axis=0) == 1
    return masks


def box(pattern: str, top: int, left: int, bottom: int, right: int) -> np.ndarray:
    """Masks of four patterns, one of which has a box."""
    masks = np.zeros((4, *SIZE), np.bool_)
    masks[DEFAULT_NAMES.index(pattern), top:bottom, left:right] = True
    return masks


def make_dataset(folder: Path, drawn: dict[tuple[str, str], np.ndarray]) -> Path:
    """A data set of masks by picture and person."""
    Collection(folder).save_all(
        LabelledScene(name, JPEG, person, masks) for (name, person), masks in drawn.items()
    )
    return folder


def masks_in(folder: Path, image: str) -> np.ndarray:
    return read_dataset(folder).masks(image, SIZE)


def drawn_in(folder: Path) -> dict[tuple[str, str], np.ndarray]:
    """Masks by picture and person."""
    return {
        (each.image, each.annotator): each.masks(DEFAULT_NAMES, SIZE)
        for each in read_annotations(folder / FILE)
    }


def write_pictures(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(JPEG)
    return folder


def write_json(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path
