"""Add up a summary's cells: the region as a whole, or column by column."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nephoscope.atlas.cells import Cells
from nephoscope.atlas.climatology import Numbers, Resampling

if TYPE_CHECKING:
    import xarray as xr

_DAYS = 64  # read at a time


@dataclass(frozen=True, eq=False)
class Columns:
    """Each column of cells on each day, latitudes together, as shares of its area in the atlas.

    Attributes:
        class_shares: shape (days, satellites, classes, columns).
        valid_shares: with data, shape (days, satellites, columns).
        areas: of the columns inside the atlas, on a sphere of radius 1, shape (columns,).
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
    columns = (areas * summary["inside"].values).sum(axis=1)
    weights = areas / columns[:, None]  # every column reaches into the atlas
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


def summary_cells(summary: "xr.Dataset") -> Cells:
    """The grid that a summary is on."""
    bounds = [summary[f"{name}_bnds"].values for name in ("longitude", "latitude")]
    return Cells(*(np.append(each[:, 0], each[-1, 1]) for each in bounds))
