"""Splits of labelled scenes into training and validation, by day and region."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from nephoscope.core.errors import DatasetError
from nephoscope.datasets.catalogue import Record


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
