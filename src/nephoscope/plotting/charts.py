"""Figures of the reports: bars, histograms, tables in colour, maps. Each function gives a PNG, in bytes."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter, StrMethodFormatter
from numpy.typing import ArrayLike, NDArray

from nephoscope.core.patterns import DEFAULT_PATTERNS
from nephoscope.plotting.style import EDGE, FAINT, INK, LINE, WIDTH, new_figure, png, quieten

PATTERN_COLOURS: Mapping[str, str] = {pattern.name: pattern.hex_colour for pattern in DEFAULT_PATTERNS}
"""The patterns' own colours in matplotlib's notation, by name."""

_OTHERS = ("#7d8fa6", "#c9d2dc", "#0072b2", "#56b4e9")  # what is no pattern, in order; Okabe and Ito's blues
_LETTERS = 80  # of names that fit side by side below the axis


def bars(values: Mapping[str, float], axis: str, *, share: bool = False) -> bytes:
    """One bar for each name, its value written on it.

    Args:
        values: by name; a pattern's bar has its colour.
        axis: what the values are, with their unit.
        share: the values are shares from 0 to 1, shown as percentages.
    """
    figure, (axes,) = new_figure(1, 1, 3.2)
    places = axes.bar(
        list(values),
        list(values.values()),
        0.6,
        color=[PATTERN_COLOURS.get(name, _OTHERS[0]) for name in values],
        edgecolor=EDGE,
    )
    axes.bar_label(places, [_written(value, share) for value in values.values()], padding=3, color=INK)
    axes.margins(y=0.14)
    axes.set_ylabel(axis)
    _finish(axes, share)
    return png(figure)


def grouped_bars(
    groups: Sequence[str], series: Mapping[str, Sequence[float]], axis: str, *, share: bool = False
) -> bytes:
    """For each group, one bar of each series side by side; NaN leaves a bar out.

    Args:
        groups: names along the horizontal axis.
        series: one value a group, by name; a pattern's series has its colour.
        axis: what the values are, with their unit.
        share: the values are shares from 0 to 1, shown as percentages.
    """
    figure, (axes,) = new_figure(1, 1, 3.4)
    width = 0.8 / len(series)
    colours = _colours(series)
    numbered = len(groups) * len(series) <= 20  # more could not be read
    for index, (name, values) in enumerate(series.items()):
        places = np.arange(len(groups)) + (index - (len(series) - 1) / 2) * width
        drawn = axes.bar(
            places, values, width * 0.92, color=colours[name], edgecolor=EDGE, lw=0.6, label=name
        )
        if numbered:
            written = ["" if np.isnan(value) else _written(value, share) for value in values]
            axes.bar_label(drawn, written, padding=2, color=INK, fontsize=7.5)
    axes.set_xticks(np.arange(len(groups)), groups)
    longest = max((len(line) for group in groups for line in group.splitlines()), default=0)
    if longest * len(groups) > _LETTERS:
        axes.tick_params(axis="x", labelrotation=90)
    axes.margins(x=0.02, y=0.1)
    axes.set_ylabel(axis)
    _finish(axes, share)
    _legend_above(axes)
    return png(figure)


def histograms(
    values: Mapping[str, ArrayLike],
    edges: ArrayLike,
    axis: str,
    counted: str,
    *,
    log: bool = False,
    share: bool = False,
    line: float | None = None,
) -> bytes:
    """One histogram for each name, all on the same axes; above it how many numbers, and their median.

    Args:
        values: numbers by name; a pattern's histogram has its colour. What is not finite is not counted.
        edges: of the bins, rising; empty bins at both ends are not shown.
        axis: what the numbers are, with their unit.
        counted: what the bars count.
        log: the horizontal axis is logarithmic.
        share: the numbers are shares from 0 to 1, shown as percentages.
        line: where to draw a dashed line; at the median if left out.
    """
    bins = np.asarray(edges, np.float64)
    finite = {name: np.asarray(given, np.float64) for name, given in values.items()}
    finite = {name: numbers[np.isfinite(numbers)] for name, numbers in finite.items()}
    seen = np.flatnonzero(np.histogram(np.concatenate(list(finite.values())), bins)[0])
    colours = _colours(values)
    rows = -(-len(values) // 2)
    figure, panels = new_figure(rows, min(2, len(values)), 2.2 * rows + 0.6, sharex=True, sharey=True)
    for place, (axes, (name, numbers)) in enumerate(zip(panels, finite.items(), strict=False)):
        axes.hist(numbers, bins.tolist(), color=colours[name], edgecolor=EDGE, lw=0.5)
        title = f"{name}: {len(numbers):,}"
        mark = line
        if line is None and len(numbers):
            mark = float(np.median(numbers))
            title += f", median {_written(mark, share)}"
        if mark is not None:
            axes.axvline(mark, color=INK, lw=1.1, ls=(0, (4, 2)))
        axes.set_title(title, loc="left", fontsize=10, color=INK)
        if log:
            axes.set_xscale("log")
            axes.minorticks_off()
        if len(seen):
            axes.set_xlim(bins[seen[0]], bins[seen[-1] + 1])
        if place >= len(values) - 2:
            axes.set_xlabel(axis)
        if place % 2 == 0:
            axes.set_ylabel(counted)
        _finish(axes)
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        if share:
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}\N{NBSP}%"))
    for axes in panels[len(values) :]:
        axes.set_visible(False)
    return png(figure)


def heat_map(
    rows: Sequence[str],
    columns: Sequence[str],
    values: ArrayLike,
    row_axis: str,
    column_axis: str,
    *,
    share: bool = False,
) -> bytes:
    """A table in colour, the number in each cell; NaN stays empty.

    Args:
        rows: their names, from the top.
        columns: their names.
        values: shape (rows, columns).
        row_axis: what the rows are.
        column_axis: what the columns are.
        share: the values are shares from 0 to 1, shown as percentages.
    """
    cells = np.asarray(values, np.float64)
    figure, (axes,) = new_figure(1, 1, 0.5 * len(rows) + 1.4, width=1.1 * len(columns) + 2.6)
    top = 1.0 if share else max(float(np.nanmax(cells, initial=0)), 1e-9)
    axes.imshow(cells, cmap="Blues", vmin=0, vmax=top * 1.15, aspect="auto")
    for (row, column), value in np.ndenumerate(cells):
        if np.isfinite(value):
            ink = "white" if value > 0.8 * top else INK
            axes.text(column, row, _written(value, share), ha="center", va="center", color=ink)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xlabel(column_axis)
    axes.set_ylabel(row_axis)
    axes.tick_params(length=0, colors=INK)
    axes.set_xticks(np.arange(1, len(columns)) - 0.5, minor=True)
    axes.set_yticks(np.arange(1, len(rows)) - 0.5, minor=True)
    axes.grid(which="minor", color="white", lw=2)
    axes.tick_params(which="minor", length=0)
    axes.spines[:].set_visible(False)
    return png(figure)


def maps(fields: Mapping[str, NDArray[np.floating[Any]]], axis: str, *, share: bool = False) -> bytes:
    """Fields over the scene, its top at the top, one map for each name, all on one colour scale.

    Args:
        fields: by name, all of one shape (height, width).
        axis: what the colour says, with its unit.
        share: the values are shares from 0 to 1, shown as percentages.
    """
    rows = -(-len(fields) // 2)
    height, width = next(iter(fields.values())).shape
    tall = rows * (WIDTH / 2.3 * height / width + 0.3)
    figure, panels = new_figure(rows, min(2, len(fields)), tall)
    top = max(float(field.max()) for field in fields.values()) or 1.0
    for axes, (name, field) in zip(panels, fields.items(), strict=False):
        image = axes.imshow(field, cmap="viridis", vmin=0, vmax=top, interpolation="nearest")
        axes.set_title(name, loc="left", fontsize=10, color=INK)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
    for axes in panels[len(fields) :]:
        axes.set_visible(False)
    bar = figure.colorbar(image, ax=panels, shrink=0.8, aspect=30, pad=0.02)
    bar.set_label(axis, color=INK)
    bar.outline.set_visible(False)
    if share:
        bar.formatter = PercentFormatter(1, decimals=0, symbol="\N{NBSP}%")
    return png(figure)


def _colours(names: Iterable[str]) -> dict[str, str]:
    """A colour for each series: a pattern's own, else the next of those that are no pattern's."""
    others = cycle(_OTHERS)
    return {name: PATTERN_COLOURS.get(name) or next(others) for name in names}


def _written(value: float, share: bool) -> str:
    """A number as it stands in a figure: three digits are enough to compare."""
    if share:
        return f"{100 * value:.{0 if value >= 0.0995 or value == 0 else 1}f}\N{NBSP}%"
    if abs(value) >= 100 or value == round(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def _finish(axes: Axes, share: bool = False) -> None:
    """No frame, faint lines behind the data, readable letters."""
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
    axes.grid(axis="y", color=LINE, lw=0.8)
    quieten(axes)
    percent = PercentFormatter(1, decimals=0, symbol="\N{NBSP}%")
    axes.yaxis.set_major_formatter(percent if share else StrMethodFormatter("{x:,g}"))


def _legend_above(axes: Axes) -> None:
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=6, frameon=False, labelcolor=INK, handlelength=1
    )
