"""The catalogue of labelled scenes: satellite, day and bounds.

A catalogue is a CSV of `image,split,satellite,date,west,south,east,north`; all but the first may be empty.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from nephoscope.core.errors import DatasetError
from nephoscope.core.geo import SEASONS, Bounds
from nephoscope.core.io import csv_text
from nephoscope.datasets.tables import read_rows

COLUMNS = ("image", "split", "satellite", "date", "west", "south", "east", "north")

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Record:
    """Metadata of a scene.

    Attributes:
        image: the picture's file name.
        split: `train`, `val` or empty.
        satellite: empty if unknown.
    """

    image: str
    split: str = ""
    satellite: str = ""
    day: date | None = None
    bounds: Bounds | None = None

    @property
    def group(self) -> str:
        """The scenes that must stay on one side of a split: those of a region's day, of any satellite.

        A scene of unknown day is a group of its own.
        """
        return f"{self.day} {self.region}" if self.day else self.image

    @property
    def region(self) -> str:
        """The scene's bounds in words, such as `61°W-40°W 10°N-24°N`; `unknown` without bounds."""
        if self.bounds is None:
            return UNKNOWN
        west, south, east, north = map(_degrees, self.bounds, ("EW", "NS", "EW", "NS"))
        return f"{west}-{east} {south}-{north}"

    @property
    def season(self) -> str:
        """`DJF`, `MAM`, `JJA` or `SON`; `unknown` without a day."""
        return SEASONS[self.day.month % 12 // 3] if self.day else UNKNOWN

    @property
    def season_year(self) -> str:
        """The year of the season, in which December belongs to the next year; `unknown` without a day."""
        return str(self.day.year + self.day.month // 12) if self.day else UNKNOWN


def read_catalogue(path: Path) -> dict[str, Record]:
    """Read a catalogue: records by the picture's file name.

    Raises:
        DatasetError: a column is missing, or a value is wrong; the message names file and line.
        OSError: the file cannot be read.
    """
    records: dict[str, Record] = {}
    for where, row in read_rows(path, COLUMNS):
        if row["image"] in records:
            raise DatasetError(f"{where}: a second row for {row['image']}")
        records[row["image"]] = _record(row, where)
    return records


def format_catalogue(records: Iterable[Record]) -> bytes:
    """The content of a catalogue."""
    rows = [
        (
            *(each.image, each.split, each.satellite, each.day or ""),
            *((f"{edge:.10g}" for edge in each.bounds) if each.bounds else [""] * 4),
        )
        for each in records
    ]
    return csv_text(COLUMNS, rows).encode()


def _record(row: dict[str, str], where: str) -> Record:
    edges = [row[name] for name in ("west", "south", "east", "north")]
    try:
        bounds = Bounds(*map(float, edges)) if all(edges) else None
        day = date.fromisoformat(row["date"]) if row["date"] else None
    except ValueError as error:
        raise DatasetError(f"{where}: {error}") from error
    if bounds and not (-90 <= bounds.south < bounds.north <= 90 and max(map(abs, bounds)) <= 180):
        raise DatasetError(f"{where}: invalid bounds: {', '.join(edges)}")
    if row["split"] not in ("", "train", "val"):
        raise DatasetError(f"{where}: unknown split {row['split']!r}; available: train, val, or empty")
    return Record(row["image"], row["split"], row["satellite"], day, bounds)


def _degrees(value: float, signs: str) -> str:
    return f"{abs(value):g}°{signs[value < 0] if value else ''}"
