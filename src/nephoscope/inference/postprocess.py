"""Rules: from one pattern's probabilities to its components, by threshold, presence and minimum area.

All sizes are in pixels of the model card's grid, so that a rule means the same area for any picture.
"""

from dataclasses import dataclass, fields
from typing import Literal, Protocol, get_args

import cv2
import numpy as np

from nephoscope.core.errors import InvalidRequestError, ModelError
from nephoscope.core.types import ComponentLabels, GridShape, Mask, Probabilities

LARGEST_JOIN = 100  # pixels; the search for components farther apart takes seconds

_SAMPLING = 16  # every so many values are looked at first, to leave out most of the others
_MORE = 1.25  # times the wanted share of them is kept

Evidence = Literal["top_k", "head", "product"]
"""Source of the presence score: the mean of the highest probabilities (`top_k`), the network's presence head,
or the product of both."""


@dataclass(frozen=True)
class Rule:
    """How one pattern's probabilities become its mask.

    Raises:
        InvalidRequestError: a value is out of range, or unknown.
    """

    threshold: float  # pixels with a higher probability belong to the pattern
    top_k: int  # number of highest probabilities in the mean of the presence score
    presence: float  # least presence score of a present pattern
    least_cover: int  # least number of pixels above the threshold of a present pattern
    minimum_area: int  # components of fewer pixels are removed
    join: int = 0  # components with at most this many pixels between them count as one
    evidence: Evidence = "top_k"

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, np.generic):  # which JSON cannot hold
                object.__setattr__(self, entry.name, value.item())
        for name in ("threshold", "presence"):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and 0 <= value <= 1):
                raise InvalidRequestError(f"{name} must be between 0 and 1, got {value!r}")
        for name in ("least_cover", "minimum_area", "join"):
            _check_whole(name, getattr(self, name), 0)
        _check_join(self.join)
        check_evidence(self.evidence, self.top_k)


def check_evidence(evidence: str, top_k: int) -> None:
    """Check a kind of evidence and its number of highest probabilities.

    Raises:
        InvalidRequestError: one of them is unknown or out of range.
    """
    _check_whole("top_k", top_k, 1)
    if evidence not in get_args(Evidence):
        known = ", ".join(get_args(Evidence))
        raise InvalidRequestError(f"evidence must be one of {known}, got {evidence!r}")


def _check_whole(name: str, value: object, least: int) -> None:
    if not (isinstance(value, int) and value >= least):
        raise InvalidRequestError(f"{name} must be a whole number of at least {least}, got {value!r}")


def _check_join(join: int) -> None:
    if not 0 <= join <= LARGEST_JOIN:
        raise InvalidRequestError(f"join must be between 0 and {LARGEST_JOIN} pixels, got {join}")


def resample(values: Probabilities, grid: GridShape) -> Probabilities:
    """Resample a field of shape (height, width) to another grid: area means if coarser, linear if finer."""
    if values.shape == grid:
        return values
    shrinks = grid[0] * grid[1] < values.shape[0] * values.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(values, grid[::-1], interpolation=method), np.float32)


def above(probability: Probabilities, threshold: float) -> Mask:
    """Mask of the probabilities above a threshold."""
    return np.asarray(probability > threshold, np.bool_)


def presence_score(probability: Probabilities, top_k: int) -> float:
    """Mean of the `top_k` highest probabilities, from 0 to 1.

    Missing pixels count as 0, as do pixels without data.
    """
    values = probability.reshape(-1)
    if len(values) > top_k:
        values = _highest(values, top_k)
    return float(values.sum(dtype=np.float64) / top_k)


def _highest(values: Probabilities, count: int) -> Probabilities:
    """The highest values, in any order; faster than partitioning all of them."""
    sample = values[::_SAMPLING]
    rank = min(len(sample), round(_MORE * count / _SAMPLING) + _SAMPLING)
    candidates = values[values >= np.partition(sample, -rank)[-rank]]
    if len(candidates) < count:  # the sample's values are too high
        candidates = values
    return np.partition(candidates, -count)[-count:]


class HasEvidence(Protocol):
    """What decides a presence score: a `Rule`, or the calibration of a pattern's presence."""

    @property
    def evidence(self) -> Evidence:
        """The kind of evidence."""

    @property
    def top_k(self) -> int:
        """The number of highest probabilities in the mean."""


def evidence_score(
    probability: Probabilities, rule: HasEvidence, head_probability: float | None = None
) -> float:
    """Presence score of a pattern, from 0 to 1.

    Args:
        probability: from 0 to 1, shape (height, width).
        rule: the pattern's rule, or another definition of the score.
        head_probability: of the network's presence head, where it has one.

    Raises:
        ModelError: the rule needs a presence head and there is none.
    """
    if rule.evidence == "top_k":
        return presence_score(probability, rule.top_k)
    if head_probability is None:
        raise ModelError("the rule needs a presence head, and the network has none")
    score = 1.0 if rule.evidence == "head" else presence_score(probability, rule.top_k)
    return head_probability * score


def is_present(score: float, mask: Mask, rule: Rule) -> bool:
    """Whether a pattern with this presence score and mask is present."""
    return score >= rule.presence and int(np.count_nonzero(mask)) >= max(1, rule.least_cover)


def label_components(mask: Mask, join: int = 0) -> ComponentLabels:
    """Label a mask's connected components from 1, with 8-connectivity; 0 where the mask is off.

    Args:
        mask: boolean, shape (height, width).
        join: components with at most this many pixels between them count as one; at most `LARGEST_JOIN`.

    Raises:
        InvalidRequestError: `join` is negative or too large.
    """
    _check_join(join)
    spread = mask.view(np.uint8)
    if join:
        # Two pixels with `join` others between them touch once each has grown by a disc this wide.
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (join + 1, join + 1))
        spread = np.asarray(cv2.dilate(spread, disc), np.uint8)
    components = np.asarray(cv2.connectedComponents(spread, connectivity=8)[1], np.int32)
    if join:
        components[~mask] = 0
    return components


def remove_small_components(components: ComponentLabels, minimum_area: int) -> ComponentLabels:
    """Remove components of fewer than `minimum_area` pixels and number the others from 1, largest first."""
    areas = np.bincount(components.reshape(-1), minlength=1)
    areas[0] = 0
    kept = [number for number in np.argsort(-areas, kind="stable") if areas[number] >= max(1, minimum_area)]
    if kept == list(range(1, len(areas))):
        return components
    renumbered = np.zeros(len(areas), np.int32)
    renumbered[kept] = np.arange(1, len(kept) + 1)
    return np.take(renumbered, components, mode="clip")  # all are in range; faster than checking


def segment_pattern(
    probability: Probabilities,
    rule: Rule,
    join: int | None = None,
    head_probability: float | None = None,
) -> tuple[ComponentLabels, float]:
    """Apply a rule: from a pattern's probabilities to its components and presence score.

    Args:
        probability: from 0 to 1, shape (height, width), on the rule's grid; 0 where there is no data.
        rule: the pattern's rule.
        join: components with at most this many pixels between them count as one. Default: from the rule.
        head_probability: of the network's presence head, where it has one.

    Returns:
        Components numbered from 1, largest first, 0 elsewhere (the mask is `components > 0`); the
        presence score.

    Raises:
        ModelError: the rule needs a presence head and there is none.
    """
    mask = above(probability, rule.threshold)
    score = evidence_score(probability, rule, head_probability)
    if not is_present(score, mask, rule):
        return np.zeros(mask.shape, np.int32), score
    components = label_components(mask, rule.join if join is None else join)
    return remove_small_components(components, rule.minimum_area), score
