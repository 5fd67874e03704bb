"""A folder of labelled scenes in the contest's layout, checked: `train_images/`, `train.csv`, `scenes.csv`.

`train.csv` may be compressed (`.gz`, `.xz`, `.zip`). Two files are optional: `scenes.csv`, the catalogue (see
`nephoscope.datasets.catalogue`), and `patterns.json`, with `colour` and `meaning` of patterns by name.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from nephoscope.core.errors import DatasetError, LabelError, SceneError
from nephoscope.core.io import available_cpus, is_hidden, map_in_order
from nephoscope.core.patterns import MAX_PATTERNS, Pattern, styled_patterns
from nephoscope.core.types import LABEL_GRID, SCORE_GRID, GridShape, Progress
from nephoscope.datasets import annotations
from nephoscope.datasets.catalogue import Record, read_catalogue
from nephoscope.datasets.labels import Labels, Problem, read_labels, stored_names
from nephoscope.datasets.rle import last_pixel
from nephoscope.imagery.reading import open_scene
from nephoscope.imagery.scene import Scene

PICTURES = "train_images"
LABEL_FILES = ("train.csv", "train.csv.gz", "train.csv.xz", "train.csv.zip")
CATALOGUE = "scenes.csv"
STYLES = "patterns.json"
ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"})

R = TypeVar("R")

PackedMasks = NDArray[np.uint8]
"""Masks of all patterns in one byte a pixel: bit 0 for the first of `Dataset.patterns`, and so on."""


def unpack_masks(packed: PackedMasks, count: int) -> NDArray[np.bool_]:
    """Split packed masks of any shape into one boolean mask a pattern, shape (count, *packed.shape)."""
    return np.unpackbits(packed[None], axis=0, count=count, bitorder="little").view(np.bool_)


def pack_masks(masks: NDArray[np.bool_]) -> PackedMasks:
    """Pack masks of at most 8 patterns, shape (patterns, height, width), into one byte a pixel."""
    return np.asarray(np.packbits(masks, axis=0, bitorder="little")[0])


@dataclass(frozen=True)
class Dataset:
    """Labelled scenes: those with a picture and a row for each pattern.

    Attributes:
        records: metadata of each scene, in the order of file names.
        problems: rows and pictures that were left out.
        styles: `colour` and `meaning` by pattern, where the folder states them, as in a model's card.
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

    @property
    def styled_patterns(self) -> tuple[Pattern, ...]:
        """The patterns with their colours and meanings, in the same order."""
        return styled_patterns(self.patterns, self.styles)

    def picture(self, image: str) -> Path:
        """Path of a scene's picture."""
        return self.folder / PICTURES / image

    def bits(self, image: str, onto: GridShape) -> PackedMasks:
        """All masks of a scene, packed; decoded directly onto a grid, or a `LabelError` is raised."""
        packed = np.zeros(onto, np.uint8)
        for index, name in enumerate(self.patterns):
            if self.labels.texts[image, name]:
                packed |= self.labels.mask(image, name, onto).view(np.uint8) << np.uint8(index)
        return packed

    def masks(self, image: str, onto: GridShape) -> NDArray[np.bool_]:
        """All masks of a scene, shape (patterns, height, width); see `bits`."""
        return unpack_masks(self.bits(image, onto), len(self.patterns))

    def scene(self, image: str) -> Scene:
        """Open one of the pictures, or raise `SceneError`."""
        return open_scene(self.picture(image))

    def map(
        self,
        work: Callable[[Record], R],
        problems: list[Problem],
        *,
        workers: int | None = None,
        progress: Progress | None = None,
    ) -> Iterator[tuple[int, R]]:
        """Apply a function to every record in threads, by default one a processor; results come in order.

        Scenes whose picture or run lengths `work` cannot read are added to `problems` and left out.
        `progress` is called with the scenes done so far and in all.

        Yields:
            The index of a scene among `records`, and the result of `work`.
        """

        def one(record: Record) -> R | Problem:
            try:
                return work(record)
            except SceneError as error:
                return Problem("a picture that cannot be read", str(error))
            except LabelError as error:
                return Problem("wrong run lengths", str(error).removeprefix(f"{self.labels.path}: "))

        for index, result in enumerate(map_in_order(one, self.records, workers or available_cpus())):
            if isinstance(result, Problem):
                problems.append(result)
            else:
                yield index, result
            if progress:
                progress(index + 1, len(self.records))

    def select(self, indices: Sequence[int]) -> "Dataset":
        """The same folder with some of its scenes."""
        return replace(self, records=tuple(self.records[index] for index in indices))


def read_dataset(folder: str | Path, *, strict: bool = False, progress: Progress | None = None) -> Dataset:
    """Read a folder in the contest's layout and check that pictures and rows belong together.

    Run lengths are checked later, when masks are decoded (`Dataset.bits`). What is wrong is left out unless
    `strict`. `progress` is called with the bytes of the label file read so far and in all.

    Raises:
        DatasetError: the folder or its catalogue has another form, no scene is complete, or `strict` and
            there are problems.
        LabelError: the label file is not in the contest's form.
        OSError: a file cannot be read.
    """
    folder = Path(folder)
    problems: list[Problem] = []
    labels = read_labels(label_file(folder), LABEL_GRID, problems, progress)
    if len(labels.patterns) > MAX_PATTERNS:
        raise DatasetError(f"{labels.path}: {len(labels.patterns)} patterns; at most {MAX_PATTERNS}")
    if not (folder / PICTURES).is_dir():
        raise DatasetError(f"{folder}: no folder {PICTURES}/")
    paths = (path for path in (folder / PICTURES).iterdir() if path.suffix.lower() in ENDINGS)
    pictures = {path.name for path in paths if path.is_file() and not is_hidden(path)}
    catalogue = read_catalogue(folder / CATALOGUE) if (folder / CATALOGUE).is_file() else {}
    if not (folder / annotations.FILE).is_file():  # which has the label grid always
        _check_grid(labels)
    labels = labels.named_as(pictures)
    for written, stored in stored_names(catalogue, pictures).items():
        catalogue[stored] = replace(catalogue.pop(written), image=stored)
    records = _complete_scenes(labels, pictures, catalogue, problems)
    if strict:
        refuse_problems(folder, problems)
    if not records:
        raise DatasetError(f"{folder}: no scene with a picture in {PICTURES}/ and all its rows")
    return Dataset(folder, labels, records, tuple(problems), _styles(folder))


def _complete_scenes(
    labels: Labels, pictures: set[str], catalogue: dict[str, Record], problems: list[Problem]
) -> tuple[Record, ...]:
    """Return the scenes with a picture and all rows; add the others to the problems."""
    labelled = set(labels.images)
    strangers = sorted(catalogue.keys() - labelled - pictures)
    problems += [Problem("a catalogue's row without a scene", image) for image in strangers]
    records = []
    for image in sorted(labelled | pictures):
        missing = [name for name in labels.patterns if (image, name) not in labels.texts]
        if image not in pictures:
            problems.append(Problem("a scene without a picture", image))
        elif image not in labelled:
            problems.append(Problem("a picture without rows", image))
        elif missing:
            problems.append(Problem("a scene without all its rows", f"{image}: no {', '.join(missing)}"))
        else:
            records.append(catalogue.get(image, Record(image)))
    return tuple(records)


def _styles(folder: Path) -> dict[str, dict[str, Any]]:
    """Read colours and meanings of the patterns, where the folder states them."""
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
    """Find the folder's only label file, or raise `DatasetError`."""
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder")
    paths = [folder / name for name in LABEL_FILES if (folder / name).is_file()]
    if len(paths) != 1:
        names = ", ".join(path.name for path in paths)
        problem = f"several label files: {names}" if paths else "no label file"
        raise DatasetError(f"{folder}: {problem}; expected one of {', '.join(LABEL_FILES)}")
    return paths[0]


def count_problems(problems: Sequence[Problem]) -> Counter[str]:
    """Count the problems of each kind."""
    return Counter(problem.kind for problem in problems)


def problems_in_words(problems: Sequence[Problem]) -> str:
    """Each kind of problem, with its count and first case."""
    firsts = {problem.kind: problem for problem in reversed(problems)}
    counts = count_problems(problems).items()
    return "; ".join(
        f"{kind} ({count}, first: {': '.join(filter(None, (firsts[kind].where, firsts[kind].detail)))})"
        for kind, count in counts
    )


def refuse_problems(folder: Path, problems: Sequence[Problem]) -> None:
    """If there is any problem, raise a `DatasetError` with each kind's count and first case."""
    if problems:
        raise DatasetError(f"{folder}: {problems_in_words(problems)}")


def _check_grid(labels: Labels) -> None:
    """Refuse labels on the submission grid, where every mask would be in the wrong position."""
    last = 0
    for text in labels.texts.values():
        with suppress(LabelError):  # reported when the mask is decoded
            last = max(last, last_pixel(text))
        if last > SCORE_GRID[0] * SCORE_GRID[1]:
            return
    if last:
        raise DatasetError(
            f"{labels.path}: all runs lie within 350x525, the submission grid; labels must be on 1400x2100"
        )
