"""Fit of Platt scaling to counts, and the calibration error that is left on other scenes."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nephoscope.evaluation.statistics import grouped_error, reliability
from nephoscope.inference.probability import LEAST, Platt
from nephoscope.training.rule_search import Numbers

_STEPS, _CONVERGED = 100, 1e-9
_RIDGE = 1e-12  # keeps the curvature invertible
_LEAST_SLOPE = 0.01
_BINS = 20  # of equal width, for the calibration error of pixels

Fit = Callable[[Numbers, Numbers, Numbers], Callable[[Any], Any]]
"""From scores, counts and positives, as `fit_platt` takes them, to a map from scores to probabilities."""


def fit_platt(scores: ArrayLike, counts: ArrayLike, positives: ArrayLike) -> Platt:
    """Fit by maximum likelihood: logistic regression on the logit of the score, by Newton's method.

    One more observation, half positive at a score of a half, keeps the fit finite where a label holds always
    or never. Where it holds less often at higher scores, the fitted probability is nearly constant.

    Args:
        scores: from 0 to 1, shape (bins,).
        counts: observations of each score.
        positives: those of them where the label holds.
    """
    inner = np.clip(np.append(np.asarray(scores, np.float64), 0.5), LEAST, 1 - LEAST)
    logits = np.log(inner) - np.log1p(-inner)
    number = np.append(np.asarray(counts, np.float64), 1)
    hits = np.append(np.asarray(positives, np.float64), 0.5)
    slope, intercept = _newton(np.stack([logits, np.ones_like(logits)]), number, hits, np.zeros_like(logits))
    if slope < _LEAST_SLOPE:
        slope = _LEAST_SLOPE
        (intercept,) = _newton(np.ones((1, len(logits))), number, hits, slope * logits)
    return Platt(float(slope), float(intercept))


def _newton(design: Numbers, number: Numbers, hits: Numbers, offset: Numbers) -> Numbers:
    """Coefficients of the rows of `design` in a logistic regression with an offset."""
    total, values = number.sum(), np.zeros(len(design))
    for _ in range(_STEPS):
        predicted = 1 / (1 + np.exp(-np.clip(values @ design + offset, -30, 30)))
        gradient = design @ (hits - number * predicted) / total
        curvature = (design * (number * predicted * (1 - predicted) / total)) @ design.T
        step = np.linalg.solve(curvature + _RIDGE * np.eye(len(design)), gradient)
        values = values + np.clip(step, -2, 2)
        if np.abs(step).max() < _CONVERGED:
            break
    return values


def fit_pixels(pixels: Numbers) -> Platt:
    """Fit to counts of pixels, shape (levels, 2): of all, and of those with the label."""
    return fit_platt(*_observed(pixels))


class HeldOutProbabilities(NamedTuple):
    """What calibration reaches on scenes of other folds, of one pattern.

    Attributes:
        error: expected calibration error.
        expected: predicted frequency of each scene: the share of its area, or its presence; shape (scenes,).
    """

    error: float
    expected: Numbers


def held_out_pixels(
    pixels: Numbers, folds: Sequence[int], fit: Fit = fit_platt, counted: NDArray[np.bool_] | None = None
) -> HeldOutProbabilities:
    """Calibrate the pixels of each fold on the other folds.

    Args:
        pixels: counts as of `fit_pixels` of each scene, shape (levels, 2, scenes).
        folds: of each scene.
        fit: how to calibrate.
        counted: scenes that the error is of, shape (scenes,). Default: all.
    """
    fold_of, centres = np.asarray(folds), _centres(len(pixels))
    sums, expected = np.zeros((3, _BINS)), np.zeros(pixels.shape[-1])
    for fold in np.unique(fold_of):
        inside = fold_of == fold
        probability = np.asarray(fit(*_observed(pixels[..., ~inside].sum(-1)))(centres), np.float64)
        counts = pixels[..., inside]
        expected[inside] = probability @ counts[:, 0] / np.maximum(1, counts[:, 0].sum(0))
        if counted is not None:
            counts = pixels[..., inside & counted]
        _count(sums, probability, counts[:, 0].sum(-1), counts[:, 1].sum(-1))
    return HeldOutProbabilities(reliability(*sums).error, expected)


def held_out_presence(
    scores: Numbers, present: Numbers, folds: Sequence[int], fit: Fit = fit_platt
) -> HeldOutProbabilities:
    """Calibrate the presence score of each fold on the other folds; arrays have shape (scenes,)."""
    fold_of, expected = np.asarray(folds), np.zeros(len(scores))
    for fold in np.unique(fold_of):
        inside = fold_of == fold
        known = scores[~inside], np.ones(np.count_nonzero(~inside)), present[~inside]
        expected[inside] = fit(*known)(scores[inside])
    return HeldOutProbabilities(grouped_error(expected, present), expected)


def _observed(pixels: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    return _centres(len(pixels)), pixels[:, 0], pixels[:, 1]


def _centres(levels: int) -> Numbers:
    return (np.arange(levels) + 0.5) / levels


def _count(sums: Numbers, probability: Numbers, counts: Numbers, positives: Numbers) -> None:
    bins = np.minimum((probability * _BINS).astype(np.int64), _BINS - 1)
    for row, values in enumerate((counts, positives, probability * counts)):
        sums[row] += np.bincount(bins, values, _BINS)
