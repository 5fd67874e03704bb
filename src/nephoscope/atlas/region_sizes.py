"""How large regions are: the number of connected regions of each pattern by area, from a store's records.

A region that two overlapping pictures show counts in each of them by its share in the part that is kept, so
that each place counts once. Where boxes reach beyond the region that was asked for, and over land, its
centroid decides whether it counts. Regions end at the edge of a picture: of patterns as large as a picture
the sizes are lower limits.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nephoscope.atlas.climatology import LEAST, Resampling, interval
from nephoscope.atlas.frequency import Land
from nephoscope.atlas.land import land_shares
from nephoscope.atlas.plan import Plan
from nephoscope.atlas.store import Store
from nephoscope.core.errors import AtlasError
from nephoscope.core.geo import pixel_areas
from nephoscope.core.io import csv_text

EDGES = np.round(10.0 ** np.arange(2, 7.01, 0.25), 0)
"""Areas in km² between which regions are counted: four classes a decade."""

_PER = 1e6  # km² of data
_CELL = 0.1  # degrees, of the grid that decides what counts


def region_sizes(store: Store, block: int = 1, seed: int = 0, land: Land = "exclude") -> str:
    """Numbers of regions by pattern and area as CSV.

    `regions` is the number of regions with an area from `from_km2` to below `to_km2`; `per_million_km2` that
    number over the area with data that counts, with its 95 % interval (`low`, `high`; empty where
    fewer than `LEAST` days, or blocks of days, have data).

    Args:
        store: the atlas; only its records are read.
        block: consecutive days that are resampled together.
        seed: of the resampling.
        land: whether land is excluded.

    Raises:
        AtlasError: no scene with data has its regions recorded.
    """
    patterns = store.card.patterns
    by_day = _count(store, _Counted(store.plan, land))
    if not by_day:
        raise AtlasError(f"{store.address}: no scene with data has its regions recorded")
    days = np.array(sorted(by_day))
    counts, areas = (np.stack([by_day[day][part] for day in days]) for part in (0, 1))
    resampling = Resampling.of(days, block, seed)
    shape = counts.shape[1:]
    totals = (resampling.weights @ counts.reshape(len(days), -1)).reshape(-1, *shape)
    with_data = (resampling.weights @ areas)[:, None, None]
    density = np.divide(_PER * totals, with_data, out=np.full_like(totals, np.nan), where=with_data > 0)
    low, high = interval(np.moveaxis(density[1:], 0, -1))
    enough = len(np.unique(resampling.blocks)) >= LEAST
    rows = []
    for pattern, name in enumerate(patterns):
        for size in range(shape[1]):
            ends = [f"{end[pattern, size]:.6g}" if enough else "" for end in (low, high)]
            limits = [f"{edge:g}" for edge in EDGES[size : size + 2]]
            number = f"{totals[0, pattern, size]:.6g}"
            rows.append([name, *limits, number, f"{density[0, pattern, size]:.6g}", *ends])
    return csv_text(["pattern", "from_km2", "to_km2", "regions", "per_million_km2", "low", "high"], rows)


class _Counted:
    """What counts of the kept parts of a plan's boxes, on a grid of 0.1°."""

    def __init__(self, plan: Plan, land: Land) -> None:
        covered, region = plan.covered, plan.region
        shape = round(covered.height / _CELL), round(covered.width / _CELL)
        self.covered, self.shape = covered, shape
        north, west = covered.north - _CELL / 2, covered.west + _CELL / 2
        down, across = (np.arange(count, dtype=np.float64) for count in shape)
        latitudes, longitudes = north - _CELL * down, west + _CELL * across
        inside = np.outer(
            (latitudes > region.south) & (latitudes < region.north),
            (longitudes - region.west) % 360 < region.width,
        ).astype(np.float64)
        if land == "exclude":
            inside *= 1 - land_shares(longitudes, latitudes)
        self.inside = inside
        areas = inside * pixel_areas(covered, shape)[:, None]
        self.areas = np.stack(
            [
                [part.sum() for part in np.array_split(band, plan.shape[1], axis=1)]
                for band in np.array_split(areas, plan.shape[0])
            ]
        )
        """km² of each box, shape (rows, columns)."""

    def __contains__(self, region: dict[str, Any]) -> bool:
        """Whether a region counts; a centroid beyond the boxes' edge is taken for one on it."""
        height, width = self.shape
        around = (360 - self.covered.width) / 2  # as far beyond the east edge as beyond the west one
        east = (region["longitude"] - self.covered.west + around) % 360 - around
        row, column = (self.covered.north - region["latitude"]) / _CELL, east / _CELL
        return bool(self.inside[int(np.clip(row, 0, height - 1)), int(np.clip(column, 0, width - 1))] >= 0.5)


def _count(
    store: Store, counted: _Counted
) -> dict[np.datetime64, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """By day, numbers of regions, shape (patterns, sizes), and km² with data, shape ()."""
    patterns = store.card.patterns
    shape = len(patterns), len(EDGES) - 1
    by_day: dict[np.datetime64, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
    for _, records in store.manifest.read_all():
        for record in records:
            if "regions" not in record or not record["valid"]:
                continue
            day = np.datetime64(record["date"])
            counts, area = by_day.setdefault(day, (np.zeros(shape), np.zeros(())))
            scene = store.layout.scene(record["index"])
            area += record["valid"] * counted.areas[scene.row, scene.column]
            for region in record["regions"]:
                if region not in counted:
                    continue
                size = int(np.searchsorted(EDGES, region["area_km2"], "right")) - 1
                if 0 <= size < shape[1]:
                    counts[patterns.index(region["pattern"]), size] += region["kept"]
    return by_day
