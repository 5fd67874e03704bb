"""Splits of labelled scenes into training and validation: by days of a region, or by seasons."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nephoscope.core.errors import DatasetError
from nephoscope.datasets.catalogue import Record

FoldBy = Literal["day", "season", "scene"]


@dataclass(frozen=True)
class Folds:
    """A division of scenes into folds, and which of them to validate on.

    Attributes:
        count: number of folds; None for the records' own `split`, or ten where they have none.
        index: the fold to validate on, from 0.
        by: `day` assigns days of a region (`Record.group`) at random, to folds of nearly equal size; `season`
            makes blocks of consecutive seasons (`season_blocks`); `scene` assigns single scenes at random,
            also those of one day, which are alike.
    """

    count: int | None = None
    index: int = 0
    by: FoldBy = "day"

    @property
    def kind(self) -> str:
        """What the folds are made of, in words."""
        return {
            "day": "days of a region kept together",
            "season": "blocks of consecutive seasons",
            "scene": "single scenes, also of one day",
        }[self.by]

    def __str__(self) -> str:
        return f"fold {self.index} of {self.count or _FOLDS}, {self.kind}"


OWN_SPLIT = Folds()

_FOLDS = 10
_FEW_FOLDS = 5


def split(records: Sequence[Record], folds: Folds = OWN_SPLIT, seed: int = 0) -> tuple[list[int], list[int]]:
    """Divide scenes into those to train on and those to validate on.

    Where some scenes have a day, those without one are only trained on: their day may be another scene's.

    Returns:
        Indices of the scenes to train on, and of those to validate on.

    Raises:
        DatasetError: one side would be empty, or the folds are out of range.
    """
    named = {record.split for record in records} - {""}
    if folds.count is None and folds.by == "season":
        raise DatasetError("blocks of seasons need a number of folds; add --folds 4")
    if folds.count is None and named:
        if named != {"train", "val"}:
            only = named.pop()
            raise DatasetError(
                f"every scene with a split is in {only!r}; use --folds to split by day instead"
            )
        train = [i for i, record in enumerate(records) if record.split == "train"]
        val = [i for i, record in enumerate(records) if record.split == "val"]
        return train, val
    count = folds.count or _FOLDS
    if not 0 <= folds.index < count or count < 2:
        raise DatasetError(f"fold {folds.index} of {count}: there must be at least 2 folds, counted from 0")
    if folds.by == "scene":
        fold_of = group_kfold([record.image for record in records], count, seed)
    else:
        by_season = folds.by == "season"
        fold_of = season_blocks(records, count) if by_season else _day_folds(records, count, seed)
    held_out = [i for i, part in enumerate(fold_of) if part == folds.index]
    trained = [i for i, part in enumerate(fold_of) if part != folds.index]
    if not held_out or not trained:
        counts = f"{len(records)} scenes of {len(set(fold_of))} groups"
        raise DatasetError(f"{counts} are too few for {count} folds")
    return trained, held_out


def split_of_few(records: Sequence[Record]) -> Folds:
    """The split of a few scenes: a fifth of the days held out, or of the scenes where all are of one day."""
    groups = _groups_to_hold_out(records)
    if len(groups) < 2:
        return Folds(min(_FEW_FOLDS, len(records)), by="scene")
    return Folds(min(_FEW_FOLDS, len(groups)))


def folds_for(records: Sequence[Record]) -> Folds:
    """The split of scenes of any number: their own, a tenth of the days, or `split_of_few`."""
    has_own = any(record.split for record in records)
    return OWN_SPLIT if has_own or len(_groups_to_hold_out(records)) >= _FOLDS else split_of_few(records)


def _groups_to_hold_out(records: Sequence[Record]) -> set[str]:
    """Groups of the scenes with a day; where none has one, of all."""
    return {record.group for record in records if record.day} or {record.group for record in records}


def season_blocks(records: Sequence[Record], count: int) -> list[int]:
    """The block of seasons of each scene, from 0; -1 for a scene without a day.

    Season-years of scenes marked `val` are the last block. The others are divided in their order into blocks
    of nearly equal numbers of years, so that a block tells how a model does in other years.

    Raises:
        DatasetError: there are fewer season-years than blocks.
    """
    years = {record.season_year for record in records if record.day}
    last = {record.season_year for record in records if record.day and record.split == "val"}
    if count > len(years - last) + bool(last):
        raise DatasetError(f"{count} blocks of {len(years)} season-years: at least one a block is needed")
    blocks = [list(part) for part in np.array_split(sorted(years - last), count - bool(last))] + [[*last]]
    block_of = {year: index for index, part in enumerate(blocks) for year in part}
    return [block_of[record.season_year] if record.day else -1 for record in records]


def _day_folds(records: Sequence[Record], count: int, seed: int) -> list[int]:
    any_dated = any(record.day for record in records)
    allowed = [record.day is not None or not any_dated for record in records]
    groups = {record.group for record, may in zip(records, allowed, strict=True) if may}
    if count > len(groups):
        raise DatasetError(f"{count} folds of {len(groups)} days: there can be no more folds than days")
    return group_kfold([record.group for record in records], count, seed, allowed)


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
