"""Read and write summaries (a NetCDF file, or a Zarr folder), and add up their cells by region or column."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nephoscope.atlas.cells import Cells
from nephoscope.atlas.climatology import Numbers, Resampling
from nephoscope.core.errors import AtlasError
from nephoscope.core.geo import Bounds

if TYPE_CHECKING:
    import xarray as xr

ENDINGS = (".nc", ".zarr")

_COMPRESSED = {"zlib": True, "complevel": 4, "shuffle": True}
_EPOCH = {"units": "days since 1970-01-01", "calendar": "standard", "dtype": "int32"}
_DAYS = 64  # read at a time
_ROUNDED = 1e-6  # share of a cell; less is a rounding error


def outputs(path: Path, grids: str, overwrite: bool = False) -> list[tuple[float, Path]]:
    """Cell sizes in degrees, and the file for each: `path`, or for several sizes `NAME_2.5deg.nc` and so on.

    Raises:
        AtlasError: the sizes are not numbers, the ending is another one, or a file exists.
    """
    try:
        sizes = list(dict.fromkeys(float(size) for size in grids.split(",")))
    except ValueError:
        raise AtlasError(f"{grids!r} is not a list of cell sizes; give degrees, such as 1 or 1,2.5") from None
    if path.suffix not in ENDINGS:
        raise AtlasError(f"{path}: the name of a summary must end in {' or '.join(ENDINGS)}")
    named = [path.with_stem(f"{path.stem}_{size:g}deg") for size in sizes] if len(sizes) > 1 else [path]
    for each in named:
        check_replaceable(each)
        if each.exists() and not overwrite:
            raise AtlasError(f"{each}: exists; --overwrite replaces it")
    return list(zip(sizes, named, strict=True))


def check_replaceable(path: Path) -> None:
    """Check that an existing folder is a summary, or raise `AtlasError`: no other is ever replaced."""
    if path.is_dir():
        try:
            json.loads((path / "zarr.json").read_bytes())["attributes"]["bootstrap_block"]
        except (OSError, ValueError, KeyError, TypeError):
            raise AtlasError(f"{path}: a folder that is not a summary; use another name") from None


def read_summary(path: str | Path) -> "xr.Dataset":
    """Open a summary.

    Raises:
        AtlasError: the file is missing, or not a summary.
        OSError: it cannot be read.
    """
    import xarray as xr

    path = Path(path)
    if not path.exists():
        raise AtlasError(f"{path}: no such file")
    try:
        if path.is_dir():
            summary: xr.Dataset = xr.open_zarr(path, consolidated=False, chunks=None)
        else:
            summary = xr.open_dataset(path, engine="h5netcdf")
    except (ValueError, OSError) as error:
        raise AtlasError(f"{path}: neither NetCDF nor Zarr: {error}") from error
    if missing := [name for name in ("satellite_freq", "seasonal_freq", "inside") if name not in summary]:
        raise AtlasError(
            f"{path}: not a summary of an atlas: it lacks {', '.join(missing)}; "
            "'nephoscope atlas summarise' makes one"
        )
    return summary


def write_summary(summary: "xr.Dataset", path: Path) -> None:
    """Write a summary, or raise `OSError`; on this machine, whatever cluster the atlas was measured on."""
    import dask

    netcdf = path.suffix == ".nc"
    encoding: dict[str, dict[str, Any]] = {}
    for name, variable in summary.variables.items():
        how: dict[str, Any] = dict(_EPOCH) if variable.dtype.kind == "M" else {}
        if variable.dtype.kind in "OU" and netcdf:
            how["dtype"] = "S1"  # CF's labels are arrays of characters
        elif variable.dtype.kind != "f" or name in summary.coords or str(name).endswith("_bnds"):
            how["_FillValue"] = None
        if variable.ndim and name not in summary.coords and netcdf:
            how |= _COMPRESSED
        encoding[str(name)] = how
    with dask.config.set(scheduler="synchronous"):
        if netcdf:
            summary.to_netcdf(path, engine="h5netcdf", encoding=encoding)
        else:
            summary.to_zarr(path, encoding=encoding, consolidated=False)


@dataclass(frozen=True, eq=False)
class Columns:
    """Each column of cells on each day, latitudes together, as shares of its area that counts.

    Attributes:
        class_shares: shape (days, satellites, classes, columns).
        valid_shares: with data, shape (days, satellites, columns).
        areas: of what counts in the columns, on a sphere of radius 1, shape (columns,).
        days: shape (days,), datetime64[D].
        resampling: the summary's own.
    """

    class_shares: Numbers
    valid_shares: Numbers
    areas: NDArray[np.float64]
    days: NDArray[np.datetime64]
    resampling: Resampling

    @property
    def whole(self) -> tuple[Numbers, Numbers]:
        """`class_shares` and `valid_shares` of the whole region, as its only column."""
        weights = self.areas / self.areas.sum()
        return (self.class_shares @ weights)[..., None], (self.valid_shares @ weights)[..., None]


def add_up(summary: "xr.Dataset") -> Columns:
    """Add up a summary's cells by area, some days at a time."""
    areas = summary_cells(summary).areas.T
    columns = (areas * counted_shares(summary)).sum(axis=1)
    weights = areas / np.where(columns > 0, columns, np.inf)[:, None]  # a column may be all land
    class_shares, valid_shares = [], []
    for start in range(0, summary.sizes["date"], _DAYS):
        days = summary.isel(date=slice(start, start + _DAYS))
        cell = ("longitude", "latitude")
        valid = days["satellite_coverage"].transpose("date", "satellite", *cell).values
        freq = days["satellite_freq"].transpose("date", "satellite", "pattern", *cell).values
        valid_shares.append(np.einsum("dsxy,xy->dsx", valid, weights))
        factors = np.nan_to_num(freq), valid, weights
        class_shares.append(np.einsum("dspxy,dsxy,xy->dspx", *factors, optimize=True))
    dates = summary["date"].values.astype("datetime64[D]")
    block, seed = (int(summary.attrs[f"bootstrap_{name}"]) for name in ("block", "seed"))
    resampling = Resampling.of(dates, block, seed)
    return Columns(np.concatenate(class_shares), np.concatenate(valid_shares), columns, dates, resampling)


def counted_shares(summary: "xr.Dataset") -> NDArray[np.float64]:
    """Share of each cell that counts, shape (columns, rows): inside the region, without excluded land."""
    inside = summary["inside"].values.astype(np.float64)
    if summary.attrs.get("land") != "exclude":
        return inside
    counted = inside - summary["land"].values
    return np.where(counted < _ROUNDED, 0, counted)


def summary_region(summary: "xr.Dataset") -> Bounds:
    """The region that a summary covers."""
    names = ("lon_min", "lat_min", "lon_max", "lat_max")
    if "geospatial_lon_min" in summary.attrs:
        return Bounds(*(float(summary.attrs[f"geospatial_{name}"]) for name in names))
    return summary_cells(summary).extent


def summary_cells(summary: "xr.Dataset") -> Cells:
    """The grid that a summary is on."""
    bounds = [summary[f"{name}_bnds"].values for name in ("longitude", "latitude")]
    return Cells(*(np.append(each[:, 0], each[-1, 1]) for each in bounds))
