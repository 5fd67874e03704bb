"""Annotations: who drew which mask in which scene, `annotations.csv` of a data set.

A row is `image,annotator,pattern,EncodedPixels`, with run lengths on the contest's label grid, as in
`train.csv`. Someone who saw a scene and drew nothing has one row of it, without pattern and run lengths.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nephoscope.core.errors import DatasetError, LabelError
from nephoscope.core.io import csv_text
from nephoscope.core.types import LABEL_GRID, GridShape
from nephoscope.datasets.rle import decode, encode
from nephoscope.datasets.tables import read_rows

FILE = "annotations.csv"
COLUMNS = ("image", "annotator", "pattern", "EncodedPixels")


@dataclass(frozen=True)
class Annotation:
    """What one person drew in one scene.

    Attributes:
        image: file name of the picture.
        annotator: name of the person.
        texts: run lengths on the label grid by pattern; patterns that the person did not draw are left out.
    """

    image: str
    annotator: str
    texts: dict[str, str]

    @classmethod
    def from_masks(
        cls, image: str, annotator: str, masks: NDArray[np.bool_], patterns: Sequence[str]
    ) -> "Annotation":
        """From masks on the label grid, shape (patterns, 1400, 2100)."""
        texts = {name: encode(mask) for name, mask in zip(patterns, masks, strict=True) if mask.any()}
        return cls(image, annotator, texts)

    def masks(self, patterns: Sequence[str], onto: GridShape) -> NDArray[np.bool_]:
        """Masks of all patterns on a grid, shape (patterns, height, width).

        Raises:
            LabelError: run lengths are wrong.
        """
        try:
            return np.stack([decode(self.texts.get(name, ""), LABEL_GRID, onto) for name in patterns])
        except LabelError as error:
            raise LabelError(f"{FILE}: {self.image} by {self.annotator}: {error}") from error


def read_annotations(path: Path, patterns: Sequence[str] | None = None) -> list[Annotation]:
    """Read annotations, in the order of the file.

    Args:
        path: of the file.
        patterns: names that may occur. Default: any.

    Raises:
        DatasetError: the file has another form, or a row is wrong; the message names file and line.
        OSError: the file cannot be read.
    """
    read: dict[tuple[str, str], Annotation] = {}
    for where, row in read_rows(path, COLUMNS):
        image, annotator, pattern, text = (row[name] for name in COLUMNS)
        if not image or not annotator:
            raise DatasetError(f"{where}: no image, or no annotator")
        texts = read.setdefault((image, annotator), Annotation(image, annotator, {})).texts
        if not pattern:
            continue
        if patterns is not None and pattern not in patterns:
            raise DatasetError(f"{where}: unknown pattern {pattern!r}; available: {', '.join(patterns)}")
        if pattern in texts:
            raise DatasetError(f"{where}: a second row of {pattern} for {image} by {annotator}")
        texts[pattern] = text
    return list(read.values())


def by_image(annotations: Iterable[Annotation]) -> dict[str, list[Annotation]]:
    """Annotations of each picture, in their order."""
    grouped: dict[str, list[Annotation]] = {}
    for each in annotations:
        grouped.setdefault(each.image, []).append(each)
    return grouped


def format_annotations(annotations: Iterable[Annotation]) -> bytes:
    """The content of the file."""
    rows = [
        (each.image, each.annotator, pattern, text)
        for each in annotations
        for pattern, text in each.texts.items() or [("", "")]
    ]
    return csv_text(COLUMNS, rows).encode()


def union(annotations: Iterable[Annotation], pattern: str) -> str:
    """Run lengths of the pixels that at least one person drew, as in the contest's labels.

    Raises:
        LabelError: run lengths are wrong.
    """
    texts = [each.texts[pattern] for each in annotations if each.texts.get(pattern)]
    if len(texts) < 2:
        return "".join(texts)
    mask = decode(texts[0], LABEL_GRID)
    for text in texts[1:]:
        mask |= decode(text, LABEL_GRID)
    return encode(mask)
