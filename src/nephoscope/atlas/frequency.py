"""Measure how much of each cell has data, and how much each pattern covers, by satellite and day.

What counts is inside the region that was asked for, and not land. Every scene is reduced to the cells that
it reaches into where it is read, so that little is transferred and kept. Days are processed in groups:
neither graph nor memory grows with the years.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nephoscope.atlas.cells import Cells, Shares
from nephoscope.atlas.exclusion import open_exclusion
from nephoscope.atlas.flags import FLAGS, UNCLASSIFIED, Flags, decode, patterns_of
from nephoscope.atlas.land import land_shares
from nephoscope.atlas.plan import Plan
from nephoscope.core.errors import AtlasError
from nephoscope.core.geo import Bounds
from nephoscope.core.types import Progress

if TYPE_CHECKING:
    import xarray as xr

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
        classes: the atlas's patterns, then `UNCLASSIFIED`.
        inside: share of each cell that lies in the region, shape (rows, columns).
        land: share of each cell that lies in the region and is land, shape (rows, columns).
        counted: share of each cell that lies in the region and counts as data: `inside`, without land where
            that is excluded.
        shares: shape (days, satellites, classes + 2, rows, columns), float32: with data, each class, not
            segmented.
    """

    days: NDArray[np.datetime64]
    satellites: tuple[str, ...]
    classes: tuple[str, ...]
    cells: Cells
    inside: Shares
    land: Shares
    counted: Shares
    shares: NDArray[np.float32]

    @property
    def valid_shares(self) -> NDArray[np.float32]:
        """Share with data, shape (days, satellites, rows, columns)."""
        return self.shares[:, :, 0]

    @property
    def class_shares(self) -> NDArray[np.float32]:
        """Share that each class covers, shape (days, satellites, classes, rows, columns)."""
        return self.shares[:, :, 1:-1]

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
    *,
    file: Path | None = None,
    progress: Progress | None = None,
) -> Frequency:
    """Measure every cell of a grid on every day of an atlas, as `open_atlas` gives it.

    Pixels outside the region that the atlas was planned for do not count. The shares are kept in `file`,
    mapped into memory, or else in memory itself; `progress` is called with the days done so far and in all.

    Raises:
        AtlasError: the atlas reaches into none of the cells, or only land does; or a mask cannot be used.
    """
    flags = atlas[FLAGS].transpose("time", "satellite", "lat", "lon")
    if flags.chunks is None:
        flags = flags.chunk({"time": 1, "satellite": 1})
    chunks = flags.data.chunks
    classes = (*patterns_of(flags), UNCLASSIFIED)
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
    shape = (flags.sizes["time"], flags.sizes["satellite"], len(classes) + 2, *cells.shape)
    shares: NDArray[np.float32]
    shares = np.zeros(shape, np.float32) if file is None else np.memmap(file, np.float32, "w+", shape=shape)
    weights = _by_scene(1 - on_land if domain.land == "exclude" else np.ones_like(on_land), chunks)
    for start in range(0, shape[0], _DAYS):
        days = slice(start, min(start + _DAYS, shape[0]))
        kept = flags[days].data
        for mask in masks:
            kept = mask.apply(kept, days)
        shares[days] = _measure(kept, weights, rows, columns, len(classes) - 1)
        if progress:
            progress(days.stop, shape[0])
    days_of_flags = flags["time"].values.astype("datetime64[D]")
    satellites = tuple(str(name) for name in flags["satellite"].values)
    return Frequency(days_of_flags, satellites, classes, cells, inside, of_land, counted, shares)


def _by_scene(weights: NDArray[np.float32], chunks: Sequence[Sequence[int]]) -> Any:
    """Weights of the pixels as a dask array whose chunks lie on those of the flags."""
    from dask import array as da

    return da.from_array(weights, chunks=(tuple(chunks[2]), tuple(chunks[3])), name=False)[None, None]


def _measure(flags: Any, weights: Any, rows: Shares, columns: Shares, patterns: int) -> NDArray[np.float64]:
    """Reduce a dask array scene by scene, then add up the cells that neighbouring scenes share."""
    row_parts, column_parts = _parts(rows, flags.chunks[2]), _parts(columns, flags.chunks[3])
    sizes = (tuple(len(part.cells) for part in parts) for parts in (row_parts, column_parts))
    chosen = [[part.chunk for part in parts] for parts in (row_parts, column_parts)]
    flags, weights = (each.blocks[:, :, chosen[0]].blocks[:, :, :, chosen[1]] for each in (flags, weights))
    pieces = flags.map_blocks(
        _reduce,
        weights,
        [part.shares for part in row_parts],
        [part.shares for part in column_parts],
        patterns,
        dtype=np.float64,
        new_axis=2,
        chunks=(*flags.chunks[:2], (patterns + 3,), *sizes),
        meta=np.empty((0,) * 5),
    ).compute()
    return np.asarray(_gather(row_parts, len(rows)) @ pieces @ _gather(column_parts, len(columns)).T)


class _Part(NamedTuple):
    """The cells that one chunk of an axis reaches into, and the shares of them that its pixels cover."""

    chunk: int
    cells: NDArray[np.intp]
    shares: Shares


def _parts(shares: Shares, chunks: Sequence[int]) -> list[_Part]:
    """One part for each chunk of an axis that reaches into any cell."""
    parts = []
    for number, own in enumerate(np.split(shares, np.cumsum(chunks)[:-1], axis=1)):
        cells = np.flatnonzero(own.any(axis=1))
        if len(cells):
            parts.append(_Part(number, cells, own[cells]))
    return parts


def _gather(parts: list[_Part], cells: int) -> Shares:
    """The matrix that adds up what several chunks have of one cell, shape (cells, cells of all parts)."""
    own = np.concatenate([part.cells for part in parts])
    return np.asarray(np.equal.outer(np.arange(cells), own), np.float64)


def _reduce(
    flags: Flags,
    weights: NDArray[np.float32],
    rows: list[Shares],
    columns: list[Shares],
    patterns: int,
    block_id: tuple[int, ...] = (),
) -> NDArray[np.float64]:
    """Reduce one scene to the cells that it reaches into, shape (1, 1, classes + 2, rows, columns)."""
    along_latitude, along_longitude = rows[block_id[3]], columns[block_id[4]]
    decoded = decode(flags, patterns)
    planes = [decoded.valid, *decoded.present, decoded.unclassified, decoded.not_segmented]
    return np.asarray(
        along_latitude
        @ (np.stack(planes, axis=2) * weights[:, :, None].astype(np.float64))
        @ along_longitude.T
    )
