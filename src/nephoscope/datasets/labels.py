"""Label files in the contest's form: a CSV of `Image_Label,EncodedPixels`, a row for each scene and pattern.

`Image_Label` is the picture's file name, `_` and the pattern; `EncodedPixels` is the mask as run-length text.
Other dialects of CSV are read as well (see `label_rows`), `nan`, `none` and `-1` as empty masks. In a file
with rows only where a pattern is, missing rows are empty masks. `Labels.notes` states such readings.

The contest's own labels (`train.csv`) are on the pictures' grid, 1400x2100; submissions are on 350x525.
"""

import gzip
import lzma
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nephoscope.core.errors import LabelError
from nephoscope.core.io import atomic_write
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import LABEL_GRID, SCORE_GRID, GridShape, Mask, Progress
from nephoscope.datasets.label_rows import HEADER, read_label_rows
from nephoscope.datasets.rle import decode, last_pixel

_EMPTY = ("nan", "<na>", "na", "null", "none", "-1")
"""What an empty mask is written as, in small letters, beside nothing at all."""

_COMPRESS: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".xz": lzma.compress}


@dataclass(frozen=True)
class Problem:
    """A row or picture that is wrong and is left out: what is wrong, where, and more about it, if any."""

    kind: str
    where: str
    detail: str = ""

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.where, self.kind, self.detail)))


@dataclass(frozen=True)
class Labels:
    """The masks of many scenes, decoded when they are needed.

    Attributes:
        path: the file they were read from.
        texts: run-length text by the picture's file name and the pattern.
        notes: what was read in another than the contest's form, and how often.
    """

    path: Path
    grid: GridShape
    texts: Mapping[tuple[str, str], str]
    patterns: tuple[str, ...]
    notes: tuple[str, ...] = ()

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

    def named_as(self, pictures: Collection[str]) -> "Labels":
        """The same labels under the names of pictures, where these differ in capital letters alone."""
        names = stored_names(self.images, pictures)
        if not names:
            return self
        texts = {(names.get(image, image), pattern): text for (image, pattern), text in self.texts.items()}
        written, stored = next(iter(names.items()))
        note = f"{len(names):,} names differ from the rows in capital letters, such as {stored} ({written})"
        return replace(self, texts=texts, notes=(*self.notes, note))


def stored_names(written: Iterable[str], stored: Collection[str]) -> dict[str, str]:
    """Stored names by the written ones that differ from them in capital letters alone: `a.JPG` by `a.jpg`."""
    written, stored = set(written), set(stored)
    by_letters: dict[str, list[str]] = defaultdict(list)
    for name in sorted(stored - written):
        by_letters[name.casefold()].append(name)
    rivals = Counter(name.casefold() for name in written - stored)
    return {
        name: by_letters[letters][0]
        for name in sorted(written - stored)
        if len(by_letters[letters := name.casefold()]) == rivals[letters] == 1
    }


def read_labels(
    path: str | Path,
    grid: GridShape | None = None,
    problems: list[Problem] | None = None,
    progress: Progress | None = None,
    patterns: Sequence[str] | None = None,
) -> Labels:
    """Read a label file, plain or compressed.

    The grid is by default the contest's submission grid if every run fits there, else its label grid. State
    it for a file of a few rows, where all masks may lie in the left columns of the larger grid. The patterns
    are by default the names that at least half of the pictures have a row for, in the file's order. Of a file
    with rows only where a pattern is, one picture in twenty is enough; if they are some of the contest's
    names, they are all of these.

    With `problems`, wrong rows are added to this list instead of raising; of two rows for the same mask the
    first is kept. Wrong run lengths raise when their mask is decoded. `progress` is called with the bytes
    read so far and in all.

    Raises:
        LabelError: the file is not in the contest's form; without `problems` also an unknown pattern or a
            second row for the same mask.
        OSError: the file cannot be read.
    """
    path = Path(path)
    texts: dict[tuple[str, str], str] = {}
    first_line: dict[str, int] = {}
    empty_words: Counter[str] = Counter()
    for number, name, text in read_label_rows(path, progress):
        image, _, pattern = name.rpartition("_")
        if not image or not pattern:
            where = f"line {number}: {name or text:.60}"
            _report(problems, path, Problem("not PICTURE_PATTERN,RUNS", where))
        elif (image, pattern) in texts:
            _report(problems, path, Problem("a second row", f"line {number}: {name}"))
        else:
            if len(text) <= 4 and text.lower() in _EMPTY:
                empty_words[text] += 1
                text = ""
            texts[image, pattern] = text
            first_line.setdefault(pattern, number)
    without_empty = all(texts.values())
    if patterns is None:
        patterns = _find_patterns(texts, without_empty)
    known = tuple(patterns)
    for pattern in first_line.keys() - set(known):
        rows = [key for key in texts if key[1] == pattern]
        where = f"line {first_line[pattern]}: {rows[0][0]}_{pattern}"
        _report(problems, path, Problem("unknown pattern", where, f"available: {', '.join(known)}"))
        for key in rows:
            del texts[key]
    notes = []
    if empty_words:
        notes.append(f"{empty_words.total():,} empty masks are written as {', '.join(sorted(empty_words))}")
    if without_empty and (missing := _add_empty_masks(texts, known)):
        notes.append(f"{missing:,} rows are missing, and no row is empty: they are read as empty masks")
    return Labels(path, grid or _grid_of(path, texts, strict=problems is None), texts, known, tuple(notes))


def _find_patterns(texts: Mapping[tuple[str, str], str], without_empty: bool) -> tuple[str, ...]:
    """The names of a file's patterns; rarer ones are misspelt."""
    counts, images = Counter(name for _, name in texts), len({image for image, _ in texts})
    if not without_empty or len(texts) == images * len(counts):
        return tuple(name for name, count in counts.items() if 2 * count >= images)
    names = {name for name, count in counts.items() if 20 * count >= images}
    return DEFAULT_NAMES if names <= set(DEFAULT_NAMES) else tuple(name for name in counts if name in names)


def _add_empty_masks(texts: dict[tuple[str, str], str], patterns: Sequence[str]) -> int:
    """Add an empty text for each missing row; returns their number."""
    missing = [
        (image, name)
        for image in dict.fromkeys(image for image, _ in texts)
        for name in patterns
        if (image, name) not in texts
    ]
    texts.update(dict.fromkeys(missing, ""))
    return len(missing)


def _report(problems: list[Problem] | None, path: Path, problem: Problem) -> None:
    """Add a problem to the list, or raise it where there is none."""
    if problems is None:
        raise LabelError(f"{path}: {problem}")
    problems.append(problem)


def format_labels(rows: Iterable[tuple[str, str, str]]) -> bytes:
    """Format a label file's content; a row is picture, pattern, run-length text."""
    lines = [HEADER, *(f"{image}_{pattern},{text}" for image, pattern, text in rows)]
    return ("\n".join(lines) + "\n").encode()


def write_labels(path: Path, rows: Iterable[tuple[str, str, str]]) -> None:
    """Write a label file atomically, compressed by its ending; a row is picture, pattern, run-length text."""
    atomic_write(path, _COMPRESS.get(path.suffix, bytes)(format_labels(rows)))


def _grid_of(path: Path, texts: Mapping[tuple[str, str], str], strict: bool) -> GridShape:
    score_pixels = SCORE_GRID[0] * SCORE_GRID[1]
    for (image, pattern), text in texts.items():
        try:
            if last_pixel(text) > score_pixels:
                return LABEL_GRID
        except LabelError as error:
            if strict:  # else the row is reported when its mask is decoded
                raise LabelError(f"{path}: row {image}_{pattern}: {error}") from error
    return SCORE_GRID
