"""The catalogue of labelled scenes (satellite, day, bounds), and splits for training and validation.

A catalogue is a CSV of `image,split,satellite,date,west,south,east,north`; all but the first may be empty.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from nephoscope.core.errors import DatasetError
from nephoscope.core.geo import SEASONS, Bounds
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


def split(
    records: Sequence[Record], folds: int | None = None, fold: int = 0, seed: int = 0
) -> tuple[list[int], list[int]]:
    """Divide scenes into those to train on and those to validate on.

    Without `folds`, the records' own `split` is used where they have one; else one tenth is held out.
    Otherwise groups (see `Record.group`) are assigned to folds, which differ by at most one group's size.
    Where some scenes have a day, those without one are only trained on: their day may be another scene's.
    Folds count from 0.

    Returns:
        Indices of the scenes to train on, and of those to validate on.

    Raises:
        DatasetError: one side would be empty, or `folds` or `fold` is out of range.
    """
    named = {record.split for record in records} - {""}
    if folds is None and named:
        if named != {"train", "val"}:
            only = named.pop()
            raise DatasetError(
                f"every scene with a split is in {only!r}; use --folds to split by day instead"
            )
        train = [i for i, record in enumerate(records) if record.split == "train"]
        val = [i for i, record in enumerate(records) if record.split == "val"]
        return train, val
    folds = 10 if folds is None else folds
    if not 0 <= fold < folds or folds < 2:
        raise DatasetError(f"fold {fold} of {folds}: there must be at least 2 folds, counted from 0")
    any_dated = any(record.day for record in records)
    allowed = [record.day is not None or not any_dated for record in records]
    groups = {record.group for record, may in zip(records, allowed, strict=True) if may}
    if folds > len(groups):
        raise DatasetError(f"{folds} folds of {len(groups)} days: there can be no more folds than days")
    fold_of = group_kfold([record.group for record in records], folds, seed, allowed)
    held_out = [i for i, part in enumerate(fold_of) if part == fold]
    trained = [i for i, part in enumerate(fold_of) if part != fold]
    if not held_out or not trained:
        counts = f"{len(records)} scenes of {len(set(fold_of))} groups"
        raise DatasetError(f"{counts} are too few for {folds} folds")
    return trained, held_out


def group_kfold(
    groups: Sequence[str], folds: int, seed: int = 0, allowed: Sequence[bool] | None = None
) -> list[int]:
    """Assign members, given by their groups, to folds of nearly equal size; a group is never divided.

    Groups are assigned in a random order. Members that are not `allowed` get -1; by default all are.
    """
    sizes = Counter(group for i, group in enumerate(groups) if allowed is None or allowed[i])
    counts = [0] * folds
    fold_of: dict[str, int] = {}
    names = sorted(sizes)
    for index in np.random.default_rng(seed).permutation(len(names)):
        fold = counts.index(min(counts))
        fold_of[names[index]] = fold
        counts[fold] += sizes[names[index]]
    return [fold_of[group] if allowed is None or allowed[i] else -1 for i, group in enumerate(groups)]


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
