"""What all readers of label files share: pictures, classes, and a list of what was left out."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from nephoscope.core.errors import LabelError
from nephoscope.core.io import MAX_BYTES
from nephoscope.core.patterns import C3ONTEXT_NAMES
from nephoscope.datasets.exchange.pictures import Pictures
from nephoscope.datasets.labels import Problem
from nephoscope.datasets.tables import DAMAGED, decompress

_PIECE = 1 << 20  # bytes

_MALFORMED = (KeyError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError)
"""Exceptions from entries of a JSON file that have another form."""


class Reading:
    """One import.

    Args:
        patterns: of the data set, in the order of the masks.
        pictures: where pictures are looked for.
        problems: what was left out is added to this list.
        classes: names of class numbers or tools in a file without names, in order. Default: the patterns.
    """

    def __init__(
        self,
        patterns: Sequence[str],
        pictures: Pictures,
        problems: list[Problem],
        classes: Sequence[str] | None = None,
    ) -> None:
        self.patterns, self.pictures, self.problems = tuple(patterns), pictures, problems
        self.notes: list[str] = []  # what was read in a way that its file does not state
        self.classes = tuple(classes or patterns)
        self._indices = {
            other.casefold(): self.patterns.index(name)
            for other, name in C3ONTEXT_NAMES.items()
            if name in self.patterns
        } | {name.casefold(): index for index, name in enumerate(self.patterns)}

    def has_pattern(self, name: str) -> bool:
        """Whether a name is that of a pattern."""
        return name.casefold() in self._indices

    def pattern(self, name: object) -> int:
        """Index of a pattern by its name, in any letters.

        Raises:
            LabelError: no such pattern.
        """
        index = self._indices.get(name.strip().casefold()) if isinstance(name, str) else None
        if index is None:
            raise LabelError(f"an unknown class: {name!r:.60}; available: {', '.join(self.patterns)}")
        return index

    def numbered_pattern(self, number: object) -> int:
        """Index of a pattern by a class number, from 0.

        Raises:
            LabelError: no such class.
        """
        if not isinstance(number, int) or not 0 <= number < len(self.classes):
            raise LabelError(f"an unknown class: number {number!r:.20} of {len(self.classes)}")
        return self.pattern(self.classes[number])

    @contextmanager
    def entry(self, where: str) -> Iterator[None]:
        """Leave out an entry that cannot be used, and go on."""
        try:
            yield
        except LabelError as error:
            kind, _, detail = str(error).partition(": ")
            self.problems.append(Problem(kind, where, detail))
        except _MALFORMED as error:
            self.problems.append(Problem("a malformed entry", where, f"{type(error).__name__}: {error}"))


def check_bytes(path: Path) -> None:
    """Check the size of a label file, of a packed one also its size unpacked.

    Raises:
        LabelError: it is larger than `MAX_BYTES`, or damaged.
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as packed:
        try:
            content = decompress(packed)
            while content is not packed and size <= MAX_BYTES and (piece := content.read(_PIECE)):
                size += len(piece)
        except DAMAGED as error:
            raise LabelError(f"a damaged file: {error}") from error
    if size > MAX_BYTES:
        raise LabelError(f"a file of more than {MAX_BYTES // 1024**2} MiB: {path.name}")


class Candidate:
    """A file whose format is to be told."""

    def __init__(self, path: Path, reading: Reading) -> None:
        self.path, self.reading = path, reading

    @cached_property
    def content(self) -> Any:
        """The content of a JSON file; None where it is none."""
        try:
            return read_json(self.path)
        except LabelError:
            return None


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        LabelError: too large, or not JSON.
        OSError: it cannot be read.
    """
    check_bytes(path)
    try:
        return json.loads(path.read_bytes())
    except RecursionError:
        raise LabelError("a file that is not JSON: nested too deeply") from None
    except ValueError as error:
        raise LabelError(f"a file that is not JSON: {error}") from error
