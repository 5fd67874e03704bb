"""The variables of a summary, by the names and attributes of the CF conventions."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nephoscope.atlas.cells import Cells
from nephoscope.atlas.climatology import (
    ALL,
    RESAMPLES,
    Bootstrap,
    Periods,
    Pooled,
    Resampling,
    Trend,
    calendar_months,
    months,
    season_of,
    season_years,
    seasons,
    year_seasons,
)
from nephoscope.atlas.frequency import Frequency, Kind
from nephoscope.atlas.model_error import label_factors
from nephoscope.inference.probability import AreaRatio

DIURNAL = ("Terra", "Aqua")
"""The satellites whose difference is the diurnal one: late morning, early afternoon."""

CELL = ("longitude", "latitude")

_DIFFERENCE = "frequency of the pattern seen by Aqua less that seen by Terra, on days that both saw the cell"
_OCCURRENCE = "share of the days with data on which the pattern is present anywhere in the cell"
_PRESENCE = "probability that people would draw the pattern in a picture of the place, mean over pictures"
_MEAN_SHARE = "mean share of the cell's area with data, over days and satellites"
_LABELLED = "frequency of the pattern that people's labels would give"
_COVERS: dict[Kind, str] = {
    "contest": "masks by the rules of the highest Dice",
    "unbiased": "masks by the unbiased rules",
    "expected": "the sum of its calibrated probabilities",
}
_COUNTS = ("zero", "one", "two", "three", "four", "five", "six", "seven")
_PER_DECADE = "0.1 year-1"


def overlap_comment(freq: Frequency) -> str:
    """What a pattern covers, and why frequencies do not add up to 1."""
    comment = (
        f"What a pattern covers is {_COVERS[freq.kind]}. "
        "Patterns may overlap, so the frequencies of a cell may add up to more than 1."
    )
    if freq.kind == "expected":
        return comment
    none = f"none of the {_COUNTS[len(freq.patterns)]}"
    return f"{comment} Unclassified is data in which {none} was found."


def _share(long_name: str, **more: str) -> dict[str, str]:
    """Attributes of a variable without a unit."""
    return {"long_name": long_name, "units": "1", **more}


def daily_variables(freq: Frequency) -> dict[str, Any]:
    """Daily variables, computed when they are written."""
    from dask import array as da

    chunks = (max(1, 2**20 // max(1, freq.shares[0].size)),)
    shares: Any = da.from_array(freq.shares, chunks=chunks + freq.shares.shape[1:], name=False)
    valid = shares[:, :, 0].transpose(1, 0, 3, 2)  # satellite, date, longitude, latitude
    classes = shares[:, :, 1:-1].transpose(1, 0, 4, 3, 2)

    def ratio(part: Any, whole: Any) -> Any:
        return da.where(whole > 0, part / da.maximum(whole, np.float32(1e-30)), np.float32(np.nan))

    def of_pattern(ancillary: str) -> dict[str, str]:
        return _share(
            "frequency of the pattern", comment=overlap_comment(freq), ancillary_variables=ancillary
        )

    date = ("date", *CELL)
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
        "inside": (CELL, inside, _share("share of the cell's area that lies in the region")),
        "land": (CELL, land, _share("share of the cell's area that lies in the region and is land")),
        "missing": (("satellite", "date"), missing, not_segmented),
    }


def period_variables(
    freq: Frequency, bootstrap: Bootstrap, ratios: Mapping[str, AreaRatio]
) -> dict[str, Any]:
    """Frequencies by month, calendar month and season, days with a pattern, and anomalies.

    With the ratios of labelled to predicted area, also the frequencies that labels would give. Sums of
    probabilities have the mean presence of the pictures in place of days with a pattern.
    """
    resampling, all_years = Resampling.of(freq.days, bootstrap.block, bootstrap.seed), ", all years together"
    factors = label_factors(ratios, freq.classes, RESAMPLES, bootstrap.seed)
    variables: dict[str, Any] = {}
    for prefix, dimension, periods, words in (
        ("monthly", "month", months(freq.days), "of the month"),
        ("calendar", "calendar_month", calendar_months(freq.days), f"of the calendar month{all_years}"),
        ("seasonal", "season", seasons(freq.days), f"of the season{all_years}"),
        ("year_season", "year_season", year_seasons(freq.days), "of the season of one year"),
    ):
        pooled = _by_row(freq, freq.satellites, partial(_pool, resampling.pool, periods))
        ancillary = f"{prefix}_coverage {prefix}_days"
        long_name = f"frequency of the pattern {words}"
        variables |= _with_interval(f"{prefix}_freq", dimension, pooled, long_name, ancillary)
        variables |= _coverage(prefix, dimension, pooled)
        if ratios:
            labelled = partial(resampling.labelled, factors=factors)
            pooled = _by_row(freq, freq.satellites, partial(_pool, labelled, periods))
            variables |= _with_interval(f"{prefix}_labelled", dimension, pooled, f"{_LABELLED}, {words}")
        if freq.kind != "expected":
            pooled = _by_row(freq, freq.satellites, partial(_pool, resampling.occurrence, periods))
            variables |= _with_interval(f"{prefix}_occurrence", dimension, pooled, f"{_OCCURRENCE}, {words}")
        elif freq.presence is not None:
            pooled = _by_row(freq, freq.satellites, partial(_pool, resampling.pool, periods), freq.presence)
            variables |= _with_interval(f"{prefix}_presence", dimension, pooled, f"{_PRESENCE}, {words}")
    by_season = {name: days for name, days in seasons(freq.days).items() if name != ALL}
    for prefix, dimension, periods, base, words in (
        ("monthly", "month", months(freq.days), calendar_months(freq.days), "calendar month"),
        ("year_season", "year_season", year_seasons(freq.days), by_season, "season"),
    ):
        pooled = _by_row(freq, freq.satellites, partial(anomalies, resampling, periods, base))
        long_name = f"frequency of the pattern less that of the {words} in all years"
        variables |= _with_interval(f"{prefix}_anomaly", dimension, pooled, long_name)
    return variables


def diurnal_variables(freq: Frequency, bootstrap: Bootstrap) -> dict[str, Any]:
    """Aqua's frequencies minus Terra's, by season."""
    resampling = Resampling.of(freq.days, bootstrap.block, bootstrap.seed)
    pooled = _by_row(freq, DIURNAL, partial(_pool, resampling.difference, seasons(freq.days)))
    ancillary = "diurnal_coverage diurnal_days"
    return _with_interval("diurnal_difference", "season", pooled, _DIFFERENCE, ancillary) | _coverage(
        "diurnal", "season", pooled
    )


def trend_variables(freq: Frequency, bootstrap: Bootstrap) -> dict[str, Any]:
    """Trends per decade, by season."""
    resampling = Resampling.of(freq.days, bootstrap.trend_block, bootstrap.seed)
    trends = _by_row(freq, freq.satellites, partial(_pool, resampling.trend, seasons(freq.days)))
    long_name = "change of the frequency of the pattern per decade, calendar months apart"
    variables = _with_interval("trend", "season", trends, long_name, "trend_years", "slope", _PER_DECADE)
    years = {"long_name": "number of years with data, from December to November", "units": "1"}
    variables["trend_years"] = (("season", *CELL), _stacked(trends, "years", np.int32), years)
    return variables


def bounds_variables(cells: Cells) -> dict[str, Any]:
    """Edges of the cells."""
    edges = zip(CELL, (cells.longitudes, cells.latitudes), strict=True)
    return {f"{name}_bnds": ((name, "bnds"), np.stack([each[:-1], each[1:]], 1)) for name, each in edges}


def _pool(pool: Callable[..., Any], periods: Periods, classes: Any, valid: Any) -> list[Any]:
    return [pool(classes, valid, days) for days in periods.values()]


def anomalies(
    resampling: Resampling, periods: Periods, base: Periods, classes: Any, valid: Any
) -> list[Pooled]:
    """Anomalies of all periods, each from the days of all years that contain it; arguments as of `pool`."""
    by_period: dict[Any, Pooled] = {}
    for all_years in base.values():
        contained = set(all_years.tolist())
        members = [key for key, days in periods.items() if int(days[0]) in contained]
        chosen = [periods[key] for key in members]
        by_period |= zip(members, resampling.anomalies(classes, valid, chosen, all_years), strict=True)
    return [by_period[key] for key in periods]


def _by_row(
    freq: Frequency,
    satellites: Sequence[str],
    compute: Callable[..., list[Any]],
    presence: NDArray[np.float32] | None = None,
) -> list[Any]:
    """Results of all periods, of areas or of presence, computed a row of cells at a time.

    Arrays of the results have the rows first.
    """
    chosen = [freq.satellites.index(name) for name in satellites]
    parts, valid = freq.class_shares, freq.valid_shares
    if presence is not None:
        parts, valid = presence[:, :, :-1], presence[:, :, -1]
    rows = [
        compute(parts[..., row, :][:, chosen], valid[..., row, :][:, chosen])
        for row in range(freq.cells.shape[0])
    ]
    return [_together(of_rows) for of_rows in zip(*rows, strict=True)]


def _together(rows: Sequence[Any]) -> Any:
    """One result whose arrays have those of several as their rows, in the precision that is written."""
    kind, names = type(rows[0]), type(rows[0]).__dataclass_fields__
    arrays = (np.stack([getattr(row, name) for row in rows]) for name in names)
    return kind(*(each.astype(np.float32 if each.dtype.kind == "f" else np.int32) for each in arrays))


def _stacked(results: Iterable[Pooled | Trend], attribute: str, kind: Any = np.float32) -> Any:
    """From (period, row, [class,] column) to (period, column, row[, class])."""
    return np.moveaxis(np.stack([getattr(each, attribute) for each in results]).astype(kind), -1, 1)


def _with_interval(
    name: str,
    dimension: str,
    results: Sequence[Pooled | Trend],
    long_name: str,
    ancillary: str = "",
    value: str = "freq",
    units: str = "1",
) -> dict[str, Any]:
    """Values of all periods with the ends of their intervals."""
    pattern, unit = (dimension, *CELL, "pattern"), {"units": units}
    more = {"long_name": long_name, "ancillary_variables": f"{name}_low {name}_high {ancillary}".strip()}
    variables = {name: (pattern, _stacked(results, value), unit | more)}
    for end, words in (("low", "lower"), ("high", "upper")):
        about = {"long_name": f"{words} end of its 95 % interval"}
        variables[f"{name}_{end}"] = (pattern, _stacked(results, end), unit | about)
    return variables


def _coverage(prefix: str, dimension: str, pooled: Sequence[Pooled]) -> dict[str, Any]:
    """Coverage and number of days of all periods."""
    cell, one = (dimension, *CELL), {"units": "1"}
    days = one | {"long_name": "number of days with data"}
    return {
        f"{prefix}_coverage": (cell, _stacked(pooled, "coverage"), one | {"long_name": _MEAN_SHARE}),
        f"{prefix}_days": (cell, _stacked(pooled, "days", np.int32), days),
    }


def coordinates(freq: Frequency) -> dict[str, Any]:
    """Values and attributes of the coordinates."""
    days, calendar = freq.days, np.array(list(calendar_months(freq.days)), np.int32)
    firsts = np.array(list(year_seasons(days)))
    names = np.array([f"{season_of(each)} {season_years(each)}" for each in firsts], object)
    season = "season by the initials of its months; 'all' for all days together"
    columns: dict[str, tuple[Any, dict[str, str]]] = {
        "date": (days.astype("datetime64[ns]"), _time("day, in UTC") | {"axis": "T"}),
        "month": (np.array(list(months(days))).astype("datetime64[ns]"), _time("first day of the month")),
        "year_season": (firsts.astype("datetime64[ns]"), _time("first day of the season, DJF from December")),
        "calendar_month": (calendar, _share("month of the year, 1 for January")),
        "season": (np.array(list(seasons(days)), object), {"long_name": season}),
        "year_season_name": (names, {"long_name": "season of each year; DJF by the year of its January"}),
        "satellite": (np.array(freq.satellites, object), {"long_name": "satellite"}),
        "pattern": (np.array(freq.classes, object), {"long_name": "pattern of shallow clouds"}),
    }
    for name, edges, units, axis in (
        ("longitude", freq.cells.longitudes, "degrees_east", "X"),
        ("latitude", freq.cells.latitudes, "degrees_north", "Y"),
    ):
        attributes = {"standard_name": name, "long_name": name, "units": units, "axis": axis}
        columns[name] = ((edges[:-1] + edges[1:]) / 2, attributes | {"bounds": f"{name}_bnds"})
    own = {"year_season_name": "year_season"}
    return {name: (own.get(name, name), *content) for name, content in columns.items()}


def _time(long_name: str) -> dict[str, str]:
    return {"standard_name": "time", "units_metadata": "leap_seconds: none", "long_name": long_name}
