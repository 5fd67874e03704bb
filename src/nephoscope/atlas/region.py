"""A summary's cells added up: the region as a whole, or column by column."""

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
    """What each column of cells holds on each day, latitudes together, as shares of its area in the atlas.

    Attributes:
        found: of each class, shape (days, satellites, classes, columns).
        data: with data, shape (days, satellites, columns).
        areas: of the columns inside the atlas, on a sphere of radius 1, shape (columns,).
        days: shape (days,), datetime64[D].
        resampling: the summary's own.
    """

    found: Numbers
    data: Numbers
    areas: NDArray[np.float64]
    days: NDArray[np.datetime64]
    resampling: Resampling

    @property
    def whole(self) -> tuple[Numbers, Numbers]:
        """`found` and `data` of the whole region, as its only column."""
        weights = self.areas / self.areas.sum()
        return (self.found @ weights)[..., None], (self.data @ weights)[..., None]


def add_up(summary: "xr.Dataset") -> Columns:
    """Add up a summary's cells by area, some days at a time.

    Args:
        summary: as `read_summary` gives it.
    """
    areas = summary_cells(summary).areas.T
    columns = (areas * summary["inside"].values).sum(axis=1)
    shares = areas / columns[:, None]  # every column reaches into the atlas
    found, data = [], []
    for start in range(0, summary.sizes["date"], _DAYS):
        some = summary.isel(date=slice(start, start + _DAYS))
        seen = some["satellite_coverage"].transpose("date", "satellite", "longitude", "latitude").values
        freq = (
            some["satellite_freq"].transpose("date", "satellite", "pattern", "longitude", "latitude").values
        )
        data.append(np.einsum("dsxy,xy->dsx", seen, shares))
        found.append(np.einsum("dspxy,dsxy,xy->dspx", np.nan_to_num(freq), seen, shares, optimize=True))
    days = summary["date"].values.astype("datetime64[D]")
    block, seed = (int(summary.attrs[f"bootstrap_{name}"]) for name in ("block", "seed"))
    return Columns(
        np.concatenate(found), np.concatenate(data), columns, days, Resampling.of(days, block, seed)
    )


def summary_cells(summary: "xr.Dataset") -> Cells:
    """The grid that a summary is on."""
    bounds = [summary[f"{name}_bnds"].values for name in ("longitude", "latitude")]
    return Cells(*(np.append(each[:, 0], each[-1, 1]) for each in bounds))
