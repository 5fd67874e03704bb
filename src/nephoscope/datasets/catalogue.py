"""Where and when labelled scenes were seen, and splits that keep what belongs together.

A catalogue is a CSV of `image,split,satellite,date,west,south,east,north`; all but the first may be empty.
"""

import csv
from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from nephoscope.core.errors import DatasetError
from nephoscope.core.geo import Bounds

COLUMNS = ("image", "split", "satellite", "date", "west", "south", "east", "north")


@dataclass(frozen=True)
class Record:
    """What is known of a scene besides its picture.

    Attributes:
        image: the picture's file name.
        split: `train`, `val` or empty.
        satellite: what took it; empty if unknown.
        day: when; None if unknown.
        bounds: where; None if unknown.
    """

    image: str
    split: str = ""
    satellite: str = ""
    day: date | None = None
    bounds: Bounds | None = None

    @property
    def group(self) -> str:
        """What must stay on one side of a split: a region's day, whichever satellites saw it.

        A scene of unknown day is a group of its own.
        """
        return f"{self.day} {self.region}" if self.day else self.image

    @property
    def region(self) -> str:
        """The scene's box in words, such as `61°W-40°W 10°N-24°N`; `unknown` without one."""
        if self.bounds is None:
            return "unknown"
        west, south, east, north = self.bounds
        return (
            f"{_degrees(west, 'EW')}-{_degrees(east, 'EW')} {_degrees(south, 'NS')}-{_degrees(north, 'NS')}"
        )

    @property
    def season(self) -> str:
        """`DJF`, `MAM`, `JJA` or `SON`; `unknown` without a day."""
        return ("DJF", "MAM", "JJA", "SON")[self.day.month % 12 // 3] if self.day else "unknown"

    @property
    def season_year(self) -> str:
        """The year whose seasons the day belongs to, December counting to the next; `unknown` without one."""
        return str(self.day.year + self.day.month // 12) if self.day else "unknown"


def read_catalogue(path: Path) -> dict[str, Record]:
    """Read a catalogue: records by the picture's file name.

    Raises:
        DatasetError: a missing column, a date or number that is none; the message names file and line.
        OSError: the file cannot be read.
    """
    records: dict[str, Record] = {}
    with path.open(newline="", encoding="utf-8-sig") as file:
        try:
            rows = csv.DictReader(file)
            if missing := [name for name in COLUMNS if name not in (rows.fieldnames or ())]:
                raise DatasetError(f"{path}: no column {', '.join(missing)}")
            for row in rows:
                record = _record(row, records, f"{path}: line {rows.line_num}")
                records[record.image] = record
        except UnicodeDecodeError as error:
            raise DatasetError(f"{path}: not a text file: {error}") from error
        except csv.Error as error:
            raise DatasetError(f"{path}: line {rows.line_num}: {error}") from error
    return records


def split(
    records: Sequence[Record], folds: int | None = None, fold: int = 0, seed: int = 0
) -> tuple[list[int], list[int]]:
    """Divide scenes into those to train on and those to validate on.

    Without `folds`, the records' own `split` is followed where they have one; else one tenth is held out.
    Otherwise groups (see `Record.group`) are dealt into folds, which differ by at most one group's size.
    Where some scenes are dated, undated ones are only trained on: their day may be another scene's.

    Args:
        records: the scenes.
        folds: into how many parts to group_kfold the scenes.
        fold: which part to validate on, from 0.
        seed: of the dealing.

    Returns:
        Indices of the scenes to train on, and of those to validate on.

    Raises:
        DatasetError: nothing would be left on one side, or there is no such fold.
    """
    named = {record.split for record in records} - {""}
    if folds is None and named:
        if named != {"train", "val"}:
            raise DatasetError(
                f"every scene with a split is in {named.pop()!r}; --folds deals them by day instead"
            )
        parts = [[i for i, record in enumerate(records) if record.split == name] for name in ("train", "val")]
        return parts[0], parts[1]
    folds = 10 if folds is None else folds
    if not 0 <= fold < folds or folds < 2:
        raise DatasetError(f"fold {fold} of {folds}: there must be at least 2, counted from 0")
    allowed = _may_validate(records)
    groups = {record.group for record, may in zip(records, allowed, strict=True) if may}
    if folds > len(groups):
        raise DatasetError(f"{folds} folds of {len(groups)} days: there can be no more folds than days")
    of = group_kfold([record.group for record in records], folds, seed, allowed)
    held_out = [i for i, part in enumerate(of) if part == fold]
    trained = [i for i, part in enumerate(of) if part != fold]
    if not held_out or not trained:
        raise DatasetError(f"{len(records)} scenes of {len(set(of))} groups are too few for {folds} folds")
    return trained, held_out


def group_kfold(
    groups: Sequence[str], folds: int, seed: int = 0, allowed: Sequence[bool] | None = None
) -> list[int]:
    """Deal members of groups into folds of nearly equal size, no group into two.

    Args:
        groups: the group of each member.
        folds: how many.
        seed: of the order in which groups are dealt.
        allowed: members that may be dealt; others get -1.
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


def _may_validate(records: Sequence[Record]) -> list[bool]:
    any_dated = any(record.day for record in records)
    return [record.day is not None or not any_dated for record in records]


def _record(row: dict[str, str], known: Container[str], where: str) -> Record:
    if row["image"] in known:
        raise DatasetError(f"{where}: a second row for {row['image']}")
    if None in row.values():
        raise DatasetError(f"{where}: too few entries")
    edges = [row[name] for name in ("west", "south", "east", "north")]
    try:
        bounds = Bounds(*map(float, edges)) if all(edges) else None
        day = date.fromisoformat(row["date"]) if row["date"] else None
    except ValueError as error:
        raise DatasetError(f"{where}: {error}") from error
    if bounds and not (-90 <= bounds.south < bounds.north <= 90 and max(map(abs, bounds)) <= 180):
        raise DatasetError(f"{where}: no place on Earth: {', '.join(edges)}")
    if row["split"] not in ("", "train", "val"):
        raise DatasetError(f"{where}: split {row['split']!r}: there are train, val or nothing")
    return Record(row["image"], row["split"], row["satellite"], day, bounds)


def _degrees(value: float, signs: str) -> str:
    return f"{abs(value):g}°{signs[value < 0] if value else ''}"
