"""A folder of labelled scenes in the contest's layout, checked: `train_images/`, `train.csv`, `scenes.csv`.

`train.csv` may be packed (`.gz`, `.xz`). `scenes.csv` (see `nephoscope.datasets.catalogue`) and
`patterns.json`, with `colour` and `meaning` of patterns by name, may be missing.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from nephoscope.core.errors import DatasetError, LabelError, SceneError
from nephoscope.core.io import available_cpus, map_in_order
from nephoscope.core.patterns import MAX_PATTERNS, styled_patterns
from nephoscope.core.types import LABEL_GRID, SCORE_GRID, GridShape, Progress
from nephoscope.datasets.catalogue import Record, read_catalogue
from nephoscope.datasets.labels import Labels, Problem, read_labels
from nephoscope.datasets.rle import last_pixel
from nephoscope.imagery.scene import Scene, open_scene

PICTURES = "train_images"
LABEL_FILES = ("train.csv", "train.csv.gz", "train.csv.xz")
CATALOGUE = "scenes.csv"
STYLES = "patterns.json"
ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"})

R = TypeVar("R")

PackedMasks = NDArray[np.uint8]
"""Masks of all patterns in one byte a pixel: bit 0 for the first of `Dataset.patterns`, and so on."""


@dataclass(frozen=True)
class Dataset:
    """Labelled scenes: those with a picture and a row for each pattern.

    Attributes:
        folder: where they lie.
        labels: their masks.
        records: what is known of each scene, in the order of file names.
        problems: what was wrong, and left out.
        styles: `colour` and `meaning` of patterns that have their own, by name, as in a model's card.
    """

    folder: Path
    labels: Labels
    records: tuple[Record, ...]
    problems: tuple[Problem, ...]
    styles: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def patterns(self) -> tuple[str, ...]:
        """Names of the patterns, in the order of the bits of `PackedMasks`."""
        return self.labels.patterns

    def picture(self, image: str) -> Path:
        """Path of a scene's picture."""
        return self.folder / PICTURES / image

    def bits(self, image: str, onto: GridShape) -> PackedMasks:
        """All masks of a scene in one byte a pixel, straight from run lengths; shape `onto`.

        Raises:
            LabelError: wrong run lengths.
        """
        packed = np.zeros(onto, np.uint8)
        for index, name in enumerate(self.patterns):
            if self.labels.texts[image, name]:
                packed |= self.labels.mask(image, name, onto).view(np.uint8) << np.uint8(index)
        return packed

    def scene(self, image: str) -> Scene:
        """One of the pictures, opened.

        Raises:
            SceneError: it cannot be used.
        """
        return open_scene(self.picture(image))

    def map(
        self,
        work: Callable[[Record], R],
        problems: list[Problem],
        *,
        workers: int | None = None,
        progress: Progress | None = None,
    ) -> Iterator[tuple[int, R]]:
        """Apply work to every scene, several at a time, in order; what cannot be read is named and left out.

        Args:
            work: called with each record; reads its picture, its masks or both.
            problems: scenes whose picture or run lengths cannot be read are added here.
            workers: scenes worked on at the same time; one a processor if left out.
            progress: told the scenes done so far and in all.

        Yields:
            The index of a scene among `records`, and what `work` gave.
        """

        def one(record: Record) -> R | Problem:
            try:
                return work(record)
            except SceneError as error:
                return Problem("a picture that cannot be read", str(error))
            except LabelError as error:
                return Problem("wrong run lengths", str(error).removeprefix(f"{self.labels.path}: "))

        results = map_in_order(one, self.records, workers or available_cpus())
        for index, result in enumerate(results):
            if isinstance(result, Problem):
                problems.append(result)
            else:
                yield index, result
            if progress:
                progress(index + 1, len(self.records))

    def select(self, indices: Sequence[int]) -> "Dataset":
        """The same folder with some of its scenes."""
        return Dataset(
            self.folder,
            self.labels,
            tuple(self.records[index] for index in indices),
            self.problems,
            self.styles,
        )


def read_dataset(folder: str | Path, *, strict: bool = False, progress: Progress | None = None) -> Dataset:
    """Read a folder in the contest's layout and check that pictures and rows belong together.

    Run lengths themselves are checked when masks are read (`Dataset.bits`).

    Args:
        folder: with `train_images/`, a label file, and perhaps a catalogue.
        strict: raise if there is any problem, instead of leaving out what is wrong.
        progress: told the bytes of the label file read so far and in all.

    Raises:
        DatasetError: the folder is not in the layout, no scene is whole, or `strict` and there are problems.
        LabelError: the label file is not in the contest's form.
        DatasetError: the catalogue is not in its form.
        OSError: a file cannot be read.
    """
    folder = Path(folder)
    problems: list[Problem] = []
    labels = read_labels(label_file(folder), LABEL_GRID, problems, progress)
    if len(labels.patterns) > MAX_PATTERNS:
        raise DatasetError(f"{labels.path}: {len(labels.patterns)} patterns; at most {MAX_PATTERNS}")
    pictures = _pictures(folder)
    catalogue = read_catalogue(folder / CATALOGUE) if (folder / CATALOGUE).is_file() else {}
    labelled = set(labels.images)
    _check_grid(labels)
    problems += [
        Problem("a catalogue's row without a scene", image)
        for image in sorted(catalogue.keys() - labelled - pictures)
    ]
    whole = []
    for image in sorted(labelled | pictures):
        lacking = [name for name in labels.patterns if (image, name) not in labels.texts]
        if image not in pictures:
            problems.append(Problem("a scene without a picture", image))
        elif image not in labelled:
            problems.append(Problem("a picture without rows", image))
        elif lacking:
            problems.append(Problem("a scene without all its rows", f"{image}: no {', '.join(lacking)}"))
        else:
            whole.append(catalogue.get(image, Record(image)))
    if strict:
        refuse_problems(folder, problems)
    if not whole:
        raise DatasetError(f"{folder}: no scene with a picture in {PICTURES}/ and all its rows")
    return Dataset(folder, labels, tuple(whole), tuple(problems), _styles(folder))


def _styles(folder: Path) -> dict[str, dict[str, Any]]:
    """Colours and meanings of the patterns, where the folder states them."""
    path = folder / STYLES
    if not path.is_file():
        return {}
    try:
        styles = json.loads(path.read_bytes())
        styled_patterns(tuple(styles), styles)
    except (ValueError, TypeError, AttributeError) as error:
        raise DatasetError(f"{path}: expected colour and meaning by pattern: {error}") from error
    return dict(styles)


def label_file(folder: Path) -> Path:
    """The folder's label file.

    Raises:
        DatasetError: no such folder, no label file in it, or several.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder")
    there = [folder / name for name in LABEL_FILES if (folder / name).is_file()]
    if len(there) != 1:
        found = f"several label files: {', '.join(path.name for path in there)}" if there else "no label file"
        raise DatasetError(f"{folder}: {found}; one of {', '.join(LABEL_FILES)} is expected")
    return there[0]


def count_problems(problems: Sequence[Problem]) -> Counter[str]:
    """How many problems there are of each kind."""
    return Counter(problem.kind for problem in problems)


def refuse_problems(folder: Path, problems: Sequence[Problem]) -> None:
    """Stop where there is any problem.

    Raises:
        DatasetError: there is; the message counts them by kind and names the first of each.
    """
    if problems:
        firsts = {problem.kind: problem.where for problem in reversed(problems)}
        told = [
            f"{kind} ({count}, first: {firsts[kind]})" for kind, count in count_problems(problems).items()
        ]
        raise DatasetError(f"{folder}: {'; '.join(told)}")


def _pictures(folder: Path) -> set[str]:
    if not (folder / PICTURES).is_dir():
        raise DatasetError(f"{folder}: no folder {PICTURES}/ with the pictures in it")
    paths = (path for path in (folder / PICTURES).iterdir() if path.suffix.lower() in ENDINGS)
    return {path.name for path in paths if path.is_file()}


def _check_grid(labels: Labels) -> None:
    """Refuse labels that count on the grid of answers, where each would lie in the wrong place."""
    reach = 0
    for text in labels.texts.values():
        with suppress(LabelError):  # told when the mask is read
            reach = max(reach, last_pixel(text))
        if reach > SCORE_GRID[0] * SCORE_GRID[1]:
            return
    if reach:
        raise DatasetError(
            f"{labels.path}: all runs lie within 350x525, as answers do; labels count on 1400x2100"
        )
