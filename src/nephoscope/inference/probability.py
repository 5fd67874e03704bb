"""Probabilities of patterns: Platt scaling of scores to the frequency with which labels hold.

Source: Platt 1999, Probabilistic outputs for support vector machines; Niculescu-Mizil and Caruana 2005,
Predicting good probabilities with supervised learning.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nephoscope.core.errors import InvalidRequestError
from nephoscope.inference.postprocess import Evidence, check_evidence

LEAST = 1e-6  # scores are kept this far from 0 and 1, whose logits are infinite


@dataclass(frozen=True)
class Platt:
    """The map from a score to the probability sigmoid(slope * logit(score) + intercept).

    Raises:
        InvalidRequestError: the slope is not positive, or a value is not finite.
    """

    slope: float = 1.0
    intercept: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.slope) and self.slope > 0 and math.isfinite(self.intercept)):
            raise InvalidRequestError(
                f"slope must be above 0 and intercept finite, got {self.slope!r} and {self.intercept!r}"
            )

    def __call__(self, scores: Any) -> NDArray[np.float32]:
        """Probabilities of scores from 0 to 1, of any shape."""
        inner = np.clip(np.asarray(scores, np.float64), LEAST, 1 - LEAST)
        logits = self.slope * (np.log(inner) - np.log1p(-inner)) + self.intercept
        return np.asarray(1 / (1 + np.exp(-logits)), np.float32)

    @property
    def inverse(self) -> "Platt":
        """The map back."""
        return Platt(1 / self.slope, -self.intercept / self.slope)

    def after(self, first: "Platt") -> "Platt":
        """The map that applies `first`, then this one."""
        return Platt(self.slope * first.slope, self.slope * first.intercept + self.intercept)


@dataclass(frozen=True)
class AreaRatio:
    """The area that people draw over the area that a model predicts, on validation scenes.

    Attributes:
        ratio: of the sums over all scenes.
        error: standard deviation of its logarithm, days resampled.

    Raises:
        InvalidRequestError: the ratio is not positive, or the error is negative or not finite.
    """

    ratio: float
    error: float

    def __post_init__(self) -> None:
        if not (0 < self.ratio < math.inf and 0 <= self.error < math.inf):
            raise InvalidRequestError(f"an area ratio must be above 0, got {self.ratio} with {self.error}")


@dataclass(frozen=True)
class PatternCalibration:
    """How the probabilities of one pattern were calibrated.

    Attributes:
        pixels: the map that the model file applies to the network's own output.
        presence: the map from the presence score below to the probability that people draw the pattern.
        evidence: of that score, and its number of highest probabilities, as in `Rule`.
        top_k: see there.

    Raises:
        InvalidRequestError: a value is out of range, or unknown.
    """

    pixels: Platt
    presence: Platt
    evidence: Evidence
    top_k: int

    def __post_init__(self) -> None:
        check_evidence(self.evidence, self.top_k)

    @classmethod
    def from_entries(cls, entries: dict[str, Any]) -> "PatternCalibration":
        """From plain values, as `dataclasses.asdict` returns them."""
        maps = {name: Platt(**entries[name]) for name in ("pixels", "presence")}
        return cls(**{**entries, **maps})
