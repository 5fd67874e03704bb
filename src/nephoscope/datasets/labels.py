"""Labels in the contest's form: a CSV of `Image_Label,EncodedPixels`, one row a scene and pattern.

`Image_Label` is the picture's file name, `_` and the pattern; `EncodedPixels` is the mask as run-length text.
The contest's own labels (`train.csv`) count on the pictures' grid, 1400x2100; answers to it on 350x525.
"""

import gzip
import lzma
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from nephoscope.core.errors import LabelError
from nephoscope.core.io import atomic_write
from nephoscope.core.types import LABEL_GRID, SCORE_GRID, GridShape, Mask, Progress
from nephoscope.datasets.rle import decode, last_pixel

HEADER = "Image_Label,EncodedPixels"


@dataclass(frozen=True)
class Problem:
    """Something wrong with labelled data that need not stop the rest.

    Attributes:
        kind: what is wrong, in the words that problems are counted by.
        where: which row or picture.
    """

    kind: str
    where: str


@dataclass(frozen=True)
class Labels:
    """The masks of many scenes, kept as text until asked for.

    Attributes:
        path: the file they were read from.
        grid: height and width on which the run lengths count.
        texts: run-length text by (picture's file name, pattern's name).
        patterns: names of the patterns.
    """

    path: Path
    grid: GridShape
    texts: Mapping[tuple[str, str], str]
    patterns: tuple[str, ...]

    @property
    def images(self) -> list[str]:
        """File names of the scenes, in the file's order."""
        return list(dict.fromkeys(image for image, _ in self.texts))

    def mask(self, image: str, pattern: str, onto: GridShape | None = None) -> Mask:
        """One mask, boolean, on the labels' own grid or straight onto a coarser one.

        Raises:
            LabelError: there is no such row, or its run lengths are wrong.
        """
        try:
            return decode(self.texts[image, pattern], self.grid, onto)
        except KeyError:
            raise LabelError(f"{self.path}: no row {image}_{pattern}") from None
        except LabelError as error:
            raise LabelError(f"{self.path}: row {image}_{pattern}: {error}") from error


def read_labels(
    path: str | Path,
    grid: GridShape | None = None,
    problems: list[Problem] | None = None,
    progress: Progress | None = None,
    patterns: Sequence[str] | None = None,
) -> Labels:
    """Read a label file, plain or packed (`.gz`, `.xz`).

    Args:
        path: the file.
        grid: height and width the run lengths count on. Left out, it is the contest's answer grid if every
            run fits there and its label grid if not; say it for a file of a few rows, where all masks may
            lie in the left columns of the larger grid.
        problems: where given, rows that are wrong are left out and named here; of two rows for the same
            mask the first is kept.
        progress: called with the bytes read so far and in all.
        patterns: names of the patterns. Left out, they are the names that at least half of the pictures have
            a row for, in the file's order.

    Raises:
        LabelError: not a file in the contest's form; where `problems` is left out, also an unknown pattern or
            a scene and pattern twice.
        OSError: the file cannot be read.
    """
    path = Path(path)
    texts: dict[tuple[str, str], str] = {}
    first_line: dict[str, int] = {}
    for number, line in _lines(path, progress):
        name, comma, text = line.rpartition(",")  # a picture's name may hold commas
        image, _, pattern = name.rpartition("_")
        if not comma or not image or not pattern:
            _report(problems, path, Problem("not PICTURE_PATTERN,RUNS", f"line {number}: {line[:60]}"))
        elif (image, pattern) in texts:
            _report(problems, path, Problem("a second row", f"line {number}: {name}"))
        else:
            texts[image, pattern] = text
            first_line.setdefault(pattern, number)
    known = tuple(patterns) if patterns is not None else _frequent(texts)
    for pattern in first_line.keys() - set(known):
        rows = [key for key in texts if key[1] == pattern]
        where = f"line {first_line[pattern]}: {rows[0][0]}_{pattern}; available: {', '.join(known)}"
        _report(problems, path, Problem("unknown pattern", where))
        for key in rows:
            del texts[key]
    return Labels(path, grid or _grid_of(path, texts), texts, known)


def _report(problems: list[Problem] | None, path: Path, problem: Problem) -> None:
    """Note a problem, or stop at it where nobody notes them."""
    if problems is None:
        raise LabelError(f"{path}: {problem.where}: {problem.kind}")
    problems.append(problem)


def _frequent(texts: Mapping[tuple[str, str], str]) -> tuple[str, ...]:
    """Patterns that at least half of the pictures have a row for: a misspelt one is none."""
    counts = Counter(pattern for _, pattern in texts)
    images = len({image for image, _ in texts})
    return tuple(pattern for pattern, count in counts.items() if 2 * count >= images)


def label_file(rows: Iterable[tuple[str, str, str]]) -> bytes:
    """A label file's content; a row is picture, pattern, run-length text."""
    lines = [HEADER, *(f"{image}_{pattern},{text}" for image, pattern, text in rows)]
    return ("\n".join(lines) + "\n").encode()


def write_labels(path: Path, rows: Iterable[tuple[str, str, str]]) -> None:
    """Write a label file whole, plain or packed by its name; a row is picture, pattern, run-length text."""
    content = label_file(rows)
    if path.suffix == ".gz":
        content = gzip.compress(content)
    elif path.suffix == ".xz":
        content = lzma.compress(content)
    atomic_write(path, content)


def _lines(path: Path, progress: Progress | None) -> Iterator[tuple[int, str]]:
    """Rows of the file with their line numbers, the header checked and left out."""
    size = path.stat().st_size
    with path.open("rb") as packed, _unpacked(packed, path.suffix) as file:
        try:
            header = file.readline().decode().strip().removeprefix("\ufeff")
            if header != HEADER:
                raise LabelError(f"{path}: the first line must be {HEADER!r}; found {header[:60]!r}")
            for number, line in enumerate(file, 2):
                if row := line.decode().strip():
                    yield number, row
                if progress and number % 256 == 0:
                    progress(packed.tell(), size)
        except (lzma.LZMAError, zlib.error, EOFError, gzip.BadGzipFile, UnicodeDecodeError) as error:
            raise LabelError(f"{path}: damaged, or not a label file: {error}") from error


def _unpacked(packed: BinaryIO, suffix: str) -> IO[bytes] | gzip.GzipFile | lzma.LZMAFile:
    match suffix:
        case ".gz":
            return gzip.GzipFile(fileobj=packed)
        case ".xz":
            return lzma.LZMAFile(packed)
        case _:
            return packed


def _grid_of(path: Path, texts: Mapping[tuple[str, str], str]) -> GridShape:
    answer_pixels = SCORE_GRID[0] * SCORE_GRID[1]
    for (image, pattern), text in texts.items():
        try:
            if last_pixel(text) > answer_pixels:
                return LABEL_GRID
        except LabelError as error:
            raise LabelError(f"{path}: row {image}_{pattern}: {error}") from error
    return SCORE_GRID
