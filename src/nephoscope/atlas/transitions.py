"""What becomes of a pattern: from morning to afternoon, and over the next days, at the same place.

Of the area that a class covers at first, each class covers a share later. Classes are the patterns and
`UNCLASSIFIED`; patterns overlap, so the shares of a row may add up to more than 1. Independence would give
the share of the class at the later time, in the same cell of 5 degrees and calendar month, so that neither
geography nor season looks like persistence.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nephoscope.atlas.cells import aligned
from nephoscope.atlas.climatology import LEAST, Resampling, interval, month_numbers
from nephoscope.atlas.flags import FLAGS, UNCLASSIFIED, decode, patterns_of
from nephoscope.atlas.frequency import asked_region
from nephoscope.atlas.land import land_shares
from nephoscope.core.errors import AtlasError
from nephoscope.core.io import csv_text
from nephoscope.core.types import Progress
from nephoscope.imagery.overpass_time import crossing_hour

if TYPE_CHECKING:
    import xarray as xr

LAGS = 7
"""Days over which persistence is followed."""

_NOON = 12.0  # stands for an hour that is not known
_CELL = 5.0  # degrees, within which independence is judged

Numbers = NDArray[np.float64]


class Step(NamedTuple):
    """From a satellite's picture to a later one: of another satellite, or of a later day."""

    first: int  # indices of satellites
    second: int
    days: int


class _Places(NamedTuple):
    """Which pixels count, and how much: shares of cells' extents, areas of cells, shares of sea."""

    rows: Numbers
    columns: Numbers
    areas: Numbers
    sea: NDArray[np.float32]


@dataclass
class _Counts:
    """Areas of one step, a row a pair of days.

    Attributes:
        days: index of the first day of each pair.
        joint: area of each class at first (row) that each class covers later, shape (classes, classes).
        first, second: area of each class in each cell, of pixels with data both times; (cells, classes).
        valid: area with data both times, shape (cells,).
    """

    days: list[int]
    joint: list[Numbers]
    first: list[Numbers]
    second: list[Numbers]
    valid: list[Numbers]


def transitions(atlas: "xr.Dataset", block: int = 1, seed: int = 0, progress: Progress | None = None) -> str:
    """Transition probabilities as CSV, a row for each step, class at first and class later.

    `probability` is the share of the first class's area that the later class covers, `low` and `high` its
    95 % interval (empty for fewer than `LEAST` pairs), `independent` what independence would give, and
    `pairs` the number of pairs of days. Steps are from each satellite to the next of the same day, by their
    overpass times, and of each satellite to itself on one of the next `LAGS` days.

    Args:
        atlas: as `open_atlas` gives it.
        block: consecutive days that are resampled together.
        seed: of the resampling.
        progress: called with the days done so far and in all.

    Raises:
        AtlasError: no two pictures that follow each other have data at the same place.
    """
    classes = (*patterns_of(atlas[FLAGS]), UNCLASSIFIED)
    days = atlas["time"].values.astype("datetime64[D]")
    satellites = [str(name) for name in atlas["satellite"].values]
    counts = _count(atlas, satellites, len(classes), progress)
    if not any(each.days for each in counts.values()):
        raise AtlasError("no two pictures that follow each other have data at the same place")
    resampling = Resampling.of(days, block, seed)
    rows: list[list[object]] = []
    for step, pairs in counts.items():
        if pairs.days:
            names = satellites[step.first], satellites[step.second], step.days
            for (first, later), values in _rows(pairs, days, resampling):
                rows.append([*names, classes[first], classes[later], *values, len(pairs.days)])
    columns = ("from", "to", "days", "first", "later", "probability", "low", "high", "independent", "pairs")
    return csv_text(columns, rows)


def _rows(
    found: _Counts, days: NDArray[np.datetime64], resampling: Resampling
) -> Iterator[tuple[tuple[int, int], list[str]]]:
    of_pairs, joint = np.array(found.days), np.stack(found.joint)
    first, second, valid = (np.stack(each) for each in (found.first, found.second, found.valid))
    weights = resampling.weights[:, of_pairs]
    parts = np.tensordot(weights, joint, axes=1)
    whole = weights @ first.sum(axis=1)
    ratios = np.divide(parts, whole[..., None], out=np.full_like(parts, np.nan), where=whole[..., None] > 0)
    low, high = interval(np.moveaxis(ratios[1:], 0, -1))
    if len(np.unique(resampling.blocks[of_pairs])) < LEAST:
        low[:] = high[:] = np.nan
    independent = _independent(first, second, valid, month_numbers(days[of_pairs]))
    for row, column in np.ndindex(joint.shape[1:]):
        values = (ratios[0, row, column], low[row, column], high[row, column], independent[row, column])
        yield (row, column), ["" if np.isnan(value) else f"{value:.6g}" for value in values]


def _independent(first: Numbers, second: Numbers, valid: Numbers, months: NDArray[np.int64]) -> Numbers:
    """Shares of the first classes' area that later classes would cover, were both independent."""
    expected = np.zeros((first.shape[-1], second.shape[-1]))
    for month in np.unique(months):
        chosen = months == month
        areas = valid[chosen].sum(axis=0)[:, None]
        frequency = second[chosen].sum(axis=0) / np.maximum(areas, 1e-30)
        expected += first[chosen].sum(axis=0).T @ frequency
    whole = first.sum(axis=(0, 1))[:, None]
    independent: Numbers = np.divide(expected, whole, out=np.full_like(expected, np.nan), where=whole > 0)
    return independent


def _count(
    atlas: "xr.Dataset", satellites: Sequence[str], classes: int, progress: Progress | None
) -> dict[Step, _Counts]:
    flags = atlas[FLAGS].transpose("time", "satellite", "lat", "lon")
    latitudes, longitudes = (flags[name].values.astype(np.float64) for name in ("lat", "lon"))
    region = asked_region(atlas)
    cells = aligned(longitudes, latitudes, _CELL, region)
    shares = cells.along_latitude(latitudes, region), cells.along_longitude(longitudes, region)
    places = _Places(*shares, cells.areas, 1 - land_shares(longitudes, latitudes))
    days = flags["time"].values.astype("datetime64[D]").astype(np.int64)
    steps = _steps(satellites)
    counts = {step: _Counts([], [], [], [], []) for step in steps}
    earlier: deque[tuple[int, int, NDArray[np.uint8]]] = deque(maxlen=LAGS + 1)
    for index, day in enumerate(days.tolist()):
        earlier.append((index, day, flags[index].values))
        for step in steps:
            for then, that_day, flags_then in earlier:
                if day - that_day == step.days:
                    pair = flags_then[step.first], earlier[-1][2][step.second]
                    _add(counts[step], then, pair, classes, places)
        if progress:
            progress(index + 1, len(days))
    return counts


def _steps(satellites: Sequence[str]) -> list[Step]:
    hours = [crossing_hour(name) for name in satellites]
    order = sorted(range(len(satellites)), key=lambda index: hours[index] or _NOON)
    same_day = [Step(one, other, 0) for one, other in pairwise(order) if hours[one] != hours[other]]
    return same_day + [Step(one, one, lag) for one in order for lag in range(1, LAGS + 1)]


def _add(
    counts: _Counts,
    day: int,
    pair: tuple[NDArray[np.uint8], NDArray[np.uint8]],
    classes: int,
    places: _Places,
) -> None:
    """Add one pair of pictures, unless no place has data in both."""
    first, second = (decode(flags, classes - 1) for flags in pair)
    both = first.valid & second.valid
    if not both.any():
        return
    rows, columns, areas, sea = places
    before, after = (np.stack([*each.present, each.unclassified & both]) & both for each in (first, second))

    def by_cell(masks: NDArray[np.bool_]) -> Numbers:
        """Area of masks in each cell, shape (cells, masks)."""
        return np.asarray((rows @ (masks * sea) @ columns.T * areas).reshape(len(masks), -1).T)

    weight = np.outer(areas[:, 0] @ rows, columns.sum(axis=0)) * sea  # of a pixel, but for one factor
    flat = (before * weight).reshape(classes, -1) @ after.reshape(classes, -1).T.astype(np.float64)
    whole = float((both * weight).sum())
    if not whole:  # land alone
        return
    counts.joint.append(flat * (by_cell(both[None]).sum() / whole))
    counts.days.append(day)
    counts.first.append(by_cell(before))
    counts.second.append(by_cell(after))
    counts.valid.append(by_cell(both[None])[:, 0])
