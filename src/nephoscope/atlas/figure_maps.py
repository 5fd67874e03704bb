"""Maps of a summary: frequencies over all days, by season, and between two satellites."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from nephoscope.atlas.climatology import ALL, seasons
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
)
from nephoscope.atlas.maps import Scale, colour_bar, draw_map, head, map_figure, name_panel, own_bar, percent
from nephoscope.atlas.summary_file import Columns
from nephoscope.plotting.style import INK

if TYPE_CHECKING:
    import xarray as xr

_SHARE = "share of the area with data in which the pattern was found"
_NONE = "share of the area with data in which no pattern was found"
_DIURNAL = "difference of frequency: Aqua (about 13:30 local time) less Terra (about 10:30)"


def frequency(summary: "xr.Dataset") -> Figure:
    """Maps of each pattern's frequency over all days, and of coverage."""
    frame, classes, least = map_frame(summary), classes_of(summary), least_days(summary)
    all_days = summary.sel(season=ALL)
    fields, hatched = all_days["seasonal_freq"].values, hatched_cells(all_days, "seasonal", least)
    figure, panels = map_figure(frame, len(classes) + 1)
    scales = class_scales(fields, hatched)
    for index, (name, colour) in enumerate(classes.items()):
        draw_map(panels[index], frame, fields[..., index], hatched, scales[index])
        name_panel(panels[index], name, colour=colour)
    coverage = Scale.shares()
    draw_map(panels[-1], frame, all_days["seasonal_coverage"].values, hatched, coverage)
    name_panel(panels[-1], "Coverage")
    colour_bar(figure, scales[0], _SHARE)
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
    colour_bar(figure, scale, _NONE if pattern == list(classes_of(summary))[-1] else _SHARE)
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
    across, up = centres(summary)
    for index, (name, colour) in enumerate(classes.items()):
        draw_map(panels[index], frame, fields[..., index], hatched, scale)
        column, row = np.nonzero(~hatched & ((low[..., index] > 0) | (high[..., index] < 0)))
        panels[index].plot(across[column], up[row], ".", ms=1.2, color=INK, zorder=1.5)
        mean, lowest, highest = (100 * getattr(region, end)[index, 0] for end in ("freq", "low", "high"))
        numbers = f"{mean:+.1f} ({lowest:+.1f} to {highest:+.1f})"
        name_panel(panels[index], name, numbers.replace("-", "\N{MINUS SIGN}"), colour)
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
        "Dots: the cell's own 95 % interval leaves out 0, which one in twenty does by chance.",
        f"Numbers: the region's mean and 95 % interval, in percentage points. {hatching_note(least)}",
    )
