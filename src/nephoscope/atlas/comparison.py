"""Compare two sets of daily frequencies: two atlases, an atlas and labels, or another group's."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nephoscope.atlas.climatology import Resampling, interval
from nephoscope.atlas.daily import Daily
from nephoscope.atlas.flags import UNCLASSIFIED
from nephoscope.core.errors import AtlasError
from nephoscope.core.io import csv_text
from nephoscope.plotting.style import FAINT, INK, new_figure, png, quieten

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
        areas: of the cells, shape (cells,).
        left_out: what is not compared, and why, in words.
    """

    days: NDArray[np.datetime64]
    classes: tuple[str, ...]
    first: NDArray[np.float64]
    second: NDArray[np.float64]
    areas: NDArray[np.float64]
    left_out: tuple[str, ...] = ()


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
    left_out = []
    for each, its_other in ((first, second), (second, first)):
        if alone := [name for name in each.classes if name not in {*its_other.classes, UNCLASSIFIED}]:
            left_out.append(f"{', '.join(alone)}: only {each.name} has them")
    if left_out and UNCLASSIFIED in classes:
        classes = tuple(name for name in classes if name != UNCLASSIFIED)
        left_out.append(f"{UNCLASSIFIED}: it is what no pattern covers, and the patterns differ")
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
    return Pairs(days, classes, one, other, first.cells.areas.reshape(-1), tuple(left_out))


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
        weight = known * pairs.areas
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


def draw(pairs: Pairs, comparisons: list[Comparison], names: tuple[str, str]) -> bytes:
    """Draw the frequencies of cells and days in both sets against each other, as PNG; a panel a class."""
    columns = min(3, len(comparisons))
    rows = -(-len(comparisons) // columns)
    figure, panels = new_figure(rows, columns, 2.6 * rows + 0.7)
    for axes, each, first, second in zip(
        panels, comparisons, np.moveaxis(pairs.first, 1, 0), np.moveaxis(pairs.second, 1, 0), strict=False
    ):
        known = ~np.isnan(first)
        counts, *_ = np.histogram2d(second[known], first[known], bins=20, range=[[0, 1], [0, 1]])
        shown = np.where(counts > 0, np.log10(np.maximum(counts, 1)), np.nan)
        axes.imshow(shown.T, origin="lower", extent=(0, 1, 0, 1), cmap="Blues", vmin=-1)
        axes.plot([0, 1], [0, 1], color=FAINT, lw=1, ls=(0, (4, 3)))
        bias, low, high = each.values["bias"]
        axes.set_title(each.name, loc="left", fontsize=10, color=INK)
        note = f"{100 * bias:+.1f}" + ("" if np.isnan(low) else f" ({100 * low:+.1f} to {100 * high:+.1f})")
        note = note.replace("-", "\N{MINUS SIGN}")
        axes.set_title(note, loc="right", fontsize=8, color=FAINT)
        axes.set(xlabel="", ylabel="", aspect="equal", xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
        quieten(axes)
    for axes in panels[len(comparisons) :]:
        axes.set_visible(False)
    figure.supylabel(f"frequency, {Path(names[0]).name}", fontsize=9, color=INK)
    figure.supxlabel(
        f"frequency, {Path(names[1]).name}\ndarker: more cells and days; on the right: mean difference in "
        "percentage points with its 95 % interval",
        fontsize=9,
        color=INK,
    )
    return png(figure)


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
