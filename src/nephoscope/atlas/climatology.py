"""Frequencies pooled over days, with bootstrap intervals.

A frequency over many days is the area with a pattern, summed over the days, over the summed area with data:
never a mean of the days' frequencies, in which a day with little data would count as much as any other. Its
interval comes from resampling whole days (or blocks of days), all satellites of a day together: how often a
day is drawn is a Poisson number of mean 1, independent of other days, so that one drawing serves every period
and cell. A resample may leave days out, so intervals of results that rest on few days are wide.

Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap"; for Poisson numbers in place of a fixed
count, Chamandy et al. 2012, "Estimating Uncertainty for Massive Data Streams".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nephoscope.core.geo import SEASONS

Numbers = NDArray[np.floating[Any]]

RESAMPLES = 1000
LEAST = 5  # days, or blocks of days, with data that an interval needs

ALL = "all"  # the season of all days together

_OUTSIDE = 0.025  # share of the resamples below a 95 % interval, and as many above it


@dataclass(frozen=True, eq=False)
class Pooled:
    """Frequencies of one period, for any cells and classes.

    Attributes:
        freq: from 0 to 1, NaN without data; or a difference of two, from -1 to 1.
        low, high: ends of the 95 % interval; NaN where fewer than `LEAST` days have data.
        days: how many have data, by cell.
        coverage: mean share of the cell's area with data, over all days of the period and all satellites.
    """

    freq: Numbers
    low: Numbers
    high: Numbers
    days: NDArray[np.intp]
    coverage: Numbers


@dataclass(frozen=True, eq=False)
class Resampling:
    """How often each day is drawn, the same for every cell and period.

    Attributes:
        weights: shape (1 + resamples, days); the first row is all ones: the sample itself.
        blocks: which block each day belongs to, shape (days,).
    """

    weights: NDArray[np.float64]
    blocks: NDArray[np.intp]

    @classmethod
    def of(cls, days: NDArray[np.datetime64], block: int = 1, seed: int = 0) -> "Resampling":
        """Draw resamples of days, shape (days,), datetime64[D].

        `block` consecutive days are drawn together: neighbouring days are correlated, so intervals from
        single days are somewhat too narrow.
        """
        elapsed = (days - days[0]).astype(np.int64)
        blocks = np.unique(elapsed // block, return_inverse=True)[1]
        drawn = np.random.default_rng(seed).poisson(1.0, (RESAMPLES, blocks.max() + 1)).astype(np.float64)
        return cls(np.concatenate([np.ones((1, len(days))), drawn[:, blocks]]), blocks)

    def pool(self, areas: Numbers, valid: Numbers, days: NDArray[np.intp]) -> Pooled:
        """Frequencies over some of the days.

        Args:
            areas: of each class, shape (days, satellites, classes, cells).
            valid: area with data, shape (days, satellites, cells), as shares of the cell.
            days: indices of the days to pool.
        """
        return self._pooled(self._ratios(areas, valid, days), valid, days)

    def difference(self, areas: Numbers, valid: Numbers, days: NDArray[np.intp]) -> Pooled:
        """As `pool`, but the second of two satellites minus the first, on days on which both have data."""
        both = np.min(valid, axis=1, keepdims=True) > 0
        areas, valid = areas * both[:, :, None], valid * both
        first, second = (self._ratios(areas[:, [which]], valid[:, [which]], days) for which in (0, 1))
        return self._pooled(second - first, valid, days)

    def _ratios(self, areas: Numbers, valid: Numbers, days: NDArray[np.intp]) -> Numbers:
        """Classes' areas over area with data by row of weights, shape (classes, cells, 1 + resamples)."""
        weights = self.weights[:, days].T
        parts = areas[days].sum(axis=1, dtype=np.float64)
        part = (parts.reshape(len(days), -1).T @ weights).reshape(*parts.shape[1:], -1)
        whole = valid[days].sum(axis=1, dtype=np.float64).T @ weights
        return np.asarray(np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0))

    def _pooled(self, ratios: Numbers, valid: Numbers, days: NDArray[np.intp]) -> Pooled:
        with_data = np.asarray(valid[days] > 0).any(axis=1)
        blocks = np.unique(self.blocks[days], return_inverse=True)[1]
        counted = np.zeros((blocks.max() + 1, with_data.shape[1]), np.bool_)
        np.logical_or.at(counted, blocks, with_data)
        low, high = interval(ratios[..., 1:])
        too_few = counted.sum(axis=0) < LEAST
        low[:, too_few] = high[:, too_few] = np.nan
        estimate = ratios[..., 0].copy()  # a view would keep all resamples
        return Pooled(estimate, low, high, with_data.sum(axis=0), valid[days].mean(axis=(0, 1)))


def interval(resamples: Numbers) -> tuple[Numbers, Numbers]:
    """Ends of the 95 % interval; resamples (the last axis) without data of a cell are left out."""
    count = resamples.shape[-1]
    ends = [round(_OUTSIDE * count) - 1, count - round(_OUTSIDE * count)]
    low, high = np.moveaxis(np.partition(resamples, ends, axis=-1)[..., ends], -1, 0)
    if (incomplete := np.isnan(resamples).any(axis=-1)).any():
        ordered = np.sort(resamples[incomplete], axis=-1)  # NaN comes last
        counts = np.count_nonzero(~np.isnan(ordered), axis=-1)
        outside = np.round(_OUTSIDE * counts).astype(np.intp)
        for end, index in ((low, outside - 1), (high, counts - outside)):
            end[incomplete] = np.take_along_axis(ordered, np.clip(index, 0, count - 1)[:, None], -1)[:, 0]
    return low, high


Periods = Mapping[Any, NDArray[np.intp]]
"""Indices of the days of each period."""


def months(days: NDArray[np.datetime64]) -> Periods:
    """Each month of each year, by its first day."""
    own = days.astype("datetime64[M]")
    return {month.astype("datetime64[D]"): np.flatnonzero(own == month) for month in np.unique(own)}


def calendar_months(days: NDArray[np.datetime64]) -> Periods:
    """Each month from 1 to 12 that has days, all years together."""
    own = month_numbers(days)
    return {int(month): np.flatnonzero(own == month) for month in np.unique(own)}


def seasons(days: NDArray[np.datetime64]) -> Periods:
    """Each season that has days, all years together, and `ALL`."""
    own = month_numbers(days) % 12 // 3
    periods = {name: np.flatnonzero(own == number) for number, name in enumerate(SEASONS)}
    return {name: chosen for name, chosen in periods.items() if len(chosen)} | {ALL: np.arange(len(days))}


def month_numbers(days: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """The month of each day, from 1 to 12."""
    return days.astype("datetime64[M]").astype(np.int64) % 12 + 1
