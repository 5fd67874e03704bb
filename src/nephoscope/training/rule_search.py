"""Search for the rule of a pattern with the highest Dice on labelled scenes, with an honest estimate of it.

A rule decides which mask a pattern has (threshold, join, minimum area), and whether it is present at all. The
Dice of each scene is known for every mask and for absence, so each combination is a sum over scenes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

_CUTS = 48  # presence cuts to try, at quantiles of the scores


@dataclass(frozen=True, eq=False)
class Table:
    """One pattern on some scenes, under every rule.

    Attributes:
        dice: of each mask, if the pattern is predicted present; shape (masks, scenes).
        empty: 1 where the true mask is empty, else 0: Dice if it is predicted absent; shape (scenes,).
        scores: of each kind of presence evidence, from 0 to 1; shape (kinds, scenes).
    """

    dice: Numbers
    empty: Numbers
    scores: Numbers


class RuleSearchResult(NamedTuple):
    """The best rule.

    Attributes:
        mask: index of the mask.
        kind: index of the kind of evidence.
        cut: the pattern is present from this score on.
        in_sample_dice: mean Dice on the scenes that the rule was chosen on: optimistic.
        held_out_dice: mean Dice if the rule of each fold is chosen on the other folds: honest.
        held_out_by_fold: the same of each fold.
    """

    mask: int
    kind: int
    cut: float
    in_sample_dice: float
    held_out_dice: float
    held_out_by_fold: tuple[float, ...]


def search(table: Table, folds: Sequence[int]) -> RuleSearchResult:
    """Find the rule of the highest mean Dice, and estimate its Dice by cross-validation.

    Folds are of each scene, from 0; scenes of one day belong in the same fold.
    """
    fold_of = np.asarray(folds)
    count = len(table.empty)
    levels = np.linspace(0, 1, _CUTS)
    cuts = np.stack([_midpoints(scores, levels) for scores in table.scores])
    present = (table.scores[:, None, :] >= cuts[:, :, None]).reshape(-1, count)
    sums = np.zeros((fold_of.max() + 1, len(table.dice), len(present)))
    for fold in range(len(sums)):
        inside = fold_of == fold
        counted = present[:, inside].T.astype(np.float64)
        sums[fold] = table.dice[:, inside] @ counted + table.empty[inside] @ (1 - counted)
    total = sums.sum(axis=0)
    mask, rule = _best(total)
    chosen = [_best(total - part) for part in sums]
    held_out = np.array([part[choice] for part, choice in zip(sums, chosen, strict=True)])
    kind, level = divmod(rule, _CUTS)
    return RuleSearchResult(
        mask,
        kind,
        cut=float(cuts[kind, level]),
        in_sample_dice=float(total[mask, rule] / count),
        held_out_dice=float(held_out.sum() / count),
        held_out_by_fold=tuple((held_out / np.bincount(fold_of)).tolist()),
    )


def _midpoints(scores: Numbers, levels: Numbers) -> Numbers:
    """Cuts halfway between neighbouring scores, so that rounding of a score does not matter."""
    ordered = np.concatenate(([0.0], np.unique(scores)))
    middles = (ordered[1:] + ordered[:-1]) / 2
    cuts = np.quantile(middles, levels, method="nearest")
    cuts[0] = 0.0  # always present
    return np.asarray(cuts, np.float64)


def _best(sums: Numbers) -> tuple[int, int]:
    """The best mask and rule; of equally good cuts the middle one, which is the most robust."""
    mask, rule = np.unravel_index(int(np.argmax(sums)), sums.shape)
    same_kind = sums[mask].reshape(-1, _CUTS)[rule // _CUTS]
    equal = np.flatnonzero(same_kind == sums[mask, rule])
    return int(mask), int(rule // _CUTS * _CUTS + equal[len(equal) // 2])
