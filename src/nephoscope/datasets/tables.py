"""CSV files, plain or compressed (`.gz`, `.xz`)."""

import csv
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, BinaryIO

from nephoscope.core.errors import DatasetError

DAMAGED = (lzma.LZMAError, zlib.error, gzip.BadGzipFile, EOFError, UnicodeDecodeError)
"""Exceptions from reading a file that is damaged or has the wrong ending."""


def decompress(file: BinaryIO, suffix: str) -> IO[bytes] | gzip.GzipFile | lzma.LZMAFile:
    """Decompress an open file while it is read; the file itself where the suffix names no compression."""
    match suffix:
        case ".gz":
            return gzip.GzipFile(fileobj=file)
        case ".xz":
            return lzma.LZMAFile(file)
        case _:
            return file


def read_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each row of a CSV file: its file and line, for error messages, and its values by column.

    Raises:
        DatasetError: the file is damaged, lacks one of the columns, or has a row that is too short.
        OSError: the file cannot be read.
    """
    try:
        with (
            path.open("rb") as packed,
            io.TextIOWrapper(decompress(packed, path.suffix), "utf-8-sig", newline="") as file,
        ):
            rows = csv.DictReader(file)
            if missing := [name for name in columns if name not in (rows.fieldnames or ())]:
                raise DatasetError(f"{path}: missing columns: {', '.join(missing)}")
            for row in rows:
                where = f"{path}: line {rows.line_num}"
                if None in row.values():
                    raise DatasetError(f"{where}: too few values")
                yield where, row
    except (*DAMAGED, csv.Error) as error:
        raise DatasetError(f"{path}: damaged, or not a CSV file: {error}") from error
