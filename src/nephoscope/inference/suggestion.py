"""Which pictures to label next: uncertain ones, unlike the training pictures, and unlike each other.

The score of a picture is the mean of its patterns' doubts, 0 to 1, and half of its distance from the training
pictures, 0 to 1. Pictures are chosen one by one. One more picture of the same day and region counts half as
much, the next a quarter; nearly the same picture as a chosen one counts nothing, so it comes last.

Sources: uncertainty sampling, Lewis and Gale 1994, arXiv:cmp-lg/9407020; diversity by maximal marginal
relevance, Carbonell and Goldstein 1998, doi:10.1145/290941.291025.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from nephoscope.inference.input_check import distance, out_of_range
from nephoscope.inference.segmentation import Segmentation

UNLIKE_WEIGHT = 0.5
SAME_DAY = 0.5
"""Factor for each picture of the same day and region that is already chosen."""

NEARLY_SAME = 0.95
"""Correlation of two thumbnails from which pictures count as the same."""

DOUBTFUL = 0.8
"""Patterns with at least this doubt are named in the reason."""

_THUMBNAIL = (24, 16)  # px, width and height


@dataclass(frozen=True, eq=False)
class Candidate:
    """A picture that may be labelled.

    Attributes:
        source: where it is.
        day: of the picture, with its region; empty if unknown.
        presence: probability that people would draw each pattern, by pattern; empty without calibration.
        doubts: of the presence of each pattern, 0 to 1.
        unlike: what of it is unlike the training pictures, in words.
        distance: from the training pictures, 0 to 1.
        thumbnail: grey values of unit length and mean 0, shape (384,); zeros of a picture without data.
    """

    source: str
    day: str
    presence: dict[str, float]
    doubts: dict[str, float]
    unlike: tuple[str, ...]
    distance: float
    thumbnail: NDArray[np.float32]

    @property
    def score(self) -> float:
        """How much its labels are expected to teach, if no other picture is labelled."""
        return float(np.mean(list(self.doubts.values()))) + UNLIKE_WEIGHT * self.distance


class Suggestion(NamedTuple):
    """A picture to label, its score among those suggested before it, and the reason in words."""

    candidate: Candidate
    score: float
    reason: str


def candidate_of(source: str, segmentation: Segmentation) -> Candidate:
    """What `suggest` needs to know of a picture.

    A pattern's doubt is the entropy, in bits, of its presence probability, or of the position of its presence
    score between 0, the rule's cut and 1, whichever is higher. Both are highest where the answer is open.
    """
    card, scene, measures = segmentation.card, segmentation.scene, segmentation.prediction.measures
    presence, has_data = segmentation.presence_probabilities, bool(segmentation.valid_mask.any())
    doubts = {
        name: max(_entropy(presence.get(name, 0.0)), _entropy(_position(score, card.rules[name].presence)))
        if has_data
        else 0.0
        for name, score in segmentation.scores.items()
    }
    region = " {:.0f} {:.0f} {:.0f} {:.0f}".format(*scene.bounds) if scene.bounds else ""
    return Candidate(
        source=source,
        day=f"{scene.day}{region}" if scene.day else "",
        presence=presence,
        doubts=doubts,
        unlike=tuple(out_of_range(measures, card.scope)),
        distance=distance(measures, card.scope),
        thumbnail=_thumbnail(segmentation),
    )


def suggest(candidates: Sequence[Candidate], count: int) -> list[Suggestion]:
    """The pictures to label next, best first; of equal ones the earlier.

    Args:
        candidates: pictures to choose from.
        count: number of pictures to suggest; fewer where there are fewer.
    """
    suggestions: list[Suggestion] = []
    if not candidates:
        return suggestions
    scores = np.array([candidate.score for candidate in candidates])
    thumbnails = np.stack([candidate.thumbnail for candidate in candidates])
    likeness, nearest = np.full(len(candidates), -1.0), np.zeros(len(candidates), np.intp)
    days: Counter[str] = Counter()
    left = np.ones(len(candidates), np.bool_)
    while left.any() and len(suggestions) < count:
        factors = np.array([SAME_DAY ** days[candidate.day] for candidate in candidates])
        values = np.where(likeness >= NEARLY_SAME, 0.0, scores * factors)
        best = int(np.argmax(np.where(left, values, -1.0)))
        chosen, left[best] = candidates[best], False
        same = candidates[nearest[best]].source if likeness[best] >= NEARLY_SAME else ""
        reason = _reason(chosen, days[chosen.day], same)
        suggestions.append(Suggestion(chosen, float(values[best]), reason))
        if chosen.day:
            days[chosen.day] += 1
        alike = thumbnails @ chosen.thumbnail
        nearest[alike > likeness] = best
        likeness = np.maximum(likeness, alike)
    return suggestions


def _reason(candidate: Candidate, of_its_day: int, same: str) -> str:
    """Why a picture is at its place, in words."""
    if not candidate.thumbnail.any():
        return "no data"
    doubtful = sorted(
        (name for name, doubt in candidate.doubts.items() if doubt >= DOUBTFUL),
        key=lambda name: -candidate.doubts[name],
    )
    parts = [f"in doubt: {', '.join(doubtful)}"] if doubtful else ["little doubt"]
    if candidate.unlike:
        parts.append(f"unlike the training pictures: {', '.join(candidate.unlike)}")
    if same:
        parts.append(f"nearly the same as {same}")
    elif of_its_day:
        parts.append(f"{of_its_day} of its day and region before it")
    return "; ".join(parts)


def _position(score: float, cut: float) -> float:
    """A presence score as 0 to 1, with the cut of the rule in the middle."""
    if score < cut:
        return 0.5 * score / cut
    return 0.5 + 0.5 * (score - cut) / (1 - cut) if cut < 1 else 0.5


def _entropy(probability: float) -> float:
    """Entropy of a yes or no, in bits: 1 at 0.5, 0 at 0 and 1."""
    return -sum(part * math.log2(part) for part in (probability, 1 - probability) if part > 0)


def _thumbnail(segmentation: Segmentation) -> NDArray[np.float32]:
    pixels = np.ascontiguousarray(segmentation.prediction.raster.pixels)
    small = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), _THUMBNAIL, interpolation=cv2.INTER_AREA)
    values = small.astype(np.float32).reshape(-1)
    values -= values.mean()
    length = float(np.linalg.norm(values))
    return values / length if length and segmentation.valid_mask.any() else np.zeros_like(values)
