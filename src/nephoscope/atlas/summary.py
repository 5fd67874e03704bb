"""A summary of an atlas on one grid: daily frequencies, and what they come to over months and seasons.

The daily variables have the shape of C3ONTEXT's level 3: `freq` over (date, longitude, latitude, pattern),
with "Unclassified" beside the four patterns.

Source: CF conventions 1.11, cfconventions.org; Schulz 2022, "C3ONTEXT: a Common Consensus on Convective
OrgaNizaTion during the EUREC4A eXperimenT", ESSD, doi:10.5194/essd-14-1233-2022.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from nephoscope import __version__
from nephoscope.atlas.cells import aligned
from nephoscope.atlas.climatology import (
    LEAST,
    RESAMPLES,
    Periods,
    Pooled,
    Resampling,
    calendar_months,
    months,
    seasons,
)
from nephoscope.atlas.frequency import CLASSES, Frequency, measure
from nephoscope.atlas.summary_file import check_replaceable, write_summary
from nephoscope.core.types import Progress

if TYPE_CHECKING:
    import xarray as xr

DIURNAL = ("Terra", "Aqua")
"""The satellites whose difference is the diurnal one: late morning, early afternoon."""

_PLACE = ("longitude", "latitude")
_OVERLAP = (
    "Patterns may overlap, so the frequencies of a cell may add up to more than 1. Unclassified is data in "
    "which none of the four was found."
)


def summarise(
    atlas: "xr.Dataset",
    path: Path,
    size: float = 1.0,
    *,
    block: int = 1,
    seed: int = 0,
    progress: Progress | None = None,
) -> float:
    """Summarise an atlas on a grid, into a NetCDF file or a Zarr folder; whole or not at all.

    A summary that is there is replaced.

    Args:
        atlas: as `open_atlas` gives it; scenes may be missing.
        path: what to write, by its ending `.nc` or `.zarr`.
        size: of a cell in degrees; cells lie at whole multiples of it.
        block: so many consecutive days are drawn together for the intervals.
        seed: of the drawing.
        progress: told the days measured so far and in all.

    Returns:
        The share of the atlas's area that is not segmented yet.

    Raises:
        AtlasError: no such grid.
        AtlasError: a folder is there that is no summary.
        OSError: nothing can be written there.
    """
    check_replaceable(path)
    longitudes, latitudes = (atlas[name].values.astype(np.float64) for name in ("lon", "lat"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.", ignore_cleanup_errors=True) as folder:
        cells = aligned(longitudes, latitudes, size)
        found = measure(atlas, cells, Path(folder) / "shares", progress)
        written = Path(folder) / path.name
        write_summary(_dataset(found, size, block, seed, atlas.attrs), written)
        if path.is_dir():
            shutil.rmtree(path)
        written.replace(path)
        return float(found.missing().mean())


def _dataset(
    found: Frequency, size: float, block: int, seed: int, attributes: Mapping[Any, Any]
) -> "xr.Dataset":
    import xarray as xr

    resampling = Resampling.of(found.days, block, seed)
    variables = _daily(found)
    for prefix, dimension, periods, words in (
        ("monthly", "month", months(found.days), "of the month"),
        (
            "calendar",
            "calendar_month",
            calendar_months(found.days),
            "of the calendar month, all years together",
        ),
        ("seasonal", "season", seasons(found.days), "of the season, all years together"),
    ):
        pooled = _by_period(found, periods, resampling.pool)
        variables |= _variables(
            f"{prefix}_freq", prefix, dimension, pooled, f"frequency of the pattern {words}"
        )
    if set(DIURNAL) <= set(found.satellites):
        two = [found.satellites.index(name) for name in DIURNAL]
        pooled = _by_period(found, seasons(found.days), resampling.difference, two)
        words = (
            "frequency of the pattern seen by Aqua less that seen by Terra, on days that both saw the cell"
        )
        variables |= _variables("diurnal_difference", "diurnal", "season", pooled, words)
    return xr.Dataset(
        variables | _bounds(found), _coordinates(found), _attributes(found, size, block, seed, attributes)
    )


def _daily(found: Frequency) -> dict[str, Any]:
    """Daily variables, computed as they are written."""
    from dask import array as da

    chunks = (max(1, 2**20 // max(1, found.shares[0].size)),)
    shares: Any = da.from_array(found.shares, chunks=chunks + found.shares.shape[1:], name=False)
    data, classes = shares[:, :, 0], shares[:, :, 1 : 1 + len(CLASSES)]
    data = data.transpose(1, 0, 3, 2)  # satellite, date, longitude, latitude
    classes = classes.transpose(1, 0, 4, 3, 2)

    def freq(part: Any, whole: Any) -> Any:
        return da.where(whole > 0, part / da.maximum(whole, np.float32(1e-30)), np.float32(np.nan))

    each = freq(classes, data[..., None])
    whole = freq(classes.sum(axis=0), data.sum(axis=0)[..., None])
    date = ("date", *_PLACE)
    said = {"long_name": "frequency of the pattern", "units": "1", "comment": _OVERLAP}
    seen = {"long_name": "mean share of the cell's area with data", "units": "1"}
    return {
        "freq": ((*date, "pattern"), whole, said | {"ancillary_variables": "coverage overpasses"}),
        "coverage": (date, data.mean(axis=0), seen | {"comment": "The mean is over the atlas's satellites."}),
        "overpasses": (
            date,
            (data > 0).sum(axis=0).astype(np.int8),
            {"long_name": "number of satellites that saw the cell", "units": "1"},
        ),
        "satellite_freq": (
            ("satellite", *date, "pattern"),
            each,
            said | {"ancillary_variables": "satellite_coverage"},
        ),
        "satellite_coverage": (
            ("satellite", *date),
            data,
            {"long_name": "share of the cell's area with data", "units": "1"},
        ),
        "inside": (
            _PLACE,
            found.inside.T.astype(np.float32),
            {"long_name": "share of the cell's area that lies in the atlas", "units": "1"},
        ),
        "missing": (
            ("satellite", "date"),
            found.missing().T.astype(np.float32),
            {"long_name": "share of the atlas's area that is not segmented", "units": "1"},
        ),
    }


def _by_period(
    found: Frequency, periods: Periods, pool: Callable[..., Pooled], satellites: Sequence[int] | None = None
) -> list[Pooled]:
    """Pool every period, a row of cells at a time; arrays of the result have the rows first."""
    chosen = list(range(len(found.satellites))) if satellites is None else list(satellites)
    rows: list[list[Pooled]] = []
    for row in range(found.cells.shape[0]):
        classes, data = found.classes[..., row, :][:, chosen], found.data[..., row, :][:, chosen]
        rows.append([pool(classes, data, days) for days in periods.values()])
    return [
        Pooled(*(np.stack([getattr(row, name) for row in of_rows]) for name in Pooled.__dataclass_fields__))
        for of_rows in zip(*rows, strict=True)
    ]


def _variables(name: str, prefix: str, dimension: str, pooled: list[Pooled], words: str) -> dict[str, Any]:
    """Frequencies of all periods with their intervals, coverage and days."""

    def stacked(what: str, kind: Any = np.float32) -> Any:
        # From (period, row, [class,] column) to (period, column, row[, class])
        values = np.stack([getattr(each, what) for each in pooled]).astype(kind)
        return np.moveaxis(values, -1, 1)

    place = (dimension, *_PLACE)
    one = {"units": "1"}
    ancillary = " ".join(f"{name}_{end}" for end in ("low", "high")) + f" {prefix}_coverage {prefix}_days"
    return {
        name: (
            (*place, "pattern"),
            stacked("freq"),
            one | {"long_name": words, "ancillary_variables": ancillary},
        ),
        f"{name}_low": (
            (*place, "pattern"),
            stacked("low"),
            one | {"long_name": "lower end of its 95 % interval"},
        ),
        f"{name}_high": (
            (*place, "pattern"),
            stacked("high"),
            one | {"long_name": "upper end of its 95 % interval"},
        ),
        f"{prefix}_coverage": (
            place,
            stacked("coverage"),
            one | {"long_name": "mean share of the cell's area with data, over days and satellites"},
        ),
        f"{prefix}_days": (place, stacked("days", np.int32), one | {"long_name": "number of days with data"}),
    }


def _coordinates(found: Frequency) -> dict[str, Any]:
    centres = [(edges[:-1] + edges[1:]) / 2 for edges in (found.cells.longitudes, found.cells.latitudes)]
    time = {"standard_name": "time", "units_metadata": "leap_seconds: none"}
    return {
        "date": (
            "date",
            found.days.astype("datetime64[ns]"),
            time | {"long_name": "day, in UTC", "axis": "T"},
        ),
        "month": (
            "month",
            np.array(list(months(found.days))).astype("datetime64[ns]"),
            time | {"long_name": "first day of the month"},
        ),
        "calendar_month": (
            "calendar_month",
            np.array(list(calendar_months(found.days)), np.int32),
            {"long_name": "month of the year, 1 for January", "units": "1"},
        ),
        "season": (
            "season",
            np.array(list(seasons(found.days)), object),
            {"long_name": "season by the initials of its months; 'all' for all days together"},
        ),
        "satellite": ("satellite", np.array(found.satellites, object), {"long_name": "satellite"}),
        "pattern": ("pattern", np.array(CLASSES, object), {"long_name": "pattern of shallow clouds"}),
        "longitude": (
            "longitude",
            centres[0],
            {
                "standard_name": "longitude",
                "long_name": "longitude",
                "units": "degrees_east",
                "axis": "X",
                "bounds": "longitude_bnds",
            },
        ),
        "latitude": (
            "latitude",
            centres[1],
            {
                "standard_name": "latitude",
                "long_name": "latitude",
                "units": "degrees_north",
                "axis": "Y",
                "bounds": "latitude_bnds",
            },
        ),
    }


def _bounds(found: Frequency) -> dict[str, Any]:
    cells = found.cells
    return {
        f"{name}_bnds": ((name, "bnds"), np.stack([edges[:-1], edges[1:]], 1))
        for name, edges in zip(_PLACE, (cells.longitudes, cells.latitudes), strict=True)
    }


def _attributes(
    found: Frequency, size: float, block: int, seed: int, attributes: Mapping[Any, Any]
) -> dict[str, Any]:
    """What was done, after all that the atlas says of itself."""
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    missing = float(found.missing().mean())
    kept = {
        str(name): value if isinstance(value, str | int | float) else json.dumps(value, default=str)
        for name, value in attributes.items()
    }
    drawn = "days" if block == 1 else f"blocks of {block} consecutive days"
    history = f"{now} nephoscope {__version__}: summarised on {size:g} degrees"
    return kept | {
        "Conventions": "CF-1.11",
        "title": f"Frequency of {', '.join(CLASSES[:-2])} and {CLASSES[-2]} on {size:g} degrees",
        "source": f"true-colour satellite pictures, segmented and summarised by nephoscope {__version__}",
        "history": "\n".join([history, str(kept.get("history", ""))]).strip(),
        "references": "Stevens et al. 2020, doi:10.1002/qj.3662; Rasp et al. 2020, "
        "doi:10.1175/BAMS-D-19-0324.1; Schulz 2022, doi:10.5194/essd-14-1233-2022",
        "comment": f"{_OVERLAP} Frequencies over several days are the summed area with the pattern over the "
        "summed area with data; a cell cut by the atlas's edge counts with the part inside.",
        "uncertainty": f"95 % percentile intervals of {RESAMPLES} bootstrap resamples (Poisson) of {drawn}, "
        f"all satellites of a day together, seed {seed}; none where fewer than {LEAST} {drawn} have data. "
        "They say what another sample of days would change, not how often the model errs.",
        "bootstrap_block": np.int32(block),
        "bootstrap_seed": np.int32(seed),
        "missing_share": missing,
        "missing_comment": f"{missing:.2%} of the planned area is not segmented; see the variable 'missing'",
    }
