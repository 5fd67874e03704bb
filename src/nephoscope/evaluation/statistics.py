"""Statistics of evaluations: bootstrap intervals, area under the ROC curve, reliability of probabilities."""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Numbers = NDArray[np.float64]

RESAMPLES = 2000
_LEVEL = 95  # per cent


class Interval(NamedTuple):
    """A mean and its 95 % interval.

    Attributes:
        mean: over all values.
        low: 2.5th percentile of the resampled means.
        high: 97.5th percentile of them.
    """

    mean: float
    low: float
    high: float


def bootstrap(values: ArrayLike, groups: Sequence[Hashable], seed: int = 0) -> list[Interval]:
    """Mean of each column and its percentile bootstrap interval, whole groups resampled with replacement.

    Values of one group, such as a region's scenes of one day, are not independent: resampled one by one they
    would make the interval too narrow.

    Args:
        values: shape (count, columns), at least one row.
        groups: the group of each row.
        seed: of the resampling.

    Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapters 8 and 13.
    """
    rows = np.asarray(values, np.float64)
    resampled = resample_groups(np.column_stack([rows, np.ones(len(rows))]), groups, RESAMPLES, seed)
    means = resampled[:, :-1] / resampled[:, -1:]
    low, high = np.percentile(means, [(100 - _LEVEL) / 2, (100 + _LEVEL) / 2], axis=0)
    return [Interval(*map(float, each)) for each in zip(rows.mean(axis=0), low, high, strict=True)]


def resample_groups(values: ArrayLike, groups: Sequence[Hashable], resamples: int, seed: int = 0) -> Numbers:
    """Sums of columns over resamples of whole groups with replacement, shape (resamples, columns).

    Args:
        values: shape (count, columns), at least one row.
        groups: the group of each row.
        resamples: their number.
        seed: of the resampling.
    """
    rows = np.asarray(values, np.float64)
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    sums = np.zeros((len(numbers), rows.shape[1]))
    np.add.at(sums, [numbers[group] for group in groups], rows)
    drawn = np.random.default_rng(seed).multinomial(len(sums), np.full(len(sums), 1 / len(sums)), resamples)
    return np.asarray(drawn @ sums)


def auc(scores: ArrayLike, present: ArrayLike) -> float:
    """Area under the ROC curve, by ranks (Mann and Whitney 1947); NaN if all or none are present.

    It is the probability that a scene with the pattern scores above one without it; ties count half.

    Args:
        scores: shape (count,).
        present: boolean, shape (count,).
    """
    values, truth = np.asarray(scores, np.float64), np.asarray(present, np.bool_)
    with_it, without = int(truth.sum()), int((~truth).sum())
    if not with_it or not without:
        return float("nan")
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[truth].sum() - with_it * (with_it + 1) / 2) / (with_it * without))


class Reliability(NamedTuple):
    """Reliability curve in bins of equal width from 0 to 1; arrays have shape (bins,).

    Attributes:
        predicted: mean predicted probability of the bin's pixels; NaN where there are none.
        observed: share of them that have the label; NaN where there are none.
        share: the bin's share of all pixels.
        error: expected calibration error, the mean over pixels of |observed - predicted|.
    """

    predicted: Numbers
    observed: Numbers
    share: Numbers
    error: float


def reliability(counts: ArrayLike, positives: ArrayLike, sums: ArrayLike) -> Reliability:
    """Compute the reliability curve of binned probabilities.

    Args:
        counts: pixels in each bin, shape (bins,).
        positives: the number of them that have the label.
        sums: the sum of their probabilities.

    Source: Murphy and Winkler 1977; the error as in Naeini, Cooper and Hauskrecht 2015.
    """
    pixels = np.asarray(counts, np.float64)
    filled = np.where(pixels > 0, pixels, np.nan)
    predicted, observed = np.asarray(sums) / filled, np.asarray(positives) / filled
    share = pixels / max(1.0, float(pixels.sum()))
    return Reliability(predicted, observed, share, float(np.nansum(share * np.abs(predicted - observed))))


def grouped_error(probabilities: ArrayLike, present: ArrayLike, groups: int = 5) -> float:
    """Expected calibration error of few probabilities, in groups of equally many of neighbouring size.

    With a few hundred scenes and more groups, even perfect probabilities would have an error above 0.03.

    Args:
        probabilities: shape (count,).
        present: boolean, shape (count,).
        groups: number of groups.
    """
    values, truth = np.asarray(probabilities, np.float64), np.asarray(present, np.float64)
    parts = np.array_split(np.argsort(values, kind="stable"), groups)
    return sum(abs(float(truth[part].sum() - values[part].sum())) for part in parts) / max(1, len(values))
