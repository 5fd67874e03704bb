"""Rules whose areas and numbers of scenes match those of the labels.

Rules of the highest Dice do not: it pays to leave out a pattern that is not sure, and to draw one large
that is.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nephoscope.training.rule_search import Numbers


class PatternScenes(NamedTuple):
    """One pattern on some scenes.

    Attributes:
        scores: of one kind of presence evidence, shape (scenes,).
        pixels: as in `ScoredScenes`, shape (levels, 2, scenes).
        present: 1 where the pattern is labelled, else 0; shape (scenes,).
    """

    scores: Numbers
    pixels: Numbers
    present: Numbers

    def select(self, chosen: Numbers) -> "PatternScenes":
        """The scenes where `chosen` is true."""
        return PatternScenes(self.scores[chosen], self.pixels[..., chosen], self.present[chosen])

    def areas_above(self, threshold: float) -> Numbers:
        """Share of each scene's pixels with data above a threshold, which is a whole number of levels."""
        level = round(threshold * len(self.pixels))
        return np.asarray(self.pixels[level:, 0].sum(0) / np.maximum(1, self.pixels[:, 0].sum(0)))

    @property
    def labelled(self) -> Numbers:
        """Share of each scene's pixels with data that have the label."""
        return np.asarray(self.pixels[:, 1].sum(0) / np.maximum(1, self.pixels[:, 0].sum(0)))


class UnbiasedRule(NamedTuple):
    """A presence cut and a threshold."""

    cut: float
    threshold: float


def match(scenes: PatternScenes) -> UnbiasedRule:
    """The cut that as many scenes pass as have the label, and the threshold at which areas are alike."""
    ordered = np.sort(scenes.scores)[::-1]
    number = int(scenes.present.sum())
    if number == 0:
        return UnbiasedRule(1.0, 1.0)
    cut = 0.0 if number == len(ordered) else float(ordered[number - 1 : number + 1].mean())
    levels = len(scenes.pixels)
    counted = scenes.pixels[:, 0] / np.maximum(1, scenes.pixels[:, 0].sum(0))
    above = np.cumsum(counted[::-1, scenes.scores >= cut].sum(1))[::-1]  # by level, of the present scenes
    nearest = int(np.argmin(np.abs(above - scenes.labelled.sum())))
    return UnbiasedRule(cut, nearest / levels)


class HeldOutAreas(NamedTuple):
    """Areas and presence by rules of other folds; shape (scenes,).

    Attributes:
        present: 1 where the rule holds the pattern for present.
        areas: share of the pixels with data.
    """

    present: Numbers
    areas: Numbers


def held_out_areas(scenes: PatternScenes, folds: Sequence[int]) -> HeldOutAreas:
    """Apply to each fold the rule that matches the other folds."""
    fold_of = np.asarray(folds)
    present, areas = np.zeros(len(fold_of)), np.zeros(len(fold_of))
    for fold in np.unique(fold_of):
        inside = fold_of == fold
        rule, own = match(scenes.select(~inside)), scenes.select(inside)
        above = own.areas_above(rule.threshold)
        present[inside] = (own.scores >= rule.cut) & (above > 0)
        areas[inside] = above * present[inside]
    return HeldOutAreas(present, areas)
