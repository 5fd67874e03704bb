"""Labels that are collected one by one: each save leaves a complete data set.

The folder is in the contest's layout with `annotations.csv` beside it. That file is written first and is the
record; `train.csv` is made of it: a scene's label of a pattern is the union of what its annotators drew.
Scenes that `train.csv` had before keep their labels until somebody annotates them; labels that are replaced
so, and are no annotator's, go to `train.replaced.csv`.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from nephoscope.core.errors import DatasetError
from nephoscope.core.io import atomic_write, unique_name
from nephoscope.core.patterns import DEFAULT_NAMES, MAX_PATTERNS
from nephoscope.core.types import LABEL_GRID, GridShape, Mask
from nephoscope.datasets.annotations import (
    FILE,
    Annotation,
    by_image,
    format_annotations,
    read_annotations,
    union,
)
from nephoscope.datasets.catalogue import Record, format_catalogue, read_catalogue
from nephoscope.datasets.dataset import CATALOGUE, ENDINGS, LABEL_FILES, PICTURES
from nephoscope.datasets.labels import read_labels, write_labels

REPLACED = "train.replaced.csv"
"""Labels that annotations replaced and that no annotator had drawn, in the contest's form."""

Texts = dict[tuple[str, str], str]
"""Run lengths by picture and pattern."""

_LOCK = ".labels.lock"
_LONGEST = 200  # bytes of a name: files may have 255, and a number is added to some
_RESERVED = '_,"/\\'  # in names of patterns, which are parts of rows and of file names


@dataclass(frozen=True, eq=False)
class LabelledScene:
    """A picture and what one person drew in it.

    Attributes:
        name: file name of the picture.
        content: of that file.
        annotator: name of the person.
        masks: shape (patterns, height, width), of any size.
        record: satellite, day and bounds, where they are known.
    """

    name: str
    content: bytes
    annotator: str
    masks: NDArray[np.bool_]
    record: Record | None = None


class Saved(NamedTuple):
    """What was saved.

    Attributes:
        names: of the pictures in the data set, in the order of the scenes.
        replaced: number of scenes whose labels are in `REPLACED` now.
    """

    names: list[str]
    replaced: int = 0


def canonical(name: str) -> str:
    """The one form of a name of a picture or person that is stored: Unicode's composed form."""
    return unicodedata.normalize("NFC", name)


def on_grid(mask: Mask, grid: GridShape) -> Mask:
    """A mask on another grid, to the nearest neighbour of each pixel's centre."""
    if mask.shape == grid:
        return mask
    resized = cv2.resize(
        np.ascontiguousarray(mask).view(np.uint8), grid[::-1], interpolation=cv2.INTER_NEAREST_EXACT
    )
    return np.asarray(resized, np.uint8).view(np.bool_)


def on_label_grid(masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Masks of shape (patterns, height, width) on the label grid, to the nearest neighbour.

    Read back onto a grid of at most that size, they are the same.
    """
    return np.stack([on_grid(mask, LABEL_GRID) for mask in masks])


class Collection:
    """A folder of labels that grows; several processes may save to it at once.

    Args:
        folder: of the data set; created with the first save.
        patterns: names of the patterns, in the order of the masks.

    Raises:
        DatasetError: the folder's label file is compressed, its annotations have another form, or a pattern's
            name cannot be part of a row.
        LabelError: its label file is not in the contest's form, or has other patterns.
    """

    def __init__(self, folder: Path, patterns: Sequence[str] = DEFAULT_NAMES) -> None:
        self.folder, self.patterns = folder, tuple(patterns)
        _check_patterns(self.patterns)
        for name in LABEL_FILES[1:]:
            if (folder / name).is_file():
                raise DatasetError(f"{folder / name}: compressed labels are not changed; unpack it first")
        if folder.exists():
            with self._lock():
                annotations, labels = self._annotations(), self._texts(LABEL_FILES[0])
                if self._is_behind():
                    self._write_labels(labels, annotations)

    def annotations(self, annotator: str | None = None) -> list[Annotation]:
        """What was drawn so far; by one person, if given."""
        name = None if annotator is None else canonical(annotator)
        return [each for each in self._annotations() if name in (None, each.annotator)]

    def save(self, scene: LabelledScene) -> str:
        """Save what a person drew, in place of what the same person drew there before.

        Returns:
            The picture's name in the data set: another one where a different picture has its name.

        Raises:
            DatasetError: the picture's kind, or a name, is none that a data set holds.
            OSError: a file cannot be written; what was saved before is kept.
        """
        return self.save_all([scene]).names[0]

    def save_all(self, scenes: Iterable[LabelledScene]) -> Saved:
        """Save what people drew in many scenes, as `save` does, and write the label files once, at the end.

        Pictures are written as scenes arrive, so that one scene is held at a time. Interrupted, the data set
        has pictures without labels, and all the labels that it had.

        Raises:
            DatasetError: a picture's kind, or a name, is none that a data set holds.
            OSError: a file cannot be written; the labels that were saved before are kept.
        """
        drawn: dict[tuple[str, str], Annotation] = {}
        records: dict[str, Record] = {}
        names = []
        for scene in scenes:
            person = canonical(scene.annotator)
            _check_text("a picture", scene.name)
            _check_text("an annotator", person)
            if Path(scene.name).suffix.lower() not in ENDINGS:
                kinds = ", ".join(sorted(ENDINGS))
                raise DatasetError(f"{scene.name}: a data set holds pictures of these kinds: {kinds}")
            masks = on_label_grid(scene.masks)
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._lock():
                name = self._write_picture(scene)
            drawn[name, person] = Annotation.from_masks(name, person, masks, self.patterns)
            if scene.record:
                records.setdefault(name, replace(scene.record, image=name))
            names.append(name)
        if not drawn:
            return Saved([])
        with self._lock():
            before, labels = self._annotations(), self._texts(LABEL_FILES[0])
            annotations = [each for each in before if (each.image, each.annotator) not in drawn]
            annotations += drawn.values()
            self._write_records(records.values())
            behind, changed = self._is_behind(), set(names)
            replaced = self._keep_replaced(labels, changed, before) if not behind else 0
            atomic_write(self.folder / FILE, format_annotations(annotations))
            self._write_labels(labels, (each for each in annotations if behind or each.image in changed))
        return Saved(names, replaced)

    def _lock(self) -> FileLock:
        return FileLock(self.folder / _LOCK)

    def _annotations(self) -> list[Annotation]:
        path = self.folder / FILE
        return read_annotations(path, self.patterns) if path.is_file() else []

    def _write_picture(self, scene: LabelledScene) -> str:
        """Write the picture, unless it is there; return its name in the data set."""
        pictures = self.folder / PICTURES

        def is_another(name: str) -> bool:
            path = pictures / name
            return path.exists() and path.read_bytes() != scene.content

        name = unique_name(canonical(scene.name), is_another)
        if not (pictures / name).exists():
            atomic_write(pictures / name, scene.content)
        return name

    def _write_records(self, new: Iterable[Record]) -> None:
        """Add scenes to the catalogue, if there is anything to say about them."""
        path = self.folder / CATALOGUE
        records = read_catalogue(path) if path.is_file() else {}
        added = [each for each in new if each.image not in records and (each.day or each.bounds)]
        if added:
            atomic_write(path, format_catalogue([*records.values(), *added]))

    def _is_behind(self) -> bool:
        """Whether labels may lack what annotations have: a save was interrupted, or failed, in between."""
        annotations, labels = self.folder / FILE, self.folder / LABEL_FILES[0]
        if not annotations.is_file():
            return False
        return not labels.is_file() or labels.stat().st_mtime_ns < annotations.stat().st_mtime_ns

    def _keep_replaced(self, labels: Texts, images: set[str], annotations: Iterable[Annotation]) -> int:
        """Keep labels of pictures that their annotations do not explain; the number of these pictures."""
        known = by_image(annotations)
        unexplained = {
            (image, pattern): text
            for (image, pattern), text in labels.items()
            if image in images and text and text != union(known.get(image, ()), pattern)
        }
        if unexplained:
            self._write_texts(REPLACED, unexplained | self._texts(REPLACED))
        return len({image for image, _ in unexplained})

    def _write_labels(self, labels: Texts, annotations: Iterable[Annotation]) -> None:
        """Make the labels of scenes of all their annotations; those of other scenes stay."""
        changed = {
            (image, pattern): union(drawn, pattern)
            for image, drawn in by_image(annotations).items()
            for pattern in self.patterns
        }
        self._write_texts(LABEL_FILES[0], labels | changed)

    def _texts(self, name: str) -> Texts:
        path = self.folder / name
        return dict(read_labels(path, LABEL_GRID, patterns=self.patterns).texts) if path.is_file() else {}

    def _write_texts(self, name: str, texts: Texts) -> None:
        write_labels(self.folder / name, [(*key, text) for key, text in texts.items()])


def _check_text(what: str, name: str) -> None:
    """Refuse a name that a CSV file would not give back, or a file system would not take."""
    if not name or name != name.strip() or '"' in name or not name.isprintable():
        raise DatasetError(
            f"{name[:60]!r}: the name of {what} must have no quotation marks, no control characters and no "
            "spaces at its ends; use another"
        )
    if len(name.encode()) > _LONGEST:
        raise DatasetError(
            f"{name[:60]!r}: the name of {what} has more than {_LONGEST} bytes; use a shorter one"
        )


def _check_patterns(names: Sequence[str]) -> None:
    """Refuse names of patterns that a label file would not give back."""
    if not 0 < len(names) <= MAX_PATTERNS:
        raise DatasetError(f"{len(names)} patterns; a data set has 1 to {MAX_PATTERNS}")
    if len({name.casefold() for name in names}) < len(names):
        raise DatasetError(f"two patterns of one name: {', '.join(names)}")
    for name in names:
        _check_text("a pattern", name)
        if wrong := sorted(set(name) & set(_RESERVED)):
            raise DatasetError(f"{name!r}: the name of a pattern must have no {wrong[0]}; use another")
