"""Draw fields on maps: cells in colour, land in grey, hatching where there is little data."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PolyCollection
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from matplotlib.transforms import ScaledTranslation
from numpy.typing import NDArray

from nephoscope.atlas.cells import Cells
from nephoscope.atlas.land import land
from nephoscope.plotting.style import EDGE, FAINT, INK, LINE, WIDTH, new_figure, show_degrees

PERCENT = PercentFormatter(1, decimals=0, symbol="\N{NBSP}%")

_LAND = "#d5d9de"
_EMPTY = "#f1f3f5"
_ONE_COLUMN = 3.5  # from this ratio of width to height on, maps lie below each other
_TWO_COLUMNS = 1.2  # of narrower maps three are beside each other


def new_map_figure(cells: Cells, count: int) -> tuple[Figure, list[Axes]]:
    """A figure of so many maps, and its panels."""
    ratio = float(np.ptp(cells.longitudes) / np.ptp(cells.latitudes))
    columns = min(count, 1 if ratio > _ONE_COLUMN else 2 if ratio > _TWO_COLUMNS else 3)
    rows = -(-count // columns)
    figure, panels = new_figure(rows, columns, rows * (WIDTH * 0.84 / columns / ratio + 0.5) + 0.75)
    return figure, first_panels(panels, count)


def first_panels(panels: list[Axes], count: int) -> list[Axes]:
    """So many panels of a figure; the others are hidden."""
    for axes in panels[count:]:
        axes.set_visible(False)
    return panels[:count]


def draw_map(
    axes: Axes,
    cells: Cells,
    field: NDArray[np.floating[Any]],
    hatched: NDArray[np.bool_],
    colours: Colormap,
    scale: Normalize,
) -> None:
    """Draw one field; cells without a value stay pale.

    `field` and `hatched` have the shape (columns, rows), as in summaries.
    """
    axes.set_facecolor(_EMPTY)
    axes.pcolormesh(cells.longitudes, cells.latitudes, field.T, cmap=colours, norm=scale, rasterized=True)
    if hatched.any():
        hatching: dict[str, Any] = {"facecolor": "none", "edgecolor": FAINT, "hatch": "////", "linewidth": 0}
        axes.add_collection(PolyCollection(_corners(cells, hatched), **hatching))
    across, up = ((float(edges[0]), float(edges[-1])) for edges in (cells.longitudes, cells.latitudes))
    rings = land(across, up)
    axes.add_collection(PolyCollection(rings, facecolor=_LAND, edgecolor=EDGE, linewidth=0.5, zorder=2))
    axes.set_xlim(*across)
    axes.set_ylim(*up)
    axes.set_aspect("equal")
    frame_map(axes)
    show_degrees(axes.yaxis, "NS")


def frame_map(axes: Axes) -> None:
    """Draw a thin frame, and label longitudes as east and west, also past the antimeridian."""
    axes.tick_params(length=2, color=FAINT, labelcolor=INK, labelsize=8)
    axes.spines[:].set(color=FAINT, linewidth=0.6)
    show_degrees(axes.xaxis, "EW")


def name_panel(axes: Axes, name: str, note: str = "", colour: str | None = None) -> None:
    """Title a panel on the left, with a square of a pattern's colour, and put a note on the right."""
    axes.set_title(f"     {name}" if colour else name, loc="left", y=1.0, fontsize=10, color=INK)
    if colour:
        corner = axes.transAxes + ScaledTranslation(5 / 72, 10 / 72, axes.figure.dpi_scale_trans)
        square: dict[str, Any] = {"ms": 8, "mfc": colour, "mec": EDGE, "mew": 0.6}
        axes.plot([0], [1], "s", clip_on=False, transform=corner, **square)
    if note:
        axes.set_title(note, loc="right", y=1.0, fontsize=8, color=FAINT)


def colour_bar(figure: Figure, colours: Colormap, scale: Normalize, label: str) -> None:
    """Draw a colour bar below all panels."""
    shape: dict[str, Any] = {"location": "bottom", "shrink": 0.6, "aspect": 40, "pad": 0.02}
    bar = figure.colorbar(ScalarMappable(scale, colours), ax=figure.axes, **shape)
    bar.set_label(label, color=INK, fontsize=9)
    bar.ax.xaxis.set_major_formatter(PERCENT)
    bar.ax.tick_params(length=2, color=FAINT, labelcolor=INK, labelsize=8)
    bar.outline.set(color=LINE)


def small_bar(axes: Axes, colours: Colormap, ends: tuple[str, str]) -> None:
    """Draw a small colour bar above one panel, on the right, with labels at its ends."""
    bar = axes.inset_axes((0.6, 1.04, 0.22, 0.05))
    bar.imshow(np.linspace(0, 1, 64)[None], cmap=colours, aspect="auto", extent=(0, 1, 0, 1))
    bar.set(xticks=[], yticks=[])
    bar.spines[:].set(color=FAINT, linewidth=0.6)
    for position, side, label in ((-0.06, "right", ends[0]), (1.06, "left", ends[1])):
        bar.text(position, 0.4, label, ha=side, va="center", fontsize=8, color=FAINT)


def head(figure: Figure, title: str, *lines: str) -> Figure:
    """Write a figure's title, and below the panels the lines that explain it; returns the figure."""
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, color=INK, fontweight="bold")
    figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=8, color=FAINT)
    return figure


def percent(share: float, decimals: int = 0) -> str:
    """A share from 0 to 1 as text in per cent."""
    return f"{100 * share:.{decimals}f}\N{NBSP}%"


def _corners(cells: Cells, chosen: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    """Corners of cells, each of shape (4, 2)."""
    columns, rows = np.nonzero(chosen)
    around = [(0, 0), (1, 0), (1, 1), (0, 1)]
    corners = [(cells.longitudes[columns + right], cells.latitudes[rows + up]) for right, up in around]
    return list(np.moveaxis(np.array(corners), -1, 0))
