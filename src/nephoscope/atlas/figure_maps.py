"""Maps of a summary: frequencies over all days and by season, differences of satellites, and trends."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nephoscope.atlas.climatology import ALL, LEAST_YEARS, Resampling, parse_block, seasons
from nephoscope.atlas.figure_parts import (
    centres,
    class_scales,
    classes_of,
    count_days,
    dates,
    days_note,
    ends_of,
    hatched_cells,
    hatching_note,
    have_data,
    least_days,
    map_frame,
    place_and_period,
    share_label,
)
from nephoscope.atlas.flags import UNCLASSIFIED
from nephoscope.atlas.maps import Scale, colour_bar, draw_map, head, map_figure, name_panel, own_bar, percent
from nephoscope.atlas.summary_file import Columns, counted_shares
from nephoscope.plotting.style import INK

if TYPE_CHECKING:
    import xarray as xr

_DOTS = "Dots: the cell's own 95 % interval leaves out 0, which one in twenty does by chance."
_NUMBERS = "Numbers: the region's mean and 95 % interval, in percentage points."
_DIURNAL = "difference of frequency: Aqua (about 13:30 local time) less Terra (about 10:30)"


def frequency(summary: "xr.Dataset") -> Figure:
    """Maps of each pattern's frequency over all days, and of coverage."""
    frame, classes, least = map_frame(summary), classes_of(summary), least_days(summary)
    all_days = summary.sel(season=ALL)
    fields, hatched = all_days["seasonal_freq"].values, hatched_cells(all_days, "seasonal", least)
    figure, panels = map_figure(frame, len(classes) + 1)
    scales = class_scales(classes, fields, hatched)
    for index, (name, colour) in enumerate(classes.items()):
        draw_map(panels[index], frame, fields[..., index], hatched, scales[index])
        name_panel(panels[index], name, colour=colour)
    coverage = Scale.shares()
    draw_map(panels[-1], frame, all_days["seasonal_coverage"].values, hatched, coverage)
    name_panel(panels[-1], "Coverage")
    colour_bar(figure, scales[0], share_label(summary))
    if UNCLASSIFIED in classes:
        own_bar(panels[-2], scales[-1], ends_of(scales[-1]))
    own_bar(panels[-1], coverage, ("0", percent(1)))
    note = f"{hatching_note(least)} Patterns may overlap."
    return head(figure, "Frequency of each pattern", place_and_period(summary), days_note(summary), note)


def by_season(summary: "xr.Dataset", pattern: str) -> Figure:
    """Maps of one pattern's frequency in each season of which there are days."""
    frame, periods, least = map_frame(summary), seasons(dates(summary)), least_days(summary)
    names = [name for name in periods if name != ALL]
    fields = {name: summary.sel(season=name, pattern=pattern)["seasonal_freq"].values for name in names}
    hatched = {name: hatched_cells(summary.sel(season=name), "seasonal", least) for name in names}
    scale = Scale.frequencies(
        np.stack([np.where(hatched[name], np.nan, field) for name, field in fields.items()])
    )
    with_data = have_data(summary)
    figure, panels = map_figure(frame, len(names))
    for axes, name in zip(panels, names, strict=True):
        draw_map(axes, frame, fields[name], hatched[name], scale)
        name_panel(axes, name, count_days(int(with_data[periods[name]].sum())))
    colour_bar(figure, scale, share_label(summary, pattern == UNCLASSIFIED))
    note = f"{days_note(summary)} Beside the seasons: days with data."
    return head(figure, f"{pattern} by season", place_and_period(summary), note, hatching_note(least))


def diurnal(summary: "xr.Dataset", columns: Columns) -> Figure:
    """Maps of Aqua's frequencies minus Terra's, on days on which both saw the cell."""
    frame, classes, least = map_frame(summary), classes_of(summary), least_days(summary)
    all_days = summary.sel(season=ALL)
    fields, low, high = (all_days[f"diurnal_difference{end}"].values for end in ("", "_low", "_high"))
    hatched = hatched_cells(all_days, "diurnal", least)
    two = [list(summary["satellite"].values).index(name) for name in ("Terra", "Aqua")]
    class_shares, valid_shares = (each[:, two] for each in columns.whole)
    region = columns.resampling.difference(class_shares, valid_shares, np.arange(len(columns.days)))
    figure, panels = map_figure(frame, len(classes) + 1)
    scale = Scale.differences(np.where(hatched[..., None], np.nan, fields))
    _draw_changes(
        panels, summary, (fields, low, high), (region.freq, region.low, region.high), hatched, scale
    )
    days = all_days["diurnal_days"].values
    both = Scale.counts(int(days.max()))
    draw_map(panels[-1], frame, days.astype(float), hatched, both)
    name_panel(panels[-1], "Days")
    colour_bar(figure, scale, _DIURNAL)
    own_bar(panels[-1], both, ("0", f"{days.max():,}"))
    return head(
        figure,
        "Diurnal difference: early afternoon less late morning",
        place_and_period(summary),
        f"{days_note(summary)} Only days on which both saw a cell.",
        _DOTS,
        f"{_NUMBERS} {hatching_note(least)}",
    )


def trends(summary: "xr.Dataset", columns: Columns) -> Figure:
    """Maps of the change of each pattern's frequency per decade, over all seasons."""
    frame, classes = map_frame(summary), classes_of(summary)
    all_days = summary.sel(season=ALL)
    fields, low, high = (all_days[f"trend{end}"].values for end in ("", "_low", "_high"))
    years = all_days["trend_years"].values
    hatched = (years < LEAST_YEARS) & (counted_shares(summary) > 0)
    block = parse_block(str(summary.attrs["bootstrap_trend_block"]))
    resampling = Resampling.of(columns.days, block, int(summary.attrs["bootstrap_seed"]))
    region = resampling.trend(*columns.whole, np.arange(len(columns.days)))
    figure, panels = map_figure(frame, len(classes) + 1)
    scale = Scale.differences(np.where(hatched[..., None], np.nan, fields))
    _draw_changes(
        panels, summary, (fields, low, high), (region.slope, region.low, region.high), hatched, scale
    )
    counts = Scale.counts(int(years.max()))
    draw_map(panels[-1], frame, years.astype(float), hatched, counts)
    name_panel(panels[-1], "Years")
    colour_bar(figure, scale, "change of frequency per decade")
    own_bar(panels[-1], counts, ("0", f"{years.max():,}"))
    drawn = "years" if block == "year" else f"blocks of {block} days"
    return head(
        figure,
        "Trend of each pattern's frequency",
        place_and_period(summary),
        days_note(summary),
        _DOTS,
        f"{_NUMBERS} Intervals resample {drawn}. Hatched: data in fewer than {LEAST_YEARS} years.",
    )


def _draw_changes(
    panels: Sequence[Axes],
    summary: "xr.Dataset",
    cells: Sequence[NDArray[Any]],
    region: Sequence[NDArray[Any]],
    hatched: NDArray[np.bool_],
    scale: Scale,
) -> None:
    """Map a change of each class, with a dot in cells whose interval leaves out 0.

    The change and the ends of its interval are given for cells, shape (columns, rows, classes), and for the
    whole region, shape (classes, 1).
    """
    fields, low, high = cells
    frame, (across, up) = map_frame(summary), centres(summary)
    for index, (name, colour) in enumerate(classes_of(summary).items()):
        axes = panels[index]
        draw_map(axes, frame, fields[..., index], hatched, scale)
        column, row = np.nonzero(~hatched & ((low[..., index] > 0) | (high[..., index] < 0)))
        axes.plot(across[column], up[row], ".", ms=1.2, color=INK, zorder=1.5)
        mean, lowest, highest = (100 * float(each[index, 0]) for each in region)
        numbers = f"{mean:+.1f} ({lowest:+.1f} to {highest:+.1f})"
        name_panel(axes, name, numbers.replace("-", "\N{MINUS SIGN}"), colour)
