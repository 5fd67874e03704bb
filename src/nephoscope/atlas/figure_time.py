"""Figures of a summary over time: the seasonal cycle, anomalies, and Hovmöller diagrams."""

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nephoscope.atlas.c3ontext import our_name
from nephoscope.atlas.climatology import LEAST, RESAMPLES, Periods, Pooled, calendar_months, months
from nephoscope.atlas.figure_parts import (
    LITTLE,
    class_scales,
    classes_of,
    days_note,
    ends_of,
    map_frame,
    place_and_period,
    share_label,
)
from nephoscope.atlas.flags import UNCLASSIFIED
from nephoscope.atlas.frequency import Kind
from nephoscope.atlas.maps import (
    PERCENT,
    Scale,
    colour_bar,
    draw_cells,
    first_panels,
    frame_map,
    head,
    name_panel,
    own_bar,
    percent,
)
from nephoscope.atlas.model_error import area_ratios, label_factors
from nephoscope.atlas.summary_file import Columns
from nephoscope.atlas.summary_variables import anomalies
from nephoscope.core.geo import format_degrees
from nephoscope.plotting.style import EDGE, FAINT, INK, LINE, new_figure, quieten

if TYPE_CHECKING:
    import xarray as xr

_MIN_MONTHS = 3  # with enough days; of fewer, days are shown
_ENDS = ("freq", "low", "high")
_FEW_TIMES = 9  # that have a label each


def cycle(summary: "xr.Dataset", columns: Columns) -> Figure:
    """The region's frequency of each pattern through the year, with 95 % intervals.

    Of a calibrated model also the frequency that labels would give, whose interval has the model's error.
    """
    classes, periods = classes_of(summary), calendar_months(columns.days)
    pooled, labelled = pool_periods(columns, periods), _labelled(summary, columns, periods)
    figure, panels = _panels(len(classes) + 1, 2.6, "month", "frequency", sharex=True)
    own = np.array([name == UNCLASSIFIED for name in classes])
    tops = [
        1.08 * max(_top(each, part) for each in [*pooled.values(), *labelled.values()])
        for part in (own if name == UNCLASSIFIED else ~own for name in classes)
    ]
    for index, (name, colour) in enumerate(classes.items()):
        axes, numbers = panels[index], np.arange(1, 13)
        freq, ends = _by_month(pooled, index)
        theirs, their_ends = _by_month(labelled, index)
        beside: dict[str, Any] = {"color": FAINT, "elinewidth": 0.8, "mfc": "white", "mew": 0.7, "ms": 3.5}
        axes.errorbar(numbers + 0.35, theirs, their_ends, fmt="o", zorder=1, **beside)
        axes.errorbar(numbers, freq, ends, fmt="none", ecolor=EDGE, elinewidth=1, capsize=2.5)
        axes.plot(numbers, freq, "-", color=EDGE, lw=0.9, zorder=1.5)
        axes.plot(numbers, freq, "o", mfc=colour or FAINT, mec=EDGE, mew=0.7, ms=6, zorder=3)
        axes.set_ylim(0, max(0.01, tops[index]))
        name_panel(axes, name, colour=colour)
    days = panels[-1]
    coverage = [float(each.coverage[0]) for each in pooled.values()]
    days.bar(list(pooled), coverage, color="#c3cad2", ec=EDGE, lw=0.6)
    days.set_ylim(0, 1)
    name_panel(days, "Coverage")
    for number, each in pooled.items():
        days.text(number, 0.04, f"{int(each.days[0]):,}", ha="center", fontsize=7, color=INK, rotation=90)
    for axes in panels:
        axes.set_xlim(0.3, 12.7)
        axes.set_xticks(range(1, 13), list("JFMAMJJASOND"))
        _frame_percent(axes)
    block = summary.attrs["bootstrap_block"]
    drawn = "days" if block == 1 else f"{block}-day blocks"
    note = f"Area means over the region. Bars: 95 % intervals, {drawn} resampled."
    if labelled:
        note += " Small circles: what people's labels would give, and the interval with the model's error."
    counts = f"{days_note(summary)} In the bars of coverage: days with data."
    return head(figure, "Seasonal cycle", place_and_period(summary), counts, note)


def anomaly_series(summary: "xr.Dataset", columns: Columns) -> Figure:
    """The region's frequency of each pattern in every month less that of the calendar month in all years."""
    classes, periods = classes_of(summary), months(columns.days)
    monthly = anomalies(columns.resampling, periods, calendar_months(columns.days), *columns.whole)
    firsts = np.array(list(periods)).astype("datetime64[D]")
    width = np.timedelta64(27, "D")
    figure, panels = new_figure(len(classes), 1, 1.6 * len(classes) + 1.2, sharex=True, sharey=True)
    for index, (name, colour) in enumerate(classes.items()):
        freq, low, high = (np.array([getattr(each, end)[index, 0] for each in monthly]) for end in _ENDS)
        axes, ends = panels[index], np.maximum([freq - low, high - freq], 0)
        axes.bar(firsts, freq, width, align="edge", color=colour or FAINT, ec=EDGE, lw=0.4)
        axes.errorbar(firsts + width / 2, freq, ends, fmt="none", ecolor=EDGE, elinewidth=0.7)
        axes.axhline(0, color=EDGE, lw=0.7)
        name_panel(axes, name, colour=colour)
        _label_dates(axes.xaxis)
        _frame_percent(axes)
    few = (
        f"Without a bar: no other year has data in that month. Without an interval: fewer than {LEAST} days."
    )
    note = f"Area means over the region. Lines: 95 % intervals. {few}"
    title = "Anomalies: each month less the same month of all years"
    return head(figure, title, place_and_period(summary), days_note(summary), note)


def hovmoller(summary: "xr.Dataset", columns: Columns) -> Figure:
    """Each pattern's frequency over longitude and time, latitudes together, by month or, of few, by day."""
    classes, periods, unit, least = classes_of(summary), months(columns.days), "month", LEAST
    with_data = columns.valid_shares.max(axis=(1, 2)) > 0
    if sum(np.count_nonzero(with_data[days]) >= LEAST for days in periods.values()) < _MIN_MONTHS:
        periods = {str(day): np.array([number]) for number, day in enumerate(columns.days)}
        unit, least = "day", 1
    times, freq, coverage = _by_time(columns, periods, unit, least)
    frame = map_frame(summary)
    figure, panels = _panels(len(classes) + 1, 3.8, "longitude", unit, sharex=True, sharey=True)
    scales = class_scales(classes, np.moveaxis(freq, 1, -1))
    for index, (name, colour) in enumerate(classes.items()):
        draw_cells(panels[index], frame.cells.longitudes, times, freq[:, index], scales[index])
        name_panel(panels[index], name, colour=colour)
    draw_cells(panels[-1], frame.cells.longitudes, times, coverage, Scale.shares())
    name_panel(panels[-1], "Coverage")
    for axes in panels:
        axes.set_facecolor("#e3e7ec")
        axes.set_xlim(*frame.longitudes)
        frame_map(axes)
        _label_times(axes, times, unit)
    panels[0].invert_yaxis()
    colour_bar(figure, scales[0], share_label(summary))
    if UNCLASSIFIED in classes:
        own_bar(panels[-2], scales[-1], ends_of(scales[-1]))
    own_bar(panels[-1], Scale.shares(), ("0", percent(1)))
    south, north = (format_degrees(edge, "NS") for edge in frame.latitudes)
    few = f"data on fewer than {least} days, or " if least > 1 else ""
    note = f"Means over {south} to {north}. Grey: {few}coverage below {percent(LITTLE)}."
    title = "Hovmöller diagrams: longitude and time"
    return head(figure, title, place_and_period(summary), days_note(summary), note)


def _by_month(pooled: dict[Any, Pooled], index: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """A class's frequency in the months from 1 to 12, and its interval's parts below and above it.

    A month without data is NaN, which breaks a line.
    """
    freq, low, high = (
        np.array([getattr(pooled[n], end)[index, 0] if n in pooled else np.nan for n in range(1, 13)])
        for end in _ENDS
    )
    return freq, np.maximum([freq - low, high - freq], 0)


def _top(pooled: Pooled, part: NDArray[np.bool_]) -> float:
    """The highest value and end of an interval of some classes; 0 without any."""
    return float(np.nan_to_num([pooled.freq[part], pooled.high[part]]).max())


def _labelled(summary: "xr.Dataset", columns: Columns, periods: Periods) -> dict[Any, Pooled]:
    """The frequencies of the region that labels would give; empty without a calibrated model."""
    ratios = area_ratios(summary.attrs, cast(Kind, summary.attrs.get("kind", "contest")))
    if not ratios:
        return {}
    names = [our_name(name) for name in classes_of(summary)]
    factors = label_factors(ratios, names, RESAMPLES, int(summary.attrs["bootstrap_seed"]))
    return {key: columns.resampling.labelled(*columns.whole, days, factors) for key, days in periods.items()}


def pool_periods(columns: Columns, periods: Periods) -> dict[Any, Pooled]:
    """Frequencies of the whole region by period."""
    return {key: columns.resampling.pool(*columns.whole, days) for key, days in periods.items()}


def _frame_percent(axes: Axes) -> None:
    """Frame a panel of per cent over time: an axis below, and pale lines across."""
    axes.yaxis.set_major_formatter(PERCENT)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
    axes.grid(axis="y", color=LINE, lw=0.8)
    quieten(axes)
    axes.tick_params(labelsize=8)


def _label_times(axes: Axes, times: NDArray[np.float64], unit: str) -> None:
    """Label days or months; of a few each one, in its middle."""
    if len(times) - 1 <= _FEW_TIMES:
        names = times[:-1].astype("datetime64[D]").astype(f"datetime64[{unit[0].upper()}]").astype(str)
        axes.set_yticks((times[:-1] + times[1:]) / 2, names)
        return
    _label_dates(axes.yaxis)


def _label_dates(axis: Axis) -> None:
    locator = AutoDateLocator(maxticks=9)  # type: ignore[no-untyped-call]
    axis.set_major_locator(locator)
    axis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))  # type: ignore[no-untyped-call]


def _panels(
    count: int, height: float, across_label: str, up_label: str, **shared: bool
) -> tuple[Figure, list[Axes]]:
    """A figure of so many panels, rows of some height in inches, with labels on the outer axes."""
    across = 2 if count == 4 else 3
    rows = -(-count // across)
    figure, panels = new_figure(rows, across, rows * height + 0.3, **shared)
    panels = first_panels(panels, count)
    for axes in panels[-across:]:  # below some of these a panel may be hidden
        axes.tick_params(labelbottom=True)
        axes.set_xlabel(across_label, fontsize=9, color=INK)
    for axes in panels[::across]:
        axes.set_ylabel(up_label, fontsize=9, color=INK)
    return figure, panels


def _by_time(
    columns: Columns, periods: Periods, unit: str, least: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Edges of all months or days from the first to the last; frequencies; coverage of each.

    Frequencies have the shape (times, classes, columns), NaN with less than `least` days or little coverage.
    """
    shares = columns.class_shares, columns.valid_shares
    pooled = [columns.resampling.pool(*shares, days) for days in periods.values()]
    firsts = np.array(list(periods)).astype(f"datetime64[{unit[0].upper()}]")
    gaps = np.diff(firsts).astype(np.int64)
    step = int(np.gcd.reduce(gaps)) if unit == "day" and len(gaps) else 1  # of days that were sampled evenly
    every = np.arange(firsts[0], firsts[-1] + 1, step)
    freq = np.full((len(every), *pooled[0].freq.shape), np.nan)
    coverage = np.full((len(every), len(columns.areas)), np.nan)
    for index, each in zip((firsts - firsts[0]).astype(int) // step, pooled, strict=True):
        enough = (each.days >= least) & (each.coverage >= LITTLE)
        freq[index] = np.where(enough, each.freq, np.nan)
        coverage[index] = each.coverage
    return np.append(every, every[-1] + step).astype("datetime64[D]").astype(np.float64), freq, coverage
