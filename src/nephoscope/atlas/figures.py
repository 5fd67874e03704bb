"""The figures of a summary: where, when in the year, when and where at once, and what differs by hour."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from numpy.typing import NDArray

from nephoscope.atlas.climatology import ALL, LEAST, Periods, Pooled, calendar_months, months, seasons
from nephoscope.atlas.frequency import CLASSES
from nephoscope.atlas.maps import (
    COLOURS,
    PERCENT,
    MapGrid,
    colour_bar,
    draw_map,
    head,
    label_longitudes,
    name_panel,
    percent,
    small_bar,
)
from nephoscope.atlas.region import Columns, add_up, summary_cells
from nephoscope.core.io import atomic_write
from nephoscope.plotting.style import EDGE, FAINT, INK, LINE, new_figure, png, quieten

if TYPE_CHECKING:
    import xarray as xr

LITTLE = 0.1
"""Mean coverage below which a cell is hatched."""

_FREQUENCY, _DIFFERENCE, _COVERAGE = (
    colormaps["YlGnBu"],
    colormaps["PuOr_r"],
    LinearSegmentedColormap.from_list("coverage", ["white", "#8b95a1"]),
)
_WHOLE = Normalize(0, 1)
_SHARE = "share of the area with data in which the pattern was found"
_HATCHED = f"Hatched: data on fewer than {LEAST} days, or coverage below {percent(LITTLE)}."
_INITIALS = "JFMAMJJASOND"
_LEAST_TOP = 0.05  # of a scale; finer steps than per cents would not be told apart
_MONTHS = 3  # of fewer, days are told apart


def draw(summary: "xr.Dataset", folder: Path) -> list[Path]:
    """Draw all figures of a summary that it has data for, as PNG.

    Args:
        summary: as `read_summary` gives it.
        folder: where they go; files of the same names are replaced.

    Returns:
        The files: `frequency`, `seasons_PATTERN`, `cycle`, `hovmoller` and, of an atlas with Terra and Aqua,
        `diurnal`.

    Raises:
        OSError: a file cannot be written.
    """
    columns = add_up(summary)
    figures: dict[str, Callable[[], bytes]] = {
        "frequency": lambda: frequency(summary),
        **{f"seasons_{name}": partial(by_season, summary, name) for name in CLASSES},
        "cycle": lambda: cycle(summary, columns),
        "hovmoller": lambda: hovmoller(summary, columns),
    }
    if "diurnal_difference" in summary:
        figures["diurnal"] = lambda: diurnal(summary, columns)
    files = []
    for name, make in figures.items():
        files.append(folder / f"{name}.png")
        atomic_write(files[-1], make())
    return files


def frequency(summary: "xr.Dataset") -> bytes:
    """Maps of each pattern's frequency over all days, and of coverage."""
    grid = _grid(summary)
    all_days = summary.sel(season=ALL)
    fields, little = all_days["seasonal_freq"].values, _little(all_days, "seasonal")
    rows, across, tall = grid.layout(len(CLASSES) + 1)
    figure, panels = new_figure(rows, across, tall)
    scale = _scale(fields, little)
    for index, (axes, name) in enumerate(zip(panels, CLASSES, strict=False)):
        draw_map(axes, grid, fields[..., index], little, _FREQUENCY, scale)
        name_panel(axes, name)
    last = panels[len(CLASSES)]
    draw_map(last, grid, all_days["seasonal_coverage"].values, little, _COVERAGE, _WHOLE)
    name_panel(last, "Coverage")
    small_bar(last, _COVERAGE, ("0", percent(1)))
    colour_bar(figure, panels, _FREQUENCY, scale, _SHARE)
    head(figure, "Frequency of each pattern", [_days(summary), f"{_HATCHED} Patterns may overlap."])
    return png(figure)


def by_season(summary: "xr.Dataset", pattern: str) -> bytes:
    """Maps of one pattern's frequency in each season that the atlas has days of."""
    grid = _grid(summary)
    names = [name for name in summary["season"].values if name != ALL]
    rows, across, tall = grid.layout(len(names))
    figure, panels = new_figure(rows, across, tall)
    chosen = summary.sel(pattern=pattern, season=names)
    scale = _scale(chosen["seasonal_freq"].values, _little(chosen, "seasonal"))
    with_data = np.asarray((summary["coverage"].values > 0).any(axis=(1, 2)))
    counts = {name: with_data[days].sum() for name, days in seasons(_own_days(summary)).items()}
    for axes, name in zip(panels, names, strict=False):
        season = chosen.sel(season=name)
        little = _little(season, "seasonal")
        draw_map(axes, grid, season["seasonal_freq"].values, little, _FREQUENCY, scale)
        name_panel(axes, name, f"{counts[name]:,} days with data")
    _hide(panels[len(names) :])
    colour_bar(figure, panels, _FREQUENCY, scale, _SHARE)
    head(figure, f"{pattern} by season", [_days(summary), _HATCHED])
    return png(figure)


def cycle(summary: "xr.Dataset", columns: Columns) -> bytes:
    """The region's frequency of each pattern through the year, with 95 % intervals."""
    periods = calendar_months(columns.days)
    pooled = _pool(columns, *columns.whole, periods)
    numbers = np.array(list(periods))
    figure, panels = new_figure(2, 3, 5.2, sharex=True)
    top = max(float(np.nanmax([each.freq, each.high])) for each in pooled) * 1.08
    for index, (axes, name) in enumerate(zip(panels, CLASSES, strict=False)):
        freq, low, high = (
            np.array([getattr(each, what)[index, 0] for each in pooled]) for what in ("freq", "low", "high")
        )
        colour = COLOURS.get(name, FAINT)
        axes.errorbar(
            numbers, freq, [freq - low, high - freq], fmt="none", ecolor=EDGE, elinewidth=1, capsize=2.5
        )
        axes.plot(numbers, freq, "-", color=EDGE, lw=0.9, zorder=1.5)
        axes.plot(numbers, freq, "o", mfc=colour, mec=EDGE, mew=0.7, ms=6, zorder=3)
        axes.set_ylim(0, top)
        name_panel(axes, name)
    days = panels[-1]
    days.bar(numbers, [float(each.coverage[0]) for each in pooled], color="#c3cad2", edgecolor=EDGE, lw=0.6)
    days.set_ylim(0, 1)
    name_panel(days, "Coverage", "numbers: days with data")
    for number, each in zip(periods, pooled, strict=True):
        days.text(number, 0.04, f"{int(each.days[0]):,}", ha="center", fontsize=7, color=INK, rotation=90)
    for axes in panels:
        axes.set_xlim(0.3, 12.7)
        axes.set_xticks(range(1, 13), list(_INITIALS))
        axes.yaxis.set_major_formatter(PERCENT)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_color(FAINT)
        axes.grid(axis="y", color=LINE, lw=0.8)
        quieten(axes)
        axes.tick_params(labelsize=8)
    for axes in panels[3:]:
        axes.set_xlabel("month", fontsize=9)
    panels[0].set_ylabel("frequency", fontsize=9)
    panels[3].set_ylabel("frequency", fontsize=9)
    drawn = (
        "days" if summary.attrs["bootstrap_block"] == 1 else f"{summary.attrs['bootstrap_block']}-day blocks"
    )
    note = f"Area means over the region. Bars: 95 % intervals, {drawn} resampled."
    head(figure, "Seasonal cycle", [_days(summary), note])
    return png(figure)


def hovmoller(summary: "xr.Dataset", columns: Columns) -> bytes:
    """Each pattern's frequency over longitude and time, latitudes together, by month or, of few, by day."""
    periods, unit, least = months(columns.days), "month", LEAST
    if len(periods) < _MONTHS:
        periods = {str(day): np.array([number]) for number, day in enumerate(columns.days)}
        unit, least = "day", 1
    pooled = _pool(columns, columns.found, columns.data, periods)
    firsts = np.array(list(periods)).astype(f"datetime64[{unit[0].upper()}]")
    every = np.arange(firsts[0], firsts[-1] + 1)
    freq = np.full((len(every), len(CLASSES), len(columns.areas)), np.nan)
    coverage = np.zeros((len(every), len(columns.areas)))
    little = np.zeros(coverage.shape, np.bool_)
    places = (firsts - firsts[0]).astype(int)
    freq[places] = [each.freq for each in pooled]
    coverage[places] = [each.coverage for each in pooled]
    little[places] = [(each.days < least) | (each.coverage < LITTLE) for each in pooled]
    freq[np.repeat(little[:, None], len(CLASSES), axis=1)] = np.nan
    edges = np.append(every, every[-1] + 1).astype("datetime64[D]").astype(np.float64)
    longitudes = summary_cells(summary).longitudes
    figure, panels = new_figure(2, 3, 7.6, sharex=True, sharey=True)
    scale = _scale(np.moveaxis(freq, 1, -1), np.zeros(little.shape, np.bool_))
    for index, (axes, name) in enumerate(zip(panels, CLASSES, strict=False)):
        axes.pcolormesh(longitudes, edges, freq[:, index], cmap=_FREQUENCY, norm=scale, rasterized=True)
        name_panel(axes, name)
    last = panels[len(CLASSES)]
    last.pcolormesh(longitudes, edges, coverage, cmap=_COVERAGE, norm=_WHOLE, rasterized=True)
    name_panel(last, "Coverage")
    small_bar(last, _COVERAGE, ("0", percent(1)))
    for axes in panels:
        axes.set_facecolor("#e3e7ec")
        label_longitudes(axes)
        locator = AutoDateLocator(maxticks=9)  # type: ignore[no-untyped-call]
        axes.yaxis.set_major_locator(locator)
        axes.yaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))  # type: ignore[no-untyped-call]
        axes.tick_params(length=2, color=FAINT, labelcolor=INK, labelsize=8)
        axes.spines[:].set(color=FAINT, linewidth=0.6)
    panels[0].invert_yaxis()
    for axes in panels[3:]:
        axes.set_xlabel("longitude", fontsize=9, color=INK)
    for axes in panels[::3]:
        axes.set_ylabel(unit, fontsize=9, color=INK)
    colour_bar(figure, panels, _FREQUENCY, scale, _SHARE)
    south, north = summary_cells(summary).latitudes[[0, -1]]
    note = (
        f"Means over {_latitude(south)} to {_latitude(north)}. Grey: "
        f"{f'data on fewer than {least} days, or ' if least > 1 else ''}coverage below {percent(LITTLE)}."
    )
    head(figure, "Hovmöller diagrams: longitude and time", [_days(summary), note])
    return png(figure)


def diurnal(summary: "xr.Dataset", columns: Columns) -> bytes:
    """Maps of Aqua's frequencies less Terra's, on days on which both saw the cell."""
    grid = _grid(summary)
    all_days = summary.sel(season=ALL)
    fields, low, high = (all_days[f"diurnal_difference{end}"].values for end in ("", "_low", "_high"))
    little = _little(all_days, "diurnal")
    found, data = columns.whole
    two = [list(summary["satellite"].values).index(name) for name in ("Terra", "Aqua")]
    region = columns.resampling.difference(found[:, two], data[:, two], np.arange(len(columns.days)))
    rows, across, tall = grid.layout(len(CLASSES) + 1)
    figure, panels = new_figure(rows, across, tall)
    most = float(np.nanquantile(np.abs(fields[~little]), 0.99)) if (~little).any() else 0.01
    scale = Normalize(-max(most, 0.01), max(most, 0.01))
    centres = [(edges[:-1] + edges[1:]) / 2 for edges in (grid.longitudes, grid.latitudes)]
    for index, (axes, name) in enumerate(zip(panels, CLASSES, strict=False)):
        draw_map(axes, grid, fields[..., index], little, _DIFFERENCE, scale)
        sure = ~little & ((low[..., index] > 0) | (high[..., index] < 0))
        column, row = np.nonzero(sure)
        axes.plot(centres[0][column], centres[1][row], ".", ms=1.2, color=INK, zorder=1.5)
        mean, least, highest = (100 * getattr(region, what)[index, 0] for what in ("freq", "low", "high"))
        numbers = f"{mean:+.1f} ({least:+.1f} to {highest:+.1f}) points"
        name_panel(axes, name, numbers.replace("-", "\N{MINUS SIGN}"))
    last = panels[len(CLASSES)]
    seen = all_days["diurnal_days"].values
    every = Normalize(0, max(1, int(seen.max())))
    draw_map(last, grid, seen.astype(float), little, _COVERAGE, every)
    name_panel(last, "Days seen by both")
    small_bar(last, _COVERAGE, ("0", f"{seen.max():,}"))
    _hide(panels[len(CLASSES) + 1 :])
    colour_bar(
        figure,
        panels,
        _DIFFERENCE,
        scale,
        "difference of frequency: Aqua (about 13:30 local time) less Terra (about 10:30)",
    )
    notes = [
        f"{_days(summary)} Only days on which both saw a cell.",
        "Dots: the cell's own 95 % interval leaves out 0, which one in twenty does by chance.",
        f"Numbers: the region's mean and 95 % interval, in percentage points. {_HATCHED}",
    ]
    head(figure, "Diurnal difference: early afternoon less late morning", notes)
    return png(figure)


def _pool(columns: Columns, found: Any, data: Any, periods: Periods) -> list[Pooled]:
    return [columns.resampling.pool(found, data, chosen) for chosen in periods.values()]


def _grid(summary: "xr.Dataset") -> MapGrid:
    cells = summary_cells(summary)
    return MapGrid(cells.longitudes, cells.latitudes)


def _little(summary: "xr.Dataset", prefix: str) -> NDArray[np.bool_]:
    """Where there is so little data that a frequency should not be read."""
    coverage = summary[f"{prefix}_coverage"].values
    inside = np.maximum(summary["inside"].values, 1e-9)
    return np.asarray((summary[f"{prefix}_days"].values < LEAST) | (coverage / inside < LITTLE))


def _scale(fields: NDArray[Any], little: NDArray[np.bool_]) -> Normalize:
    """From 0 to nearly the highest value that has enough data; fields have classes last, or none."""
    trusted = fields[~little]
    known = trusted[np.isfinite(trusted)]
    return Normalize(0, max(_LEAST_TOP, float(np.quantile(known, 0.995))) if known.size else _LEAST_TOP)


def _own_days(summary: "xr.Dataset") -> NDArray[np.datetime64]:
    return np.asarray(summary["date"].values.astype("datetime64[D]"))


def _days(summary: "xr.Dataset") -> str:
    """Which days, by which satellites, how completely."""
    days = _own_days(summary)
    satellites = " and ".join(str(name) for name in summary["satellite"].values)
    missing = float(summary.attrs["missing_share"])
    seen = np.count_nonzero((summary["coverage"].values > 0).any(axis=(1, 2)))
    text = f"{days[0]} to {days[-1]}, {len(days):,} days, {seen:,} of them with data, {satellites}."
    return text + (f" {percent(missing, 1)} of the pictures are missing." if missing else "")


def _latitude(value: float) -> str:
    return f"{abs(value):g}°{('S' if value < 0 else 'N') if value else ''}"


def _hide(panels: list[Axes]) -> None:
    for axes in panels:
        axes.set_visible(False)
