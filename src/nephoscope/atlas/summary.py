"""A summary of an atlas on one grid: frequencies by day, month and season.

The daily variables have the shape of C3ONTEXT's level 3: `freq` over (date, longitude, latitude, pattern),
with "Unclassified" beside the patterns.

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
from numpy.typing import NDArray

from nephoscope.atlas.cells import aligned, extent
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
from nephoscope.atlas.frequency import Domain, Frequency, asked_region, measure
from nephoscope.atlas.summary_file import check_replaceable, write_summary
from nephoscope.core.geo import WGS84_GRID_MAPPING, Bounds
from nephoscope.core.types import Progress
from nephoscope.core.version import __version__

if TYPE_CHECKING:
    import xarray as xr

DIURNAL = ("Terra", "Aqua")
"""The satellites whose difference is the diurnal one: late morning, early afternoon."""

_CELL = ("longitude", "latitude")
_DIFFERENCE = "frequency of the pattern seen by Aqua less that seen by Terra, on days that both saw the cell"
_COUNTS = ("zero", "one", "two", "three", "four", "five", "six", "seven")


def summarise(
    atlas: "xr.Dataset",
    path: Path,
    size: float = 1.0,
    *,
    block: int = 1,
    seed: int = 0,
    domain: Domain = Domain(),  # noqa: B008 (a constant)
    progress: Progress | None = None,
) -> float:
    """Summarise an atlas on a grid, into a NetCDF file or a Zarr folder, atomically.

    An existing summary is replaced. Cells lie at whole multiples of their size in degrees. What counts lies
    in the region that the atlas was planned for and in `domain`. For the intervals, `block` consecutive days
    are drawn together. `progress` is called with the days done so far and in all. Returns the share of the
    area that is not segmented yet.

    Raises:
        AtlasError: the cell size is out of range, the region is all land, a mask cannot be used, or `path` is
            a folder that is not a summary.
        OSError: the summary cannot be written.
    """
    check_replaceable(path)
    longitudes, latitudes = (atlas[name].values.astype(np.float64) for name in ("lon", "lat"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.", ignore_cleanup_errors=True) as folder:
        region = asked_region(atlas)
        cells = aligned(longitudes, latitudes, size, region)
        freq = measure(atlas, cells, domain, file=Path(folder) / "shares", progress=progress)
        written = Path(folder) / path.name
        summary = _dataset(freq, size, block, seed, atlas.attrs)
        summary.attrs |= _domain(region or extent(longitudes, latitudes), freq.days, domain)
        write_summary(summary, written)
        if path.is_dir():
            shutil.rmtree(path)
        written.replace(path)
        return float(freq.missing().mean())


def _dataset(
    freq: Frequency, size: float, block: int, seed: int, attributes: Mapping[Any, Any]
) -> "xr.Dataset":
    import xarray as xr

    resampling, all_years = Resampling.of(freq.days, block, seed), ", all years together"
    variables = _daily(freq)
    for prefix, dimension, periods, words in (
        ("monthly", "month", months(freq.days), "of the month"),
        ("calendar", "calendar_month", calendar_months(freq.days), f"of the calendar month{all_years}"),
        ("seasonal", "season", seasons(freq.days), f"of the season{all_years}"),
    ):
        pooled = _by_period(freq, periods, resampling.pool, freq.satellites)
        long_name = f"frequency of the pattern {words}"
        variables |= _variables(f"{prefix}_freq", prefix, dimension, pooled, long_name)
    if set(DIURNAL) <= set(freq.satellites):
        pooled = _by_period(freq, seasons(freq.days), resampling.difference, DIURNAL)
        variables |= _variables("diurnal_difference", "diurnal", "season", pooled, _DIFFERENCE)
    for name, edges in zip(_CELL, (freq.cells.longitudes, freq.cells.latitudes), strict=True):
        variables[f"{name}_bnds"] = ((name, "bnds"), np.stack([edges[:-1], edges[1:]], 1))
    variables["crs"] = ((), np.int8(0), WGS84_GRID_MAPPING)
    dataset = xr.Dataset(variables, _coordinates(freq), _attributes(freq, size, block, seed, attributes))
    for variable in dataset.data_vars.values():
        if set(_CELL) <= set(variable.dims):
            variable.attrs["grid_mapping"] = "crs"
    return dataset


def _overlap(freq: Frequency) -> str:
    return (
        "Patterns may overlap, so the frequencies of a cell may add up to more than 1. Unclassified is data "
        f"in which none of the {_COUNTS[len(freq.classes) - 1]} was found."
    )


def _share(long_name: str, **more: str) -> dict[str, str]:
    """Attributes of a variable without a unit."""
    return {"long_name": long_name, "units": "1", **more}


def _daily(freq: Frequency) -> dict[str, Any]:
    """Daily variables, computed when they are written."""
    from dask import array as da

    chunks = (max(1, 2**20 // max(1, freq.shares[0].size)),)
    shares: Any = da.from_array(freq.shares, chunks=chunks + freq.shares.shape[1:], name=False)
    valid = shares[:, :, 0].transpose(1, 0, 3, 2)  # satellite, date, longitude, latitude
    classes = shares[:, :, 1:-1].transpose(1, 0, 4, 3, 2)

    def ratio(part: Any, whole: Any) -> Any:
        return da.where(whole > 0, part / da.maximum(whole, np.float32(1e-30)), np.float32(np.nan))

    def of_pattern(ancillary: str) -> dict[str, str]:
        return _share("frequency of the pattern", comment=_overlap(freq), ancillary_variables=ancillary)

    date = ("date", *_CELL)
    overall, each = ratio(classes.sum(axis=0), valid.sum(axis=0)[..., None]), ratio(classes, valid[..., None])
    overpasses = (valid > 0).sum(axis=0).astype(np.int8)
    inside, land, missing = (
        values.T.astype(np.float32) for values in (freq.inside, freq.land, freq.missing())
    )
    not_segmented = _share("share of the area that counts but is not segmented")
    of_mean = {"comment": "The mean is over the atlas's satellites."}
    return {
        "freq": ((*date, "pattern"), overall, of_pattern("coverage overpasses")),
        "coverage": (date, valid.mean(axis=0), _share("mean share of the cell's area with data", **of_mean)),
        "overpasses": (date, overpasses, _share("number of satellites that saw the cell")),
        "satellite_freq": (("satellite", *date, "pattern"), each, of_pattern("satellite_coverage")),
        "satellite_coverage": (("satellite", *date), valid, _share("share of the cell's area with data")),
        "inside": (_CELL, inside, _share("share of the cell's area that lies in the region")),
        "land": (_CELL, land, _share("share of the cell's area that lies in the region and is land")),
        "missing": (("satellite", "date"), missing, not_segmented),
    }


def _by_period(
    freq: Frequency, periods: Periods, pool: Callable[..., Pooled], satellites: Sequence[str]
) -> list[Pooled]:
    """Pool every period, a row of cells at a time; arrays of the result have the rows first."""
    chosen = [freq.satellites.index(name) for name in satellites]
    rows: list[list[Pooled]] = []
    for row in range(freq.cells.shape[0]):
        classes, valid = freq.class_shares[..., row, :][:, chosen], freq.valid_shares[..., row, :][:, chosen]
        rows.append([pool(classes, valid, days) for days in periods.values()])
    return [
        Pooled(*(np.stack([getattr(row, name) for row in of_rows]) for name in Pooled.__dataclass_fields__))
        for of_rows in zip(*rows, strict=True)
    ]


def _variables(
    name: str, prefix: str, dimension: str, pooled: Sequence[Pooled], long_name: str
) -> dict[str, Any]:
    """Frequencies of all periods with their intervals, coverage and days."""

    def stacked(attribute: str, kind: Any = np.float32) -> Any:
        # From (period, row, [class,] column) to (period, column, row[, class])
        values = np.stack([getattr(each, attribute) for each in pooled]).astype(kind)
        return np.moveaxis(values, -1, 1)

    cell = (dimension, *_CELL)
    pattern = (*cell, "pattern")
    ancillary = f"{name}_low {name}_high {prefix}_coverage {prefix}_days"
    one = {"units": "1"}
    mean_share = "mean share of the cell's area with data, over days and satellites"
    return {
        name: (pattern, stacked("freq"), one | {"long_name": long_name, "ancillary_variables": ancillary}),
        f"{name}_low": (pattern, stacked("low"), one | {"long_name": "lower end of its 95 % interval"}),
        f"{name}_high": (pattern, stacked("high"), one | {"long_name": "upper end of its 95 % interval"}),
        f"{prefix}_coverage": (cell, stacked("coverage"), one | {"long_name": mean_share}),
        f"{prefix}_days": (cell, stacked("days", np.int32), one | {"long_name": "number of days with data"}),
    }


def _coordinates(freq: Frequency) -> dict[str, Any]:
    days, calendar = freq.days, np.array(list(calendar_months(freq.days)), np.int32)
    season = "season by the initials of its months; 'all' for all days together"
    columns: dict[str, tuple[Any, dict[str, str]]] = {
        "date": (days.astype("datetime64[ns]"), _time("day, in UTC") | {"axis": "T"}),
        "month": (np.array(list(months(days))).astype("datetime64[ns]"), _time("first day of the month")),
        "calendar_month": (calendar, _share("month of the year, 1 for January")),
        "season": (np.array(list(seasons(days)), object), {"long_name": season}),
        "satellite": (np.array(freq.satellites, object), {"long_name": "satellite"}),
        "pattern": (np.array(freq.classes, object), {"long_name": "pattern of shallow clouds"}),
    }
    for name, edges, units, axis in (
        ("longitude", freq.cells.longitudes, "degrees_east", "X"),
        ("latitude", freq.cells.latitudes, "degrees_north", "Y"),
    ):
        attributes = {"standard_name": name, "long_name": name, "units": units, "axis": axis}
        columns[name] = ((edges[:-1] + edges[1:]) / 2, attributes | {"bounds": f"{name}_bnds"})
    return {name: (name, *content) for name, content in columns.items()}


def _time(long_name: str) -> dict[str, str]:
    return {"standard_name": "time", "units_metadata": "leap_seconds: none", "long_name": long_name}


def _attributes(
    freq: Frequency, size: float, block: int, seed: int, attributes: Mapping[Any, Any]
) -> dict[str, Any]:
    """The atlas's own attributes, then those of the summary."""
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    missing = float(freq.missing().mean())
    kept = {
        str(name): value if isinstance(value, str | int | float) else json.dumps(value, default=str)
        for name, value in attributes.items()
    }
    drawn = "days" if block == 1 else f"blocks of {block} consecutive days"
    history = f"{now} nephoscope {__version__}: summarised on {size:g} degrees"
    *others, last = freq.classes[:-1]
    patterns = f"{', '.join(others)} and {last}" if others else last
    return kept | {
        "Conventions": "CF-1.11",
        "title": f"Frequency of {patterns} on {size:g} degrees",
        "source": f"true-colour satellite pictures, segmented and summarised by nephoscope {__version__}",
        "history": "\n".join([history, str(kept.get("history", ""))]).strip(),
        "references": "Stevens et al. 2020, doi:10.1002/qj.3662; Rasp et al. 2020, "
        "doi:10.1175/BAMS-D-19-0324.1; Schulz 2022, doi:10.5194/essd-14-1233-2022",
        "comment": f"{_overlap(freq)} Frequencies over several days are the summed area with the pattern "
        "over the summed area with data; a cell cut by the region's edge counts with the part inside.",
        "uncertainty": f"95 % percentile intervals of {RESAMPLES} bootstrap resamples (Poisson) of {drawn}, "
        f"all satellites of a day together, seed {seed}; none where fewer than {LEAST} {drawn} have data. "
        "They say what another sample of days would change, not how often the model errs.",
        "bootstrap_block": np.int32(block),
        "bootstrap_seed": np.int32(seed),
        "missing_share": missing,
        "missing_comment": f"{missing:.2%} of the planned area is not segmented; see the variable 'missing'",
    }


def _domain(region: Bounds, days: NDArray[np.datetime64], domain: Domain) -> dict[str, Any]:
    """What the summary covers, by names of the Attribute Convention for Data Discovery (ACDD 1.3)."""
    west, south, east, north = map(float, region)
    counted = "Land does not count." if domain.land == "exclude" else "Land counts."
    return {
        "geospatial_lon_min": west,
        "geospatial_lat_min": south,
        "geospatial_lon_max": east,
        "geospatial_lat_max": north,
        "time_coverage_start": str(days[0]),
        "time_coverage_end": str(days[-1]),
        "land": domain.land,
        "land_comment": f"{counted} Outlines: Natural Earth 1:50 million, without lakes and Antarctica.",
        "excluded_masks": ", ".join(domain.masks) or "none",
    }
