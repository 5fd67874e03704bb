"""The figures of a summary: maps, seasonal cycle, Hovmöller diagrams and diurnal difference."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nephoscope.atlas.climatology import ALL, LEAST, Periods, Pooled, calendar_months, months, seasons
from nephoscope.atlas.maps import (
    PERCENT,
    colour_bar,
    draw_map,
    first_panels,
    frame_map,
    head,
    name_panel,
    new_map_figure,
    percent,
    small_bar,
)
from nephoscope.atlas.summary_file import Columns, add_up, counted_shares, summary_cells
from nephoscope.core.errors import CardError
from nephoscope.core.geo import format_degrees
from nephoscope.core.io import atomic_write
from nephoscope.core.patterns import styled_patterns
from nephoscope.inference.card import Card
from nephoscope.plotting.style import EDGE, FAINT, INK, LINE, new_figure, png, quieten

if TYPE_CHECKING:
    import xarray as xr

LITTLE = 0.1
"""Mean coverage below which a cell is hatched."""

_FREQUENCY, _DIFFERENCE = colormaps["YlGnBu"], colormaps["PuOr_r"]
_COVERAGE = LinearSegmentedColormap.from_list("coverage", ["white", "#8b95a1"])
_WHOLE = Normalize(0, 1)
_SHARE = "share of the area with data in which the pattern was found"
_DIURNAL = "difference of frequency: Aqua (about 13:30 local time) less Terra (about 10:30)"
_HATCHED = f"Hatched: data on fewer than {LEAST} days, or coverage below {percent(LITTLE)}."
_MIN_TOP = 0.05  # of a scale, whose labels are whole per cents
_MIN_MONTHS = 3  # of fewer, days are shown


def draw(summary: "xr.Dataset", folder: Path) -> list[Path]:
    """Draw all figures of a summary that it has data for, as PNG; files of the same names are replaced.

    Returns:
        The files: `frequency`, `seasons_PATTERN`, `cycle`, `hovmoller` and, of an atlas with Terra and Aqua,
        `diurnal`.

    Raises:
        OSError: a file cannot be written.
    """
    columns = add_up(summary)
    figures: dict[str, Callable[[], bytes]] = {
        "frequency": partial(frequency, summary),
        **{f"seasons_{name}": partial(by_season, summary, name) for name in _classes(summary)},
        "cycle": partial(cycle, summary, columns),
        "hovmoller": partial(hovmoller, summary, columns),
    }
    if "diurnal_difference" in summary:
        figures["diurnal"] = partial(diurnal, summary, columns)
    for name, make in figures.items():
        atomic_write(folder / f"{name}.png", make())
    return [folder / f"{name}.png" for name in figures]


def frequency(summary: "xr.Dataset") -> bytes:
    """Maps of each pattern's frequency over all days, and of coverage."""
    cells, classes = summary_cells(summary), _classes(summary)
    all_days = summary.sel(season=ALL)
    fields, hatched = all_days["seasonal_freq"].values, _hatched(all_days, "seasonal")
    figure, panels = new_map_figure(cells, len(classes) + 1)
    scale = _scale(fields, hatched)
    for index, (name, colour) in enumerate(classes.items()):
        draw_map(panels[index], cells, fields[..., index], hatched, _FREQUENCY, scale)
        name_panel(panels[index], name, colour=colour)
    draw_map(panels[-1], cells, all_days["seasonal_coverage"].values, hatched, _COVERAGE, _WHOLE)
    _label_coverage(panels[-1])
    colour_bar(figure, _FREQUENCY, scale, _SHARE)
    return png(head(figure, "Frequency of each pattern", _days(summary), f"{_HATCHED} Patterns may overlap."))


def by_season(summary: "xr.Dataset", pattern: str) -> bytes:
    """Maps of one pattern's frequency in each season that the atlas has days of."""
    cells = summary_cells(summary)
    names = [name for name in summary["season"].values if name != ALL]
    figure, panels = new_map_figure(cells, len(names))
    chosen = summary.sel(pattern=pattern, season=names)
    scale = _scale(chosen["seasonal_freq"].values, _hatched(chosen, "seasonal"))
    with_data = _days_with_data(summary)
    counts = {name: with_data[days].sum() for name, days in seasons(_dates(summary)).items()}
    for axes, name in zip(panels, names, strict=True):
        season = chosen.sel(season=name)
        draw_map(axes, cells, season["seasonal_freq"].values, _hatched(season, "seasonal"), _FREQUENCY, scale)
        name_panel(axes, name, f"{counts[name]:,} days with data")
    colour_bar(figure, _FREQUENCY, scale, _SHARE)
    return png(head(figure, f"{pattern} by season", _days(summary), _HATCHED))


def cycle(summary: "xr.Dataset", columns: Columns) -> bytes:
    """The region's frequency of each pattern through the year, with 95 % intervals."""
    classes, periods = _classes(summary), calendar_months(columns.days)
    pooled = _pool(columns, *columns.whole, periods)
    numbers = np.array(list(periods))
    figure, panels = _panels(len(classes) + 1, 2.6, "month", "frequency", sharex=True)
    top = max(float(np.nanmax([each.freq, each.high])) for each in pooled) * 1.08
    for index, (name, colour) in enumerate(classes.items()):
        freq, low, high = (
            np.array([getattr(each, end)[index, 0] for each in pooled]) for end in ("freq", "low", "high")
        )
        axes, ends = panels[index], [freq - low, high - freq]
        axes.errorbar(numbers, freq, ends, fmt="none", ecolor=EDGE, elinewidth=1, capsize=2.5)
        axes.plot(numbers, freq, "-", color=EDGE, lw=0.9, zorder=1.5)
        axes.plot(numbers, freq, "o", mfc=colour or FAINT, mec=EDGE, mew=0.7, ms=6, zorder=3)
        axes.set_ylim(0, top)
        name_panel(axes, name, colour=colour)
    days = panels[-1]
    days.bar(numbers, [float(each.coverage[0]) for each in pooled], color="#c3cad2", edgecolor=EDGE, lw=0.6)
    days.set_ylim(0, 1)
    name_panel(days, "Coverage", "numbers: days with data")
    for number, each in zip(periods, pooled, strict=True):
        days.text(number, 0.04, f"{int(each.days[0]):,}", ha="center", fontsize=7, color=INK, rotation=90)
    for axes in panels:
        axes.set_xlim(0.3, 12.7)
        axes.set_xticks(range(1, 13), list("JFMAMJJASOND"))
        axes.yaxis.set_major_formatter(PERCENT)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_color(FAINT)
        axes.grid(axis="y", color=LINE, lw=0.8)
        quieten(axes)
        axes.tick_params(labelsize=8)
    block = summary.attrs["bootstrap_block"]
    drawn = "days" if block == 1 else f"{block}-day blocks"
    note = f"Area means over the region. Bars: 95 % intervals, {drawn} resampled."
    return png(head(figure, "Seasonal cycle", _days(summary), note))


def hovmoller(summary: "xr.Dataset", columns: Columns) -> bytes:
    """Each pattern's frequency over longitude and time, latitudes together, by month or, of few, by day."""
    classes, periods, unit, least = _classes(summary), months(columns.days), "month", LEAST
    if len(periods) < _MIN_MONTHS:
        periods = {str(day): np.array([number]) for number, day in enumerate(columns.days)}
        unit, least = "day", 1
    times, freq, coverage = _by_time(columns, periods, unit, least)
    edges, latitudes = summary_cells(summary).longitudes, summary_cells(summary).latitudes
    figure, panels = _panels(len(classes) + 1, 3.8, "longitude", unit, sharex=True, sharey=True)
    scale = _scale(np.moveaxis(freq, 1, -1), np.zeros(coverage.shape, np.bool_))
    for index, (name, colour) in enumerate(classes.items()):
        field = freq[:, index]
        panels[index].pcolormesh(edges, times, field, cmap=_FREQUENCY, norm=scale, rasterized=True)
        name_panel(panels[index], name, colour=colour)
    panels[-1].pcolormesh(edges, times, coverage, cmap=_COVERAGE, norm=_WHOLE, rasterized=True)
    _label_coverage(panels[-1])
    for axes in panels:
        axes.set_facecolor("#e3e7ec")
        frame_map(axes)
        locator = AutoDateLocator(maxticks=9)  # type: ignore[no-untyped-call]
        axes.yaxis.set_major_locator(locator)
        axes.yaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))  # type: ignore[no-untyped-call]
    panels[0].invert_yaxis()
    colour_bar(figure, _FREQUENCY, scale, _SHARE)
    south, north = (format_degrees(edge, "NS") for edge in latitudes[[0, -1]])
    note = (
        f"Means over {south} to {north}. Grey: "
        f"{f'data on fewer than {least} days, or ' if least > 1 else ''}coverage below {percent(LITTLE)}."
    )
    return png(head(figure, "Hovmöller diagrams: longitude and time", _days(summary), note))


def diurnal(summary: "xr.Dataset", columns: Columns) -> bytes:
    """Maps of Aqua's frequencies minus Terra's, on days on which both saw the cell."""
    cells, classes = summary_cells(summary), _classes(summary)
    all_days = summary.sel(season=ALL)
    fields, low, high = (all_days[f"diurnal_difference{end}"].values for end in ("", "_low", "_high"))
    hatched = _hatched(all_days, "diurnal")
    two = [list(summary["satellite"].values).index(name) for name in ("Terra", "Aqua")]
    class_shares, valid_shares = (each[:, two] for each in columns.whole)
    region = columns.resampling.difference(class_shares, valid_shares, np.arange(len(columns.days)))
    figure, panels = new_map_figure(cells, len(classes) + 1)
    most = float(np.nanquantile(np.abs(fields[~hatched]), 0.99)) if (~hatched).any() else 0.01
    scale = Normalize(-max(most, 0.01), max(most, 0.01))
    centres = [(edges[:-1] + edges[1:]) / 2 for edges in (cells.longitudes, cells.latitudes)]
    for index, (name, colour) in enumerate(classes.items()):
        draw_map(panels[index], cells, fields[..., index], hatched, _DIFFERENCE, scale)
        column, row = np.nonzero(~hatched & ((low[..., index] > 0) | (high[..., index] < 0)))
        panels[index].plot(centres[0][column], centres[1][row], ".", ms=1.2, color=INK, zorder=1.5)
        mean, least, highest = (100 * getattr(region, end)[index, 0] for end in ("freq", "low", "high"))
        numbers = f"{mean:+.1f} ({least:+.1f} to {highest:+.1f}) points"
        name_panel(panels[index], name, numbers.replace("-", "\N{MINUS SIGN}"), colour)
    days, last = all_days["diurnal_days"].values, panels[-1]
    draw_map(last, cells, days.astype(float), hatched, _COVERAGE, Normalize(0, max(1, int(days.max()))))
    name_panel(last, "Days seen by both")
    small_bar(last, _COVERAGE, ("0", f"{days.max():,}"))
    colour_bar(figure, _DIFFERENCE, scale, _DIURNAL)
    head(
        figure,
        "Diurnal difference: early afternoon less late morning",
        f"{_days(summary)} Only days on which both saw a cell.",
        "Dots: the cell's own 95 % interval leaves out 0, which one in twenty does by chance.",
        f"Numbers: the region's mean and 95 % interval, in percentage points. {_HATCHED}",
    )
    return png(figure)


def _panels(
    count: int, height: float, across_label: str, up_label: str, **shared: bool
) -> tuple[Figure, list[Axes]]:
    """A figure of so many panels, rows of some height in inches, with labels on the outer axes."""
    across = 2 if count == 4 else 3
    rows = -(-count // across)
    figure, panels = new_figure(rows, across, rows * height, **shared)
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
    pooled = _pool(columns, columns.class_shares, columns.valid_shares, periods)
    firsts = np.array(list(periods)).astype(f"datetime64[{unit[0].upper()}]")
    every = np.arange(firsts[0], firsts[-1] + 1)
    freq = np.full((len(every), *pooled[0].freq.shape), np.nan)
    coverage = np.zeros((len(every), len(columns.areas)))
    for index, each in zip((firsts - firsts[0]).astype(int), pooled, strict=True):
        enough = (each.days >= least) & (each.coverage >= LITTLE)
        freq[index] = np.where(enough, each.freq, np.nan)
        coverage[index] = each.coverage
    return np.append(every, every[-1] + 1).astype("datetime64[D]").astype(np.float64), freq, coverage


def _label_coverage(axes: Axes) -> None:
    name_panel(axes, "Coverage")
    small_bar(axes, _COVERAGE, ("0", percent(1)))


def _pool(columns: Columns, classes: Any, valid: Any, periods: Periods) -> list[Pooled]:
    return [columns.resampling.pool(classes, valid, days) for days in periods.values()]


def _classes(summary: "xr.Dataset") -> dict[str, str | None]:
    """Colours of the patterns by name; then Unclassified, which has none.

    Colours are those of the model card that the summary keeps, else the default ones.
    """
    *patterns, unclassified = (str(name) for name in summary["pattern"].values)
    try:
        styles = Card.from_json(str(summary.attrs["model_card"])).styles
    except (KeyError, CardError):
        styles = {}
    colours = {pattern.name: pattern.hex_colour for pattern in styled_patterns(patterns, styles)}
    return {**colours, unclassified: None}


def _hatched(summary: "xr.Dataset", prefix: str) -> NDArray[np.bool_]:
    """Where there is too little data for a frequency."""
    coverage = summary[f"{prefix}_coverage"].values
    counted = np.maximum(counted_shares(summary), 1e-9)
    return np.asarray((summary[f"{prefix}_days"].values < LEAST) | (coverage / counted < LITTLE))


def _scale(fields: NDArray[Any], hatched: NDArray[np.bool_]) -> Normalize:
    """From 0 to nearly the highest value that has enough data; fields have classes last, or none."""
    values = fields[~hatched]
    known = values[np.isfinite(values)]
    return Normalize(0, max(_MIN_TOP, float(np.quantile(known, 0.995))) if known.size else _MIN_TOP)


def _dates(summary: "xr.Dataset") -> NDArray[np.datetime64]:
    return np.asarray(summary["date"].values.astype("datetime64[D]"))


def _days_with_data(summary: "xr.Dataset") -> NDArray[np.bool_]:
    return np.asarray((summary["coverage"].values > 0).any(axis=(1, 2)))


def _days(summary: "xr.Dataset") -> str:
    """A sentence about days, satellites and missing images."""
    days = _dates(summary)
    satellites = " and ".join(str(name) for name in summary["satellite"].values)
    missing, with_data = float(summary.attrs["missing_share"]), np.count_nonzero(_days_with_data(summary))
    text = f"{days[0]} to {days[-1]}, {len(days):,} days, {with_data:,} of them with data, {satellites}."
    return text + (f" {percent(missing, 1)} of the pictures are missing." if missing else "")
