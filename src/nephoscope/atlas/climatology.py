"""Frequencies pooled over days, with bootstrap intervals.

A frequency over many days is the area with a pattern, summed over the days, over the summed area with data:
never a mean of the days' frequencies, in which a day with little data would count as much as any other. Its
interval comes from resampling whole days (or blocks of days), all satellites of a day together: how often a
day is drawn is a Poisson number of mean 1, independent of other days, so that one drawing serves every period
and cell. A resample may leave days out, so intervals of results that rest on few days are wide.

A trend is the slope of a regression of daily frequencies, weighted by their area with data, on time and on
the calendar month: the mean seasonal cycle is fitted with it, so that missing months do no harm. Years
differ by more than their days suggest, so trends resample whole years, each from December to November.

Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap"; for Poisson numbers in place of a fixed
count, Chamandy et al. 2012, "Estimating Uncertainty for Massive Data Streams".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nephoscope.core.errors import AtlasError
from nephoscope.core.geo import SEASONS

Numbers = NDArray[np.floating[Any]]

RESAMPLES = 1000
LEAST = 5  # days, or blocks of days, with data that an interval needs

LEAST_YEARS = 5  # with data, that a trend needs

ALL = "all"  # the season of all days together

_OUTSIDE = 0.025  # share of the resamples below a 95 % interval, and as many above it
_MONTHS_IN_DECADE = 120
_SAME_TIME = 1e-9  # decades², the variance of times that differ by rounding errors only

Block = int | Literal["year"]
"""Consecutive days that a bootstrap draws together, or years."""


class Bootstrap(NamedTuple):
    """How intervals are computed.

    Attributes:
        block: days that are drawn together. Neighbouring days are correlated, so intervals from single days
            are somewhat too narrow.
        seed: of the random numbers.
        trend_block: the same as `block` for trends, or `"year"`.
    """

    block: int = 1
    seed: int = 0
    trend_block: Block = "year"


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
class Trend:
    """Trends of frequencies, for any cells and classes.

    Attributes:
        slope: change of the frequency per decade; NaN where fewer than `LEAST_YEARS` years have data.
        low, high: ends of its 95 % interval; NaN also where fewer than `LEAST` blocks have data.
        years: how many have data, by cell; a year begins in December.
    """

    slope: Numbers
    low: Numbers
    high: Numbers
    years: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Resampling:
    """How often each day is drawn, the same for every cell and period.

    Attributes:
        weights: shape (1 + resamples, days); the first row is all ones: the sample itself.
        blocks: which block each day belongs to, shape (days,).
        dates: of the days, shape (days,), datetime64[D].
    """

    weights: NDArray[np.float64]
    blocks: NDArray[np.intp]
    dates: NDArray[np.datetime64]

    @classmethod
    def of(cls, days: NDArray[np.datetime64], block: Block = 1, seed: int = 0) -> "Resampling":
        """Draw resamples of days, shape (days,), datetime64[D], in blocks of consecutive days or years."""
        elapsed = (days - days[0]).astype(np.int64)
        own = season_years(days) if block == "year" else elapsed // block
        blocks = np.unique(own, return_inverse=True)[1]
        drawn = np.random.default_rng(seed).poisson(1.0, (RESAMPLES, blocks.max() + 1)).astype(np.float64)
        return cls(np.concatenate([np.ones((1, len(days))), drawn[:, blocks]]), blocks, days)

    def pool(self, areas: Numbers, valid: Numbers, days: NDArray[np.intp]) -> Pooled:
        """Frequencies over some of the days.

        Args:
            areas: of each class, shape (days, satellites, classes, cells).
            valid: area with data, shape (days, satellites, cells), as shares of the cell.
            days: indices of the days to pool.
        """
        return self._pooled(self._ratios(areas, valid, days), valid, days)

    def labelled(
        self, areas: Numbers, valid: Numbers, days: NDArray[np.intp], factors: NDArray[np.float64]
    ) -> Pooled:
        """As `pool`, but the frequencies of people's labels, whose intervals include the model's error.

        `factors` are those of the model, shape (classes, 1 + resamples), as `model_error` draws them.
        """
        ratios = self._ratios(areas, valid, days) * factors[:, None]
        return self._pooled(np.minimum(ratios, 1.0), valid, days)

    def difference(self, areas: Numbers, valid: Numbers, days: NDArray[np.intp]) -> Pooled:
        """As `pool`, but the second of two satellites minus the first, on days on which both have data."""
        both = np.min(valid, axis=1, keepdims=True) > 0
        areas, valid = areas * both[:, :, None], valid * both
        first, second = (self._ratios(areas[:, [which]], valid[:, [which]], days) for which in (0, 1))
        return self._pooled(second - first, valid, days)

    def occurrence(self, areas: Numbers, valid: Numbers, days: NDArray[np.intp]) -> Pooled:
        """As `pool`, but the share of the days with data on which a class is present anywhere in a cell."""
        present, observed = ((each > 0).any(axis=1, keepdims=True).astype(float) for each in (areas, valid))
        return self.pool(present, observed, days)

    def anomalies(
        self, areas: Numbers, valid: Numbers, periods: Sequence[NDArray[np.intp]], base: NDArray[np.intp]
    ) -> list[Pooled]:
        """Frequencies of periods minus that of all days of a base, which contains them.

        They are NaN where no other days of the base have data.
        """
        usual, seen = self._ratios(areas, valid, base), self._have_data(valid, base).sum(axis=0)
        anomalies = []
        for days in periods:
            pooled = self._pooled(self._ratios(areas, valid, days) - usual, valid, days)
            alone = pooled.days == seen
            for values in (pooled.freq, pooled.low, pooled.high):
                values[:, alone] = np.nan
            anomalies.append(pooled)
        return anomalies

    def trend(self, areas: Numbers, valid: Numbers, days: NDArray[np.intp]) -> Trend:
        """Trends over some of the days, given as for `pool`; a day's time is that of its month."""
        own_months = self.dates.astype("datetime64[M]").astype(np.int64)
        time = (own_months - own_months[days].mean()) / _MONTHS_IN_DECADE
        covariance: Numbers = np.zeros(())
        variance: Numbers = np.zeros(())
        weight: Numbers = np.zeros(())
        for month in np.unique(own_months[days] % 12):
            chosen = days[own_months[days] % 12 == month]
            part, whole, part_time, whole_time, whole_time2 = self._moments(areas, valid, chosen, time)
            mean_time = np.divide(whole_time, whole, out=np.zeros_like(whole), where=whole > 0)
            covariance = covariance + part_time - mean_time * part
            variance = variance + whole_time2 - mean_time * whole_time
            weight = weight + whole
        known = variance > _SAME_TIME * weight
        slopes = np.divide(covariance, variance, out=np.full_like(covariance, np.nan), where=known)
        years = season_years(self.dates)[days]
        with_data = self._have_data(valid, days)
        counted = np.array([with_data[years == year].any(axis=0) for year in np.unique(years)]).sum(axis=0)
        pooled = self._pooled(slopes, valid, days)
        for values in (pooled.freq, pooled.low, pooled.high):
            values[:, counted < LEAST_YEARS] = np.nan
        return Trend(pooled.freq, pooled.low, pooled.high, counted)

    def _moments(
        self, areas: Numbers, valid: Numbers, days: NDArray[np.intp], time: NDArray[np.float64]
    ) -> tuple[Numbers, ...]:
        """Sums by row of weights: area, area with data, both by time, and area with data by its square.

        Areas have the shape (classes, cells, 1 + resamples), areas with data (cells, 1 + resamples).
        """
        weights, at = self.weights[:, days].T, time[days][:, None]
        part, whole = (each[days].sum(axis=1, dtype=np.float64) for each in (areas, valid))
        shape = (*part.shape[1:], -1)
        flat = part.reshape(len(days), -1)
        return (
            (flat.T @ weights).reshape(shape),
            whole.T @ weights,
            ((flat * at).T @ weights).reshape(shape),
            (whole * at).T @ weights,
            (whole * at**2).T @ weights,
        )

    def _ratios(self, areas: Numbers, valid: Numbers, days: NDArray[np.intp]) -> Numbers:
        """Classes' areas over area with data by row of weights, shape (classes, cells, 1 + resamples)."""
        weights = self.weights[:, days].T
        parts = areas[days].sum(axis=1, dtype=np.float64)
        part = (parts.reshape(len(days), -1).T @ weights).reshape(*parts.shape[1:], -1)
        whole = valid[days].sum(axis=1, dtype=np.float64).T @ weights
        return np.asarray(np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0))

    @staticmethod
    def _have_data(valid: Numbers, days: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Which cells have data on some of the days, shape (days, cells)."""
        return np.asarray(valid[days].max(axis=1) > 0)

    def _pooled(self, ratios: Numbers, valid: Numbers, days: NDArray[np.intp]) -> Pooled:
        with_data = self._have_data(valid, days)
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


def parse_block(text: str) -> Block:
    """Parse a block of a bootstrap, `year` or a number of days, or raise `AtlasError`."""
    if text.strip().lower() == "year":
        return "year"
    if not text.strip().isdecimal() or int(text) < 1:
        raise AtlasError(f"{text!r} is not a block of a bootstrap; give year, or a number of days")
    return int(text)


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


def year_seasons(days: NDArray[np.datetime64]) -> Periods:
    """Each season of each year, by its first day; December belongs to the following year's DJF."""
    first_months = (days.astype("datetime64[M]").astype(np.int64) + 1) // 3 * 3 - 1
    chosen = {month: np.flatnonzero(first_months == month) for month in np.unique(first_months)}
    return {
        np.datetime64(int(month), "M").astype("datetime64[D]"): indices for month, indices in chosen.items()
    }


def season_years(days: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """The year of each day, counted from December."""
    return (days.astype("datetime64[M]").astype(np.int64) + 1) // 12 + 1970


def season_of(first: np.datetime64) -> str:
    """The name of a season by its first day."""
    return SEASONS[int(month_numbers(np.array([first]))[0]) % 12 // 3]


def month_numbers(days: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """The month of each day, from 1 to 12."""
    return days.astype("datetime64[M]").astype(np.int64) % 12 + 1
