"""Measure how much of each cell has data, and how much each pattern covers, by satellite and day.

What a pattern covers are its masks, by either of the model's rules, or the sum of its probabilities. What
counts is inside the region that was asked for, and not land. Every scene is reduced to the cells that
it reaches into where it is read, so that little is transferred and kept. Days are processed in groups:
neither graph nor memory grows with the years.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nephoscope.atlas.arrays import PROBABILITY, UNBIASED
from nephoscope.atlas.cells import Cells, Shares
from nephoscope.atlas.exclusion import open_exclusion
from nephoscope.atlas.flags import FLAGS, UNCLASSIFIED, patterns_of
from nephoscope.atlas.land import land_shares
from nephoscope.atlas.plan import Plan
from nephoscope.atlas.presence import PRESENCE
from nephoscope.atlas.reduction import reduce_scenes
from nephoscope.core.errors import AtlasError
from nephoscope.core.geo import Bounds
from nephoscope.core.types import Progress

if TYPE_CHECKING:
    import xarray as xr

Kind = Literal["contest", "unbiased", "expected"]
"""What a pattern covers: its masks by the rules of the highest Dice, its masks by unbiased rules, or the sum
of its calibrated probabilities."""

Land = Literal["exclude", "include"]


class Domain(NamedTuple):
    """What counts as data in the region that an atlas was planned for.

    Attributes:
        land: whether land is excluded.
        masks: that exclude pixels: NetCDF files or Zarr groups, `FILE` or `FILE:VARIABLE`.
    """

    land: Land = "exclude"
    masks: tuple[str, ...] = ()


_DAYS = 32  # processed at a time
_NOTHING = 1e-6  # share of a cell that rounding errors may leave


@dataclass(frozen=True, eq=False)
class Frequency:
    """Shares of cells' areas, from 0 to 1; arrays go over days and satellites, then rows and columns.

    Attributes:
        days: shape (days,), datetime64[D].
        kind: what a pattern covers.
        classes: the atlas's patterns, then `UNCLASSIFIED`, which sums of probabilities do not have.
        inside: share of each cell that lies in the region, shape (rows, columns).
        land: share of each cell that lies in the region and is land, shape (rows, columns).
        counted: share of each cell that lies in the region and counts as data: `inside`, without land where
            that is excluded.
        shares: shape (days, satellites, classes + 2, rows, columns), float32: with data, each class, not
            segmented.
        presence: of sums of probabilities, else None; shape (days, satellites, classes + 1, rows, columns),
            float32: for each class the share with data times the probability that people would draw the class
            in the picture that it is from, and the share with data for which that is known.
    """

    days: NDArray[np.datetime64]
    satellites: tuple[str, ...]
    kind: Kind
    classes: tuple[str, ...]
    cells: Cells
    inside: Shares
    land: Shares
    counted: Shares
    shares: NDArray[np.float32]
    presence: NDArray[np.float32] | None = None

    @property
    def patterns(self) -> tuple[str, ...]:
        """The atlas's patterns."""
        return tuple(name for name in self.classes if name != UNCLASSIFIED)

    @property
    def valid_shares(self) -> NDArray[np.float32]:
        """Share with data, shape (days, satellites, rows, columns)."""
        return self.shares[:, :, 0]

    @property
    def class_shares(self) -> NDArray[np.float32]:
        """Share that each class covers, shape (days, satellites, classes, rows, columns)."""
        return self.shares[:, :, 1:-1]

    def check_has_data(self) -> None:
        """Raise `AtlasError` if no day has data."""
        if not any(day.any() for day in self.valid_shares):
            raise AtlasError(
                f"no picture from {self.days.min()} to {self.days.max()} has data in this region: none is "
                "segmented yet, or all are empty, masked or over land; 'nephoscope atlas status STORE' says "
                "which are segmented"
            )

    def without_data(self, periods: Mapping[Any, NDArray[np.intp]]) -> list[Any]:
        """The periods, given as indices of their days, of which no day has data."""
        with_data = np.asarray(self.valid_shares.any(axis=(1, 2, 3)))
        return [period for period, days in periods.items() if not with_data[days].any()]

    def missing(self) -> NDArray[np.float64]:
        """Share of the area that counts but is not segmented, shape (days, satellites)."""
        areas = self.cells.areas
        missing = np.einsum("dsyx,yx->ds", self.shares[:, :, -1], areas)
        return np.asarray(missing / (self.counted * areas).sum())


def asked_region(atlas: "xr.Dataset") -> Bounds | None:
    """The region that an atlas's plan was asked to cover, which its boxes may exceed.

    Without a plan, as in atlases made by hand, None: then all pixels count.

    Raises:
        AtlasError: the plan is damaged.
    """
    plan = atlas.attrs.get("plan")
    return Plan.from_json(str(plan), "the atlas's plan").region if plan else None


def measure(
    atlas: "xr.Dataset",
    cells: Cells,
    domain: Domain = Domain(),  # noqa: B008 (a constant)
    kind: Kind = "contest",
    *,
    file: Path | None = None,
    progress: Progress | None = None,
) -> Frequency:
    """Measure every cell of a grid on every day of an atlas, as `open_atlas` gives it.

    Pixels outside the region that the atlas was planned for do not count. The shares are kept in `file`,
    mapped into memory, or else in memory itself; `progress` is called with the days done so far and in all.

    Raises:
        AtlasError: the atlas reaches into none of the cells, or only land does; a mask cannot be used; or the
            atlas has no unbiased masks or calibrated probabilities, where these are asked for.
    """
    flags = _flags(atlas, kind).transpose("time", "satellite", "lat", "lon")
    if flags.chunks is None:
        flags = flags.chunk({"time": 1, "satellite": 1})
    chunks = flags.data.chunks
    patterns = patterns_of(flags)
    fields = _probabilities(atlas, len(patterns)) if kind == "expected" else None
    classes = patterns if kind == "expected" else (*patterns, UNCLASSIFIED)
    longitudes, latitudes = (flags[name].values.astype(np.float64) for name in ("lon", "lat"))
    region = asked_region(atlas)
    rows, columns = cells.along_latitude(latitudes, region), cells.along_longitude(longitudes, region)
    inside = np.outer(rows.sum(axis=1), columns.sum(axis=1))
    if not inside.any():
        raise AtlasError("the atlas does not reach into this region")
    on_land = land_shares(longitudes, latitudes)
    of_land = np.minimum(rows @ on_land @ columns.T, inside)
    counted = inside - of_land if domain.land == "exclude" else inside
    counted = np.where(counted < _NOTHING, 0, counted)
    if not counted.any():
        raise AtlasError("the region is all land, which does not count; '--land include' counts it")
    needed = np.asarray(rows.any(axis=0)), np.asarray(columns.any(axis=0))
    masks = [open_exclusion(mask, flags, *needed) for mask in domain.masks]
    presence = _presence(atlas) if kind == "expected" else None
    planes = len(classes) + 2
    all_planes = planes if presence is None else planes + len(classes) + 1
    shape = (flags.sizes["time"], flags.sizes["satellite"], all_planes, *cells.shape)
    shares: NDArray[np.float32]
    shares = np.zeros(shape, np.float32) if file is None else np.memmap(file, np.float32, "w+", shape=shape)
    weights = _by_scene(1 - on_land if domain.land == "exclude" else np.ones_like(on_land), chunks)
    for start in range(0, shape[0], _DAYS):
        days = slice(start, min(start + _DAYS, shape[0]))
        kept = flags[days].data
        for mask in masks:
            kept = mask.apply(kept, days)
        own, their = (None if each is None else each[days] for each in (fields, presence))
        shares[days] = reduce_scenes(kept, weights, own, their, (rows, columns), len(patterns))
        if progress:
            progress(days.stop, shape[0])
    days_of_flags = flags["time"].values.astype("datetime64[D]")
    satellites = tuple(str(name) for name in flags["satellite"].values)
    return Frequency(
        *(days_of_flags, satellites, kind, classes, cells, inside, of_land, counted, shares[:, :, :planes]),
        presence=None if presence is None else shares[:, :, planes:],
    )


def _presence(atlas: "xr.Dataset") -> Any:
    """Presence as a dask array with the blocks of the flags, patterns one below another; None without."""
    from dask import array as da

    if PRESENCE not in atlas:
        return None
    variable = atlas[PRESENCE].transpose("time", "satellite", "box_lat", "pattern", "box_lon")
    values = variable.values  # read once
    days, satellites, rows, patterns, columns = values.shape
    stacked = values.reshape(days, satellites, rows * patterns, columns)
    return da.from_array(stacked, (1, 1, patterns, 1), name=False)


def _flags(atlas: "xr.Dataset", kind: Kind) -> "xr.DataArray":
    """The flags whose data, and unless sums of probabilities are asked for, whose masks count."""
    name = UNBIASED if kind == "unbiased" else FLAGS
    if name not in atlas:
        raise AtlasError(
            "the atlas has no masks by unbiased rules: its model has none, or an older version made it; "
            "frequencies of the kind 'contest' can be had"
        )
    return atlas[name]


def _probabilities(atlas: "xr.Dataset", patterns: int) -> Any:
    """Probabilities as a dask array with the blocks of the flags, the patterns one below another."""
    if PROBABILITY not in atlas or not atlas[PROBABILITY].attrs.get("calibrated"):
        raise AtlasError(
            "the atlas has no calibrated probabilities: its model is not calibrated, or an older "
            "version made it; frequencies of the kind 'contest' can be had"
        )
    fields = atlas[PROBABILITY].transpose("time", "satellite", "pattern", "lat_coarse", "lon_coarse").data
    times, satellites, _, heights, widths = fields.chunks
    return fields.map_blocks(
        _stack_patterns,
        drop_axis=2,
        chunks=(times, satellites, tuple(patterns * height for height in heights), widths),
        dtype=fields.dtype,
        meta=np.empty((0,) * 4, fields.dtype),
    )


def _stack_patterns(fields: NDArray[Any]) -> NDArray[Any]:
    times, satellites, patterns, height, width = fields.shape
    return fields.reshape(times, satellites, patterns * height, width)


def _by_scene(weights: NDArray[np.float32], chunks: Sequence[Sequence[int]]) -> Any:
    """Weights of the pixels as a dask array whose chunks lie on those of the flags."""
    from dask import array as da

    return da.from_array(weights, chunks=(tuple(chunks[2]), tuple(chunks[3])), name=False)[None, None]
