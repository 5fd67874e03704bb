"""Compare two sets of daily frequencies: two atlases, an atlas and labels, or another group's."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nephoscope.atlas.cells import Cells
from nephoscope.atlas.climatology import Resampling, interval
from nephoscope.atlas.daily import Daily
from nephoscope.atlas.figure_parts import count_days, describe
from nephoscope.atlas.flags import UNCLASSIFIED
from nephoscope.atlas.maps import first_panels, head
from nephoscope.core.errors import AtlasError
from nephoscope.core.io import csv_text
from nephoscope.plotting.style import FAINT, INK, new_figure, quieten

MEASURES = ("bias", "correlation", "iou", "agreement")
"""Mean of the first less the second; Pearson's correlation; intersection over union of the areas, cell by
cell; share of the area where both have the class or neither has it."""

_SAME = 1e-6  # degrees


class Pairs(NamedTuple):
    """Cells of days that both sets have.

    Attributes:
        days: shape (days,), datetime64[D].
        classes: those that both sets have; `UNCLASSIFIED` only where their patterns are the same.
        first, second: frequencies, NaN where one has no data; shape (days, classes, cells).
        cells: the grid.
        names: of both sets.
        notes: what is not compared, and why, and what differs by itself.
    """

    days: NDArray[np.datetime64]
    classes: tuple[str, ...]
    first: NDArray[np.float64]
    second: NDArray[np.float64]
    cells: Cells
    names: tuple[str, str]
    notes: tuple[str, ...] = ()


def pair(first: Daily, second: Daily) -> Pairs:
    """Cells and days of two sets on one grid.

    Raises:
        AtlasError: they have no days, classes, or cells with data in common, or other grids.
    """
    for axis in ("longitudes", "latitudes"):
        one, other = getattr(first.cells, axis), getattr(second.cells, axis)
        if len(one) != len(other) or np.abs(one - other).max() > _SAME:
            raise AtlasError(f"{first.name} and {second.name}: on different cells; compare on one grid")
    days, own, others = np.intersect1d(first.days, second.days, return_indices=True)
    classes = tuple(name for name in first.classes if name in second.classes)
    notes = []
    for each, its_other in ((first, second), (second, first)):
        if alone := [name for name in each.classes if name not in {*its_other.classes, UNCLASSIFIED}]:
            notes.append(f"left out: {', '.join(alone)}: only {each.name} has them")
    if notes and UNCLASSIFIED in classes:
        classes = tuple(name for name in classes if name != UNCLASSIFIED)
        notes.append(f"left out: {UNCLASSIFIED}: it is what no pattern covers, and the patterns differ")
    if first.kind and second.kind and first.kind != second.kind:
        notes.append(
            f"{first.name} has {first.kind} areas, {second.name} {second.kind} ones, which differ as such"
        )
    if not len(days) or not classes:
        what = "day" if not len(days) else "pattern"
        raise AtlasError(f"{first.name} and {second.name} have no {what} in common")
    chosen = [
        each.freq[rows][:, [each.classes.index(name) for name in classes]].reshape(
            len(days), len(classes), -1
        )
        for each, rows in ((first, own), (second, others))
    ]
    unknown = np.isnan(chosen[0]) | np.isnan(chosen[1])
    if unknown.all():
        raise AtlasError(f"{first.name} and {second.name} have no cell with data on the same day")
    one, other = (np.where(unknown, np.nan, values) for values in chosen)
    return Pairs(days, classes, one, other, first.cells, (first.name, second.name), tuple(notes))


class Comparison(NamedTuple):
    """Measures of one class, each with the ends of its 95 % interval."""

    name: str
    cell_days: int
    values: dict[str, tuple[float, float, float]]


def compare(pairs: Pairs, block: int = 1, seed: int = 0) -> list[Comparison]:
    """Measure each class; days, or blocks of days, are resampled for the intervals."""
    resampling = Resampling.of(pairs.days, block, seed)
    results = []
    for index, name in enumerate(pairs.classes):
        first, second = pairs.first[:, index], pairs.second[:, index]
        known = ~np.isnan(first)
        weight = known * pairs.cells.areas.reshape(-1)
        x, y = np.nan_to_num(first), np.nan_to_num(second)
        terms = (
            np.ones_like(x),
            x,
            y,
            x * x,
            y * y,
            x * y,
            np.minimum(x, y),
            np.maximum(x, y),
            (x > 0) == (y > 0),
        )
        sums = np.stack([(weight * term).sum(axis=1) for term in terms])
        measured = _measures(resampling.weights @ sums.T)
        low, high = interval(measured[:, 1:])
        values = {
            measure: (float(measured[row, 0]), float(low[row]), float(high[row]))
            for row, measure in enumerate(MEASURES)
        }
        results.append(Comparison(name, int(known.sum()), values))
    return results


def draw(pairs: Pairs, comparisons: list[Comparison]) -> Figure:
    """Draw the frequencies of cells and days in both sets against each other; a panel a class."""
    columns = min(3, len(comparisons))
    rows = -(-len(comparisons) // columns)
    figure, panels = new_figure(rows, columns, 2.7 * rows + 1.2)
    one, other = (Path(name).name for name in pairs.names)
    panels = first_panels(panels, len(comparisons))
    for axes, each, first, second in zip(
        panels, comparisons, np.moveaxis(pairs.first, 1, 0), np.moveaxis(pairs.second, 1, 0), strict=True
    ):
        known = ~np.isnan(first)
        counts, *_ = np.histogram2d(second[known], first[known], bins=20, range=[[0, 1], [0, 1]])
        shown = np.where(counts > 0, np.log10(np.maximum(counts, 1)), np.nan)
        axes.imshow(shown.T, origin="lower", extent=(0, 1, 0, 1), cmap="Blues", vmin=-1)
        axes.plot([0, 1], [0, 1], color=FAINT, lw=1, ls=(0, (4, 3)))
        axes.set(aspect="equal", xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
        axes.set_title(each.name, loc="left", fontsize=10, color=INK)
        axes.set_xlabel(f"difference {_bias(each)}", fontsize=8)
        quieten(axes)
        axes.xaxis.label.set_color(FAINT)
    return head(
        figure,
        f"Daily frequencies in cells: {one} and {other}",
        describe(pairs.cells.extent, pairs.days),
        f"Upwards: frequency in {one}; to the right: in {other}. Darker: more cells and days, of "
        f"{count_days(len(pairs.days))} that both have.",
        f"Difference: {one} less {other}, in percentage points with the 95 % interval over days.",
    )


def _bias(each: Comparison) -> str:
    bias, low, high = (100 * value for value in each.values["bias"])
    words = f"{bias:+.1f}" + ("" if np.isnan(low) else f" ({low:+.1f} to {high:+.1f})")
    return words.replace("-", "\N{MINUS SIGN}")


def _measures(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """`MEASURES` of weighted sums, shape (resamples, terms); the result has shape (measures, resamples)."""
    whole, x, y, xx, yy, xy, both, either, same = np.where(sums[:, :1] > 0, sums, np.nan).T
    covariance, deviations = xy * whole - x * y, (xx * whole - x * x) * (yy * whole - y * y)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.stack([(x - y) / whole, covariance / np.sqrt(deviations), both / either, same / whole])


def to_csv(comparisons: list[Comparison]) -> str:
    """The comparisons as CSV, one row a class; empty where a measure is undefined."""
    columns = [f"{name}{end}" for name in MEASURES for end in ("", "_low", "_high")]
    rows = []
    for each in comparisons:
        numbers = [value for name in MEASURES for value in each.values[name]]
        rows.append([each.name, each.cell_days, *("" if np.isnan(v) else f"{v:.6g}" for v in numbers)])
    return csv_text(["class", "cell_days", *columns], rows)
