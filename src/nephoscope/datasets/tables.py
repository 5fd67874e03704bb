"""CSV files, plain or compressed (gzip, xz, or a ZIP archive of one file)."""

import csv
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, BinaryIO, cast

from nephoscope.core.errors import DatasetError

DAMAGED = (
    *(lzma.LZMAError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile),
    *(EOFError, UnicodeError),
)
"""Exceptions from reading a file that is damaged or has the wrong ending."""

LONGEST_FIELD = 64 * 1024 * 1024
"""Characters; the run lengths of a ragged mask exceed the 128 KiB that Python's reader allows by default."""


def decompress(file: BinaryIO) -> IO[bytes]:
    """Decompress an open file while it is read; the file itself if it is not compressed.

    Its first bytes tell, not its name: a `train.csv` downloaded from Kaggle may be a ZIP archive.

    Raises:
        BadZipFile: a ZIP archive of several files, or a damaged one.
    """
    start = file.read(6)
    file.seek(0)
    if start.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.GzipFile(fileobj=file))
    if start == b"\xfd7zXZ\x00":
        return lzma.LZMAFile(file)
    if start.startswith(b"PK\x03\x04"):
        archive = zipfile.ZipFile(file)
        inside = [name for name in archive.namelist() if not name.startswith("__MACOSX/")]
        if len(inside) != 1:
            raise zipfile.BadZipFile(f"a ZIP archive of {len(inside)} files; it must hold one")
        try:
            return archive.open(inside[0])
        except (RuntimeError, NotImplementedError) as error:  # encrypted, or of an unknown method
            raise zipfile.BadZipFile(str(error)) from error
    return file


def read_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each row of a CSV file: its file and line, for error messages, and its values by column.

    Raises:
        DatasetError: the file is damaged, lacks one of the columns, or has a row that is too short.
        OSError: the file cannot be read.
    """
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_FIELD))
    try:
        with (
            path.open("rb") as packed,
            io.TextIOWrapper(decompress(packed), "utf-8-sig", newline="") as file,
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
