"""Choosing a pattern's rule by its Dice on labelled scenes, and saying honestly what the choice is worth.

A rule decides twice: which mask a pattern has (threshold, join, minimum area), and whether it is there at
all. The Dice of every scene is known for each mask, and for "not there"; so every combination is a sum over
scenes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

_CUTS = 48  # presence cuts tried, at even shares of the scenes


@dataclass(frozen=True, eq=False)
class Table:
    """One pattern on some scenes, under every rule.

    Attributes:
        dice: of each mask, where the pattern is said to be there; shape (masks, scenes).
        empty: 1 where the true mask is empty, else 0: the Dice of saying it is not there; shape (scenes,).
        scores: of each kind of presence evidence, from 0 to 1; shape (kinds, scenes).
    """

    dice: Numbers
    empty: Numbers
    scores: Numbers


class RuleSearchResult(NamedTuple):
    """The best rule.

    Attributes:
        mask: which of the masks.
        kind: which of the kinds of evidence.
        cut: the pattern is there from this score on.
        seen: mean Dice on the scenes it was chosen on: optimistic.
        held_out: mean Dice when the rule for each fold is chosen on the other folds: honest.
    """

    mask: int
    kind: int
    cut: float
    seen: float
    held_out: float


def search(table: Table, folds: Sequence[int]) -> RuleSearchResult:
    """The rule of the highest mean Dice, and what the search for it is worth.

    Args:
        table: every rule's Dice.
        folds: of each scene, from 0; scenes that belong together (a day's) in the same one.
    """
    fold_of = np.asarray(folds)
    count = len(table.empty)
    levels = np.linspace(0, 1, _CUTS)
    cuts = np.stack([_between(scores, levels) for scores in table.scores])
    there = (table.scores[:, None, :] >= cuts[:, :, None]).reshape(-1, count)
    sums = np.zeros((fold_of.max() + 1, len(table.dice), len(there)))
    for fold in range(len(sums)):
        inside = fold_of == fold
        present = there[:, inside].T.astype(np.float64)
        sums[fold] = table.dice[:, inside] @ present + table.empty[inside] @ (1 - present)
    total = sums.sum(axis=0)
    mask, rule = _best(total)
    chosen = [_best(total - part) for part in sums]
    held_out = sum(part[choice] for part, choice in zip(sums, chosen, strict=True)) / count
    kind, level = divmod(rule, _CUTS)
    return RuleSearchResult(
        mask, kind, float(cuts[kind, level]), float(total[mask, rule] / count), float(held_out)
    )


def _between(scores: Numbers, levels: Numbers) -> Numbers:
    """Cuts halfway between neighbouring scores, so that none lies on a score and rounding changes nothing."""
    ordered = np.concatenate(([0.0], np.unique(scores)))
    middles = (ordered[1:] + ordered[:-1]) / 2
    cuts = np.quantile(middles, levels, method="nearest")
    cuts[0] = 0.0  # always there
    return np.asarray(cuts, np.float64)


def _best(sums: Numbers) -> tuple[int, int]:
    """The best mask and rule; of cuts that are equally good the middle one, farthest from harm."""
    mask, rule = np.unravel_index(int(np.argmax(sums)), sums.shape)
    same_kind = sums[mask].reshape(-1, _CUTS)[rule // _CUTS]
    equal = np.flatnonzero(same_kind == sums[mask, rule])
    return int(mask), int(rule // _CUTS * _CUTS + equal[len(equal) // 2])
