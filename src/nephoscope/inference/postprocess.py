"""From one pattern's probabilities to its mask and groups: threshold, presence, components, minimum area.

Everything counts in pixels of the grid the rules are stated on (a model's card names it), so that one rule
means the same area whatever the picture's size.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np

from nephoscope.core.errors import InvalidRequestError, ModelError
from nephoscope.core.types import ComponentLabels, GridShape, Mask, Probabilities

LARGEST_JOIN = 100
"""Pixels; farther apart, groups are hardly one region, and the search for them takes seconds."""


Evidence = Literal["top_k", "head", "product"]
"""What speaks for a pattern's presence: the mean of its highest probabilities (of one: their maximum), the
network's own presence head, or the product of both."""


@dataclass(frozen=True)
class Rule:
    """How one pattern's probabilities become its mask.

    Attributes:
        threshold: a pixel belongs to the pattern where its probability is above this.
        top_k: how many of the highest probabilities the presence score is the mean of.
        presence: the pattern is present where the presence score reaches this...
        least_cover: ... and this many pixels are above the threshold.
        minimum_area: groups of fewer pixels are dropped.
        join: groups with at most this many pixels between them count as one.
        evidence: what the presence score is made of.

    Raises:
        InvalidRequestError: a threshold or presence outside 0 to 1, no pixel to take the mean of, a negative
            area, a join outside 0 to `LARGEST_JOIN`, or unknown evidence.
    """

    threshold: float
    top_k: int
    presence: float
    least_cover: int
    minimum_area: int
    join: int = 0
    evidence: Evidence = "top_k"

    def __post_init__(self) -> None:
        for name in ("threshold", "presence"):
            if not 0 <= getattr(self, name) <= 1:
                raise InvalidRequestError(f"{name} must be between 0 and 1, got {getattr(self, name)}")
        for name, least in (("top_k", 1), ("least_cover", 0), ("minimum_area", 0)):
            if not getattr(self, name) >= least:
                raise InvalidRequestError(f"{name} must be at least {least}, got {getattr(self, name)}")
        _check_join(self.join)
        if self.evidence not in get_args(Evidence):
            known = ", ".join(get_args(Evidence))
            raise InvalidRequestError(f"evidence must be one of {known}, got {self.evidence!r}")


def _check_join(join: int) -> None:
    if not 0 <= join <= LARGEST_JOIN:
        raise InvalidRequestError(f"join must be between 0 and {LARGEST_JOIN} pixels, got {join}")


def resample(values: Probabilities, grid: GridShape) -> Probabilities:
    """Bring a field of shape (height, width) onto another grid: area means if coarser, linear if finer."""
    if values.shape == grid:
        return values
    shrinks = grid[0] * grid[1] < values.shape[0] * values.shape[1]
    height, width = grid
    return np.asarray(
        cv2.resize(values, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR),
        np.float32,
    )


def above(probability: Probabilities, threshold: float) -> Mask:
    """Where the probability is above the threshold."""
    return np.asarray(probability > threshold, np.bool_)


def presence_score(probability: Probabilities, top_k: int) -> float:
    """Mean of the `top_k` highest probabilities, from 0 to 1.

    Where there are fewer pixels the missing ones count as 0, as do pixels without data: a sliver of data is
    no evidence.
    """
    values = probability.reshape(-1)
    if len(values) > top_k:
        values = np.partition(values, -top_k)[-top_k:]
    return float(values.sum(dtype=np.float64) / top_k)


def evidence_score(probability: Probabilities, rule: Rule, head: float | None = None) -> float:
    """How much speaks for a pattern's presence, from 0 to 1, by its rule's evidence.

    Args:
        probability: from 0 to 1, shape (height, width).
        rule: the pattern's rule.
        head: the network's presence head, from 0 to 1, where it has one.

    Raises:
        ModelError: the rule asks for a presence head and there is none.
    """
    if rule.evidence == "top_k":
        return presence_score(probability, rule.top_k)
    if head is None:
        raise ModelError("the rule asks for a presence head, and the network has none")
    return head if rule.evidence == "head" else head * presence_score(probability, rule.top_k)


def is_present(score: float, mask: Mask, rule: Rule) -> bool:
    """Whether a pattern with this presence score and these pixels above the threshold is in the scene."""
    return score >= rule.presence and int(np.count_nonzero(mask)) >= max(1, rule.least_cover)


def label_components(mask: Mask, join: int = 0) -> ComponentLabels:
    """Number a mask's connected groups from 1; 0 where the mask is off. Diagonal neighbours connect.

    Args:
        mask: boolean, shape (height, width).
        join: groups with at most this many pixels between them count as one; at most `LARGEST_JOIN`.

    Raises:
        InvalidRequestError: `join` is negative or too large.
    """
    _check_join(join)
    spread = mask.view(np.uint8)
    if join:
        # Two pixels with `join` others between them touch once each has grown by a disc this wide.
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (join + 1, join + 1))
        spread = np.asarray(cv2.dilate(spread, disc), np.uint8)
    groups = np.asarray(cv2.connectedComponents(spread, connectivity=8)[1], np.int32)
    if join:
        groups[~mask] = 0
    return groups


def remove_small_components(groups: ComponentLabels, minimum_area: int) -> ComponentLabels:
    """Drop groups of fewer than `minimum_area` pixels and number the others from 1, largest first."""
    areas = np.bincount(groups.reshape(-1), minlength=1)
    areas[0] = 0
    kept = [number for number in np.argsort(-areas, kind="stable") if areas[number] >= max(1, minimum_area)]
    if kept == list(range(1, len(areas))):
        return groups
    renumbered = np.zeros(len(areas), np.int32)
    renumbered[kept] = np.arange(1, len(kept) + 1)
    return np.take(renumbered, groups, mode="clip")  # they are all there: quicker than to check it


def segment_pattern(
    probability: Probabilities, rule: Rule, join: int | None = None, head: float | None = None
) -> tuple[ComponentLabels, float]:
    """All steps in order: probabilities to a pattern's groups, and its presence score.

    Args:
        probability: from 0 to 1, shape (height, width), on the rule's grid; 0 where there is no data.
        rule: the pattern's rule.
        join: groups with at most this many pixels between them count as one; the rule's own if left out.
        head: the network's presence head, from 0 to 1, where it has one.

    Returns:
        Components numbered from 1, largest first, 0 elsewhere (the mask is `components > 0`); the
        presence score.

    Raises:
        ModelError: the rule asks for a presence head and there is none.
    """
    mask = above(probability, rule.threshold)
    score = evidence_score(probability, rule, head)
    if not is_present(score, mask, rule):
        return np.zeros(mask.shape, np.int32), score
    return remove_small_components(
        label_components(mask, rule.join if join is None else join), rule.minimum_area
    ), score
