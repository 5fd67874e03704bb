"""Label files in the contest's form: a CSV of `Image_Label,EncodedPixels`, a row for each scene and pattern.

`Image_Label` is the picture's file name, `_` and the pattern; `EncodedPixels` is the mask as run-length text.
The contest's own labels (`train.csv`) are on the pictures' grid, 1400x2100; submissions are on 350x525.
"""

import gzip
import lzma
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nephoscope.core.errors import LabelError
from nephoscope.core.io import atomic_write
from nephoscope.core.types import LABEL_GRID, SCORE_GRID, GridShape, Mask, Progress
from nephoscope.datasets.rle import decode, last_pixel
from nephoscope.datasets.tables import DAMAGED, decompress

HEADER = "Image_Label,EncodedPixels"

_COMPRESS: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".xz": lzma.compress}


@dataclass(frozen=True)
class Problem:
    """A row or picture that is wrong and is left out: what is wrong, and where."""

    kind: str
    where: str


@dataclass(frozen=True)
class Labels:
    """The masks of many scenes, decoded when they are needed.

    Attributes:
        path: the file they were read from.
        texts: run-length text by the picture's file name and the pattern.
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
        """Decode one mask, on the labels' own grid or on a coarser one.

        Raises:
            LabelError: the row is missing, or its run lengths are wrong.
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
    """Read a label file, plain or compressed (`.gz`, `.xz`).

    The grid is by default the contest's submission grid if every run fits there, else its label grid. State
    it for a file of a few rows, where all masks may lie in the left columns of the larger grid. The patterns
    are by default the names that at least half of the pictures have a row for, in the file's order.

    With `problems`, wrong rows are added to this list instead of raising; of two rows for the same mask the
    first is kept. `progress` is called with the bytes read so far and in all.

    Raises:
        LabelError: the file is not in the contest's form; without `problems` also an unknown pattern or a
            second row for the same mask.
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
    if patterns is None:
        counts, images = Counter(name for _, name in texts), len({image for image, _ in texts})
        patterns = [name for name, count in counts.items() if 2 * count >= images]  # the rest is misspelt
    known = tuple(patterns)
    for pattern in first_line.keys() - set(known):
        rows = [key for key in texts if key[1] == pattern]
        where = f"line {first_line[pattern]}: {rows[0][0]}_{pattern}; available: {', '.join(known)}"
        _report(problems, path, Problem("unknown pattern", where))
        for key in rows:
            del texts[key]
    return Labels(path, grid or _grid_of(path, texts), texts, known)


def _report(problems: list[Problem] | None, path: Path, problem: Problem) -> None:
    """Add a problem to the list, or raise it where there is none."""
    if problems is None:
        raise LabelError(f"{path}: {problem.where}: {problem.kind}")
    problems.append(problem)


def format_labels(rows: Iterable[tuple[str, str, str]]) -> bytes:
    """Format a label file's content; a row is picture, pattern, run-length text."""
    lines = [HEADER, *(f"{image}_{pattern},{text}" for image, pattern, text in rows)]
    return ("\n".join(lines) + "\n").encode()


def write_labels(path: Path, rows: Iterable[tuple[str, str, str]]) -> None:
    """Write a label file atomically, compressed by its ending; a row is picture, pattern, run-length text."""
    atomic_write(path, _COMPRESS.get(path.suffix, bytes)(format_labels(rows)))


def _lines(path: Path, progress: Progress | None) -> Iterator[tuple[int, str]]:
    """Check the header, then yield the other rows with their line numbers."""
    size = path.stat().st_size
    with path.open("rb") as packed, decompress(packed, path.suffix) as file:
        try:
            header = file.readline().decode().strip().removeprefix("\ufeff")
            if header != HEADER:
                raise LabelError(f"{path}: the first line must be {HEADER!r}, got {header[:60]!r}")
            for number, line in enumerate(file, 2):
                if row := line.decode().strip():
                    yield number, row
                if progress and number % 256 == 0:
                    progress(packed.tell(), size)
        except DAMAGED as error:
            raise LabelError(f"{path}: damaged, or not a label file: {error}") from error


def _grid_of(path: Path, texts: Mapping[tuple[str, str], str]) -> GridShape:
    score_pixels = SCORE_GRID[0] * SCORE_GRID[1]
    for (image, pattern), text in texts.items():
        try:
            if last_pixel(text) > score_pixels:
                return LABEL_GRID
        except LabelError as error:
            raise LabelError(f"{path}: row {image}_{pattern}: {error}") from error
    return SCORE_GRID
