"""Charts of the reports: bars, histograms, heat maps, maps. Each function returns the content of a PNG file.

Series are named by strings or by patterns; a pattern's series has its colour. With `share`, values are shares
from 0 to 1 and are shown as percentages. An `axis` is its label with the unit.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from typing import Any, TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter, StrMethodFormatter
from numpy.typing import ArrayLike, NDArray

from nephoscope.core.patterns import Pattern
from nephoscope.plotting.style import EDGE, FAINT, INK, LINE, WIDTH, new_figure, png, quieten

_OTHERS = ("#7d8fa6", "#c9d2dc", "#0072b2", "#56b4e9")  # of other series; Okabe and Ito's blues
_LETTERS = 80  # of names that fit side by side below the axis

Name = TypeVar("Name", str, Pattern)


def bars(values: Mapping[Name, float], axis: str, *, share: bool = False) -> bytes:
    """Draw one bar for each name, labelled with its value."""
    figure, (axes,) = new_figure(1, 1, 3.2)
    colours = [_own_colour(name) or _OTHERS[0] for name in values]
    drawn = axes.bar(list(map(str, values)), list(values.values()), 0.6, color=colours, edgecolor=EDGE)
    axes.bar_label(drawn, [_written(value, share) for value in values.values()], padding=3, color=INK)
    axes.margins(y=0.14)
    axes.set_ylabel(axis)
    _finish(axes, share)
    return png(figure)


def grouped_bars(
    groups: Sequence[object], series: Mapping[Name, Sequence[float]], axis: str, *, share: bool = False
) -> bytes:
    """Draw the bars of several series side by side, in groups along the axis; NaN leaves a bar out."""
    figure, (axes,) = new_figure(1, 1, 3.4)
    names = [str(group) for group in groups]
    width = 0.8 / len(series)
    colours = _colours(series)
    numbered = len(groups) * len(series) <= 20  # more numbers would not be legible
    for index, (name, values) in enumerate(series.items()):
        positions = np.arange(len(groups)) + (index - (len(series) - 1) / 2) * width
        style: dict[str, Any] = {"color": colours[name], "edgecolor": EDGE, "lw": 0.6, "label": str(name)}
        drawn = axes.bar(positions, values, width * 0.92, **style)
        if numbered:
            written = ["" if np.isnan(value) else _written(value, share) for value in values]
            axes.bar_label(drawn, written, padding=2, color=INK, fontsize=7.5)
    axes.set_xticks(np.arange(len(groups)), names)
    longest = max((len(line) for name in names for line in name.splitlines()), default=0)
    if longest * len(groups) > _LETTERS:
        axes.tick_params(axis="x", labelrotation=90)
    axes.margins(x=0.02, y=0.1)
    axes.set_ylabel(axis)
    _finish(axes, share)
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=6, frameon=False, labelcolor=INK, handlelength=1
    )
    return png(figure)


def histograms(
    values: Mapping[Name, ArrayLike],
    edges: ArrayLike,
    axis: str,
    counted: str,
    *,
    log: bool = False,
    share: bool = False,
    line: float | None = None,
) -> bytes:
    """Draw one histogram for each name, all with the same axes, titled with the count and the median.

    Args:
        values: numbers by name; those that are not finite are not counted.
        edges: of the bins, rising; empty bins at both ends are not shown.
        axis: label of the numbers.
        counted: label of the bars.
        log: the horizontal axis is logarithmic.
        share: see above.
        line: position of the dashed line. Default: the median.
    """
    bins = np.asarray(edges, np.float64)
    finite = {name: np.asarray(given, np.float64) for name, given in values.items()}
    finite = {name: numbers[np.isfinite(numbers)] for name, numbers in finite.items()}
    filled = np.flatnonzero(np.histogram(np.concatenate(list(finite.values())), bins)[0])
    colours = _colours(values)
    rows = -(-len(values) // 2)
    figure, panels = new_figure(rows, min(2, len(values)), 2.2 * rows + 0.6, sharex=True, sharey=True)
    for index, (axes, (name, numbers)) in enumerate(zip(panels, finite.items(), strict=False)):
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
        if len(filled):
            axes.set_xlim(bins[filled[0]], bins[filled[-1] + 1])
        if index >= len(values) - 2:
            axes.set_xlabel(axis)
        if index % 2 == 0:
            axes.set_ylabel(counted)
        _finish(axes)
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        if share:
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}\N{NBSP}%"))
    for axes in panels[len(values) :]:
        axes.set_visible(False)
    return png(figure)


def heat_map(
    rows: Sequence[object],
    columns: Sequence[object],
    values: ArrayLike,
    row_axis: str,
    column_axis: str,
    *,
    share: bool = False,
) -> bytes:
    """Draw a table of shape (rows, columns) in colour, the number in each cell; NaN stays empty."""
    cells = np.asarray(values, np.float64)
    figure, (axes,) = new_figure(1, 1, 0.5 * len(rows) + 1.4, width=1.1 * len(columns) + 2.6)
    top = 1.0 if share else max(float(np.nanmax(cells, initial=0)), 1e-9)
    axes.imshow(cells, cmap="Blues", vmin=0, vmax=top * 1.15, aspect="auto")
    for (row, column), value in np.ndenumerate(cells):
        if np.isfinite(value):
            ink = "white" if value > 0.8 * top else INK
            axes.text(column, row, _written(value, share), ha="center", va="center", color=ink)
    axes.set_xticks(range(len(columns)), list(map(str, columns)))
    axes.set_yticks(range(len(rows)), list(map(str, rows)))
    axes.set_xlabel(column_axis)
    axes.set_ylabel(row_axis)
    axes.tick_params(length=0, colors=INK)
    axes.set_xticks(np.arange(1, len(columns)) - 0.5, minor=True)
    axes.set_yticks(np.arange(1, len(rows)) - 0.5, minor=True)
    axes.grid(which="minor", color="white", lw=2)
    axes.tick_params(which="minor", length=0)
    axes.spines[:].set_visible(False)
    return png(figure)


def maps(fields: Mapping[Name, NDArray[np.floating[Any]]], axis: str, *, share: bool = False) -> bytes:
    """Draw fields of one shape (height, width) over the scene, one map for each name, on one colour scale."""
    rows = -(-len(fields) // 2)
    height, width = next(iter(fields.values())).shape
    tall = rows * (WIDTH / 2.3 * height / width + 0.3)
    figure, panels = new_figure(rows, min(2, len(fields)), tall)
    top = max(float(field.max()) for field in fields.values()) or 1.0
    for axes, (name, field) in zip(panels, fields.items(), strict=False):
        image = axes.imshow(field, cmap="viridis", vmin=0, vmax=top, interpolation="nearest")
        axes.set_title(str(name), loc="left", fontsize=10, color=INK)
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


def _own_colour(name: str | Pattern) -> str | None:
    return name.hex_colour if isinstance(name, Pattern) else None


def _colours(names: Iterable[Name]) -> dict[Name, str]:
    """A colour for each series: the pattern's, else the next of the others."""
    others = cycle(_OTHERS)
    return {name: _own_colour(name) or next(others) for name in names}


def _written(value: float, share: bool) -> str:
    """Format a number with three digits, enough to compare."""
    if share:
        return f"{100 * value:.{0 if value >= 0.0995 or value == 0 else 1}f}\N{NBSP}%"
    if abs(value) >= 100 or value == round(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def _finish(axes: Axes, share: bool = False) -> None:
    """Remove the frame, draw faint lines behind the data, set legible letters."""
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
    axes.grid(axis="y", color=LINE, lw=0.8)
    quieten(axes)
    percent = PercentFormatter(1, decimals=0, symbol="\N{NBSP}%")
    axes.yaxis.set_major_formatter(percent if share else StrMethodFormatter("{x:,g}"))
