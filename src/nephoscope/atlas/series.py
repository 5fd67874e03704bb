"""Frequencies of a region as CSV: by day, month or season, or their trends."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from nephoscope.atlas.cells import box
from nephoscope.atlas.climatology import (
    ALL,
    RESAMPLES,
    Bootstrap,
    Periods,
    Resampling,
    calendar_months,
    months,
    season_of,
    season_years,
    seasons,
    year_seasons,
)
from nephoscope.atlas.frequency import Domain, Frequency, Kind, measure
from nephoscope.atlas.model_error import area_ratios, label_factors
from nephoscope.atlas.summary_variables import anomalies
from nephoscope.core.geo import Bounds
from nephoscope.core.io import csv_text
from nephoscope.core.types import Progress
from nephoscope.inference.probability import AreaRatio

if TYPE_CHECKING:
    import xarray as xr

By = Literal["day", "month", "calendar-month", "season", "year-season", "trend"]

_ENDS = ("", "_low", "_high")
_LISTED = 6  # periods without data


def series(
    atlas: "xr.Dataset",
    bounds: Bounds,
    by: By = "day",
    *,
    bootstrap: Bootstrap = Bootstrap(),  # noqa: B008 (a constant)
    domain: Domain = Domain(),  # noqa: B008 (a constant)
    kind: Kind = "contest",
    progress: Progress | None = None,
    log: Callable[[str], None] = lambda _: None,
) -> str:
    """Frequencies of a box as CSV.

    By day: one row a day, with columns for all satellites and for each. By month or season: one row for each
    period and pattern, with the frequency that people's labels would give (of calibrated models), anomalies
    from the mean seasonal cycle, the share of days with the pattern or, of sums of probabilities, the mean
    presence of the pictures, and intervals. By trend: one row for each season and pattern.

    A frequency is the area with the pattern over the area with data, on the sphere; it is empty without data.
    Coverage is the share with data of the part of the box that counts: it lies in the region that the atlas
    was planned for and, unless the domain includes land, is not land. Over all satellites it is their mean.
    Only the scenes that reach into the box are read. `log` gets a line about periods without data, whose
    rows are empty.

    Raises:
        AtlasError: nothing of the atlas reaches into the box, or only land does, or nothing there has data; a
            mask cannot be used; or it has no areas of this kind.
    """
    freq = measure(atlas, box(bounds), domain, kind, progress=progress)
    freq.check_has_data()
    if by == "day":
        return _by_day(freq)
    periods, _ = _periods(freq, "season" if by == "trend" else by)
    if empty := [_named(period, by) for period in freq.without_data(periods)]:
        more = f" and {len(empty) - _LISTED:,} more" if len(empty) > _LISTED else ""
        log(f"no data in {', '.join(empty[:_LISTED])}{more}: the rows are empty")
    return (
        _trends(freq, bootstrap)
        if by == "trend"
        else _by_period(freq, by, bootstrap, area_ratios(atlas.attrs, kind))
    )


def _by_day(freq: Frequency) -> str:
    valid = freq.valid_shares[..., 0, 0].astype(np.float64)
    classes = freq.class_shares[..., 0, 0].astype(np.float64)
    counted = float(freq.counted[0, 0])
    groups = {"": slice(None)} | {f"_{name}": slice(i, i + 1) for i, name in enumerate(freq.satellites)}
    rows: list[list[str]] = []
    for day, valid_of_day, classes_of_day in zip(freq.days, valid, classes, strict=True):
        row = [str(day)]
        for group in groups.values():
            whole = valid_of_day[group].sum()
            row += [f"{part / whole:.6g}" if whole > 0 else "" for part in classes_of_day[group].sum(axis=0)]
            row.append(f"{valid_of_day[group].mean() / counted:.6g}")
        rows.append(row)
    return csv_text(
        ["date", *(f"{name}{end}" for end in groups for name in (*freq.classes, "coverage"))], rows
    )


def _by_period(freq: Frequency, by: By, bootstrap: Bootstrap, ratios: Mapping[str, AreaRatio]) -> str:
    """One row for each period and class; anomalies are of single months and seasons alone."""
    periods, base = _periods(freq, by)
    resampling = Resampling.of(freq.days, bootstrap.block, bootstrap.seed)
    shares = freq.class_shares[..., 0, :], freq.valid_shares[..., 0, :]
    chosen = {"frequency": [resampling.pool(*shares, days) for days in periods.values()]}
    if ratios:
        factors = label_factors(ratios, freq.classes, RESAMPLES, bootstrap.seed)
        chosen["labelled"] = [resampling.labelled(*shares, days, factors) for days in periods.values()]
    if base:
        chosen["anomaly"] = anomalies(resampling, periods, base, *shares)
    if freq.kind != "expected":  # sums of probabilities are nowhere 0
        chosen["occurrence"] = [resampling.occurrence(*shares, days) for days in periods.values()]
    elif freq.presence is not None:
        presence = freq.presence[..., 0, :]
        own = presence[:, :, :-1], presence[:, :, -1]
        chosen["presence"] = [resampling.pool(*own, days) for days in periods.values()]
    rows = []
    for index, (period, pooled) in enumerate(zip(periods, chosen["frequency"], strict=True)):
        coverage = float(pooled.coverage[0]) / float(freq.counted[0, 0])
        for number, name in enumerate(freq.classes):
            numbers = [
                getattr(values[index], end)[number, 0]
                for values in chosen.values()
                for end in ("freq", "low", "high")
            ]
            rows.append(
                [_named(period, by), name, *map(_written, numbers), str(pooled.days[0]), _written(coverage)]
            )
    columns = [f"{name}{end}" for name in chosen for end in _ENDS]
    return csv_text(["period", "pattern", *columns, "days", "coverage"], rows)


def _trends(freq: Frequency, bootstrap: Bootstrap) -> str:
    """One row for each season and class; change per decade."""
    resampling = Resampling.of(freq.days, bootstrap.trend_block, bootstrap.seed)
    trend = partial(resampling.trend, freq.class_shares[..., 0, :], freq.valid_shares[..., 0, :])
    rows = []
    for season, days in seasons(freq.days).items():
        result = trend(days)
        for number, name in enumerate(freq.classes):
            numbers = [each[number, 0] for each in (result.slope, result.low, result.high)]
            rows.append([season, name, *map(_written, numbers), str(result.years[0])])
    return csv_text(["season", "pattern", *(f"trend_per_decade{end}" for end in _ENDS), "years"], rows)


def _periods(freq: Frequency, by: By) -> tuple[Periods, Periods | None]:
    """Periods, and for single months and seasons the days of all years that each is compared with."""
    if by == "month":
        return months(freq.days), calendar_months(freq.days)
    if by == "year-season":
        base = {name: days for name, days in seasons(freq.days).items() if name != ALL}
        return year_seasons(freq.days), base
    return (calendar_months if by == "calendar-month" else seasons)(freq.days), None


def _named(period: Any, by: By) -> str:
    if by == "year-season":
        return f"{season_of(period)} {season_years(period)}"
    return str(period)[:7] if by == "month" else str(period)


def _written(number: float) -> str:
    return "" if np.isnan(number) else f"{number:.6g}"
