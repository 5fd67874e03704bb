"""Rows of a label file in the dialects of CSV that Kaggle, pandas, R and spreadsheets write.

Read alike are quoted fields, `;` between columns, more columns in any order, all line endings, UTF-16 and
byte order marks, and compressed files whatever their ending (see `tables.decompress`).
"""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from nephoscope.core.errors import LabelError
from nephoscope.core.types import Progress
from nephoscope.datasets.tables import DAMAGED, decompress

NAME, RUNS = "Image_Label", "EncodedPixels"
HEADER = f"{NAME},{RUNS}"

_HEADER_BYTES = 4096  # the first line is shorter
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class _Layout(NamedTuple):
    """What the first line says about the others."""

    separator: str
    columns: tuple[str, ...]

    def split(self, line: str) -> tuple[str, str]:
        """Name and run-length text of a row; no name where it has too few columns."""
        if self.columns == (NAME, RUNS) and '"' not in line:
            name, _, runs = line.rpartition(self.separator)  # a picture's name may hold commas
            return name, runs
        fields = _fields(line, self.separator)
        if len(fields) < len(self.columns):
            return "", line
        return fields[self.columns.index(NAME)], fields[self.columns.index(RUNS)]


def read_label_rows(path: Path, progress: Progress | None = None) -> Iterator[tuple[int, str, str]]:
    """Yield line number, `PICTURE_PATTERN` and run-length text of each row; no name if it has no two columns.

    `progress` is called with the bytes read so far and in all.

    Raises:
        LabelError: the file is damaged, or its first line does not name the columns.
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as packed:
        try:
            lines = _lines(decompress(packed))
            layout = _read_layout(path, next(lines, "").strip())
            for number, line in enumerate(lines, 2):
                if row := line.strip():
                    yield number, *layout.split(row)
                if progress and number % 256 == 0:
                    progress(packed.tell(), size)
        except (*DAMAGED, csv.Error) as error:
            raise LabelError(f"{path}: damaged, or not a label file: {error}") from error


def _lines(file: IO[bytes]) -> Iterator[str]:
    start = file.read(_HEADER_BYTES)
    file.seek(0)
    if start.startswith(_UTF16):
        return iter(io.TextIOWrapper(file, "utf-16"))
    if b"\r" in start and b"\n" not in start:
        return iter(io.TextIOWrapper(file, "utf-8"))
    return (line.decode() for line in file)  # a third faster


def _read_layout(path: Path, header: str) -> _Layout:
    header = header.removeprefix("\ufeff")
    separator = "," if "," in header else ";"
    columns = tuple(_fields(header, separator))
    if NAME not in columns or RUNS not in columns:
        raise LabelError(f"{path}: the first line must be {HEADER!r}, got {header[:60]!r}")
    return _Layout(separator, columns)


def _fields(line: str, separator: str) -> list[str]:
    csv.field_size_limit(max(csv.field_size_limit(), len(line)))  # a mask may be longer than its 128 KiB
    return [field.strip() for field in next(csv.reader([line], delimiter=separator), [])]
