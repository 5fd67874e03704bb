"""Masks of the user's own, such as of ice cloud or sun glint: where they are true, an atlas has no data.

A mask is a variable of a NetCDF file or a Zarr group on latitudes and longitudes, and on days and satellites
if it has them. Its nearest value decides about a pixel. What a mask leaves open (a day that it lacks, a
missing value) counts as no data, too: nobody checked it.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nephoscope.atlas.cells import Degrees
from nephoscope.atlas.flags import NOT_SEGMENTED, Flags, patterns_of
from nephoscope.core.errors import AtlasError
from nephoscope.core.types import Mask
from nephoscope.imagery.labelled import why_not_opened

if TYPE_CHECKING:
    import xarray as xr

_NAMES = {
    "lat": ("lat", "latitude"),
    "lon": ("lon", "longitude"),
    "time": ("time", "date", "day"),
    "satellite": ("satellite",),
}
_ORDER = ("time", "satellite", "lat", "lon")
_TOLERANCE = 1e-6  # degrees

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Exclusion:
    """A mask and where its nearest values are for every pixel of an atlas.

    Attributes:
        source: for messages.
        mask: dimensions among time, satellite, lat and lon, in this order; read when needed.
        indices: of the mask, for each day, satellite, line and column of the atlas; -1 for a day it lacks.
        no_data: the flag of pixels without data.
    """

    source: str
    mask: "xr.DataArray"
    indices: dict[str, NDArray[np.intp]]
    no_data: int

    def apply(self, flags: Any, days: slice) -> Any:
        """Set the flags of some days to no data where the mask is true; a dask array like `flags`."""
        from dask import array as da

        chosen = dict(self.indices)
        known = np.ones(flags.shape[0], np.bool_)
        if "time" in chosen:
            chosen["time"] = chosen["time"][days]
            known = chosen["time"] >= 0
        chunks = dict(zip(_ORDER, flags.chunks, strict=True))
        mask = self.mask.isel({name: np.maximum(index, 0) for name, index in chosen.items()})
        mask = mask.chunk({name: chunks[str(name)] for name in mask.dims})
        values = mask.data[tuple(slice(None) if name in mask.dims else None for name in _ORDER)]
        days_known = da.from_array(known[:, None, None, None], chunks=(flags.chunks[0], 1, 1, 1), name=False)
        return da.map_blocks(
            _exclude,
            flags,
            values,
            days_known,
            self.no_data,
            self.source,
            dtype=np.uint8,
            meta=np.empty((0,) * 4),
        )


def open_exclusion(source: str, flags: "xr.DataArray", lines: Mask, columns: Mask) -> Exclusion:
    """Open a mask for an atlas.

    Args:
        source: a NetCDF file or a Zarr group, and `:VARIABLE` where it has several masks.
        flags: the atlas's, with their coordinates.
        lines: which of the atlas's lines of pixels the mask must cover, shape (lat,).
        columns: the same of columns, shape (lon,).

    Raises:
        AtlasError: the file cannot be read, has no such mask, or does not cover the atlas.
    """
    place, mask = _open_variable(source)
    indices = {}
    for name, needed, period in (("lat", lines, None), ("lon", columns, 360.0)):
        nearest, covered = _nearest(mask[name].values, flags[name].values.astype(np.float64), period)
        if not covered[needed].all():
            raise AtlasError(f"{place}: {_extent(mask)} does not cover the atlas, {_extent(flags)}")
        indices[name] = nearest
    if "satellite" in mask.dims:
        own = [str(name) for name in mask["satellite"].values]
        names = [str(name) for name in flags["satellite"].values]
        if missing := [name for name in names if name not in own]:
            raise AtlasError(f"{place}: has no {' and '.join(missing)}; its satellites: {', '.join(own)}")
        indices["satellite"] = np.array([own.index(name) for name in names])
    if "time" in mask.dims:
        indices["time"] = _days(place, mask["time"].values, flags["time"].values)
    return Exclusion(place, mask, indices, 1 << len(patterns_of(flags)))


def _open_variable(source: str) -> tuple[str, "xr.DataArray"]:
    """Open a mask by its file's name, and `:VARIABLE` if it has one; its dimensions have our names."""
    path, _, name = source.rpartition(":")
    if not path or "/" in name or Path(source).exists():
        path, name = source, ""
    dataset = _open_dataset(path)
    masks = {
        str(key): renamed
        for key, variable in dataset.data_vars.items()
        if variable.dtype.kind in "biuf" and (renamed := _renamed(variable)) is not None
    }
    if name and name not in masks:
        known = f"; it has {', '.join(masks)}" if masks else ""
        raise AtlasError(f"{path}: has no variable {name!r} on latitudes and longitudes{known}")
    if not name and len(masks) != 1:
        several = f"has several: {', '.join(masks)}; name one, as {path}:{next(iter(masks))}" if masks else ""
        raise AtlasError(f"{path}: {several or 'has no variable of 0 and 1 on latitudes and longitudes'}")
    return source, masks[name or next(iter(masks))]


def _open_dataset(path: str) -> "xr.Dataset":
    import xarray as xr

    is_address = "://" in path
    if not is_address and not Path(path).exists():
        raise AtlasError(f"{path}: no such file")
    try:
        if is_address or Path(path).is_dir():
            dataset: xr.Dataset = xr.open_zarr(path, consolidated=False, chunks=None)
        else:
            dataset = xr.open_dataset(path)
    except (ValueError, OSError) as error:
        raise AtlasError(f"{path}: neither NetCDF nor Zarr: {why_not_opened(error)}") from error
    return dataset


def _renamed(variable: "xr.DataArray") -> "xr.DataArray | None":
    """A variable with our names of dimensions, in our order; None without latitudes and longitudes."""
    names = {name: own for name in variable.dims if (own := _own_name(variable, str(name)))}
    others = [name for name in variable.dims if name not in names]
    if not {"lat", "lon"} <= set(names.values()) or any(variable.sizes[name] > 1 for name in others):
        return None
    kept = variable.squeeze(others).reset_coords(drop=True).rename(names)
    return kept.transpose(*(name for name in _ORDER if name in kept.dims))


def _own_name(variable: "xr.DataArray", dimension: str) -> str | None:
    """Our name of a dimension that has coordinates, by its CF standard name or its own."""
    if dimension not in variable.coords:
        return None
    known = {dimension.lower(), variable[dimension].attrs.get("standard_name")}
    return next((name for name, others in _NAMES.items() if known.intersection(others)), None)


def _nearest(
    own: Degrees, centres: Degrees, period: float | None = None
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """The index of the mask's nearest coordinate to each of the atlas's, and whether it reaches there."""
    order = np.argsort(own)
    values = own[order].astype(np.float64)
    if len(values) < 2:
        return np.zeros(len(centres), np.intp), np.zeros(len(centres), np.bool_)
    middles = (values[:-1] + values[1:]) / 2
    low, high = 2 * values[0] - middles[0] - _TOLERANCE, 2 * values[-1] - middles[-1] + _TOLERANCE
    if period:
        centres = low + (centres - low) % period
    return order[np.searchsorted(middles, centres)], (low <= centres) & (centres <= high)


def _days(place: str, times: NDArray[Any], atlas_times: NDArray[np.datetime64]) -> NDArray[np.intp]:
    """The index of the mask's time on each day of the atlas, -1 for days that it lacks."""
    if times.dtype.kind != "M":
        raise AtlasError(f"{place}: its times are not dates of the standard calendar")
    own, days = times.astype("datetime64[D]"), atlas_times.astype("datetime64[D]")
    by_day = {day: index for index, day in enumerate(own.tolist())}
    if len(by_day) < len(own):
        raise AtlasError(f"{place}: has several times of one day; it must have one")
    indices = np.array([by_day.get(day, -1) for day in days.tolist()])
    lacking = np.count_nonzero(indices < 0)
    if lacking == len(days):
        has = f"; it has {own.min()} to {own.max()}" if len(own) else ""
        raise AtlasError(f"{place}: has none of the atlas's days, {days[0]} to {days[-1]}{has}")
    if lacking:
        _log.warning("%s: lacks %d of %d days, which count as without data", place, lacking, len(days))
    return indices


def _extent(grid: "xr.DataArray") -> str:
    """The outermost coordinates of a grid."""
    return " and ".join(
        f"{name} {float(grid[name].min()):g} to {float(grid[name].max()):g}" for name in ("lat", "lon")
    )


def _exclude(flags: Flags, mask: NDArray[Any], known: NDArray[np.bool_], no_data: int, place: str) -> Flags:
    """Set flags of some scenes to no data where a mask is not 0; what is not segmented yet stays so."""
    stated = ~np.isnan(mask) if mask.dtype.kind == "f" else np.ones(mask.shape, np.bool_)
    if mask.dtype != np.bool_ and not np.isin(mask[stated], (0, 1)).all():
        raise AtlasError(f"{place}: has values other than 0 and 1")
    excluded = (mask != 0) | ~known  # NaN differs from 0
    return np.where(excluded & (flags != NOT_SEGMENTED), np.uint8(no_data), flags)
