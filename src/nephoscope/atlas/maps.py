"""Fields on a map: cells in colour, land in grey, hatching where there is little data."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PolyCollection
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter
from matplotlib.transforms import ScaledTranslation
from numpy.typing import NDArray

from nephoscope.atlas.coastline import land
from nephoscope.core.patterns import DEFAULT_PATTERNS
from nephoscope.plotting.style import EDGE, FAINT, INK, LINE, WIDTH

COLOURS = {pattern.name: tuple(part / 255 for part in pattern.colour) for pattern in DEFAULT_PATTERNS}
"""Of the patterns, red, green and blue from 0 to 1."""

PERCENT = PercentFormatter(1, decimals=0, symbol="\N{NBSP}%")

_LAND = "#d5d9de"
_NOTHING = "#f1f3f5"
_WIDE = 3.5  # times as wide as tall: such maps lie below each other
_SPREAD = 1.2  # times as wide as tall: of these two are beside each other, of narrower ones three


@dataclass(frozen=True, eq=False)
class MapGrid:
    """Where the cells of maps lie.

    Attributes:
        longitudes: edges in degrees, ascending, may exceed 180.
        latitudes: edges in degrees, ascending.
    """

    longitudes: NDArray[np.float64]
    latitudes: NDArray[np.float64]

    @property
    def ratio(self) -> float:
        """Width over height."""
        return float(np.ptp(self.longitudes) / np.ptp(self.latitudes))

    def layout(self, count: int) -> tuple[int, int, float]:
        """Rows, columns and height in inches of a figure of so many maps."""
        columns = min(count, 1 if self.ratio > _WIDE else 2 if self.ratio > _SPREAD else 3)
        rows = -(-count // columns)
        return rows, columns, rows * (WIDTH * 0.84 / columns / self.ratio + 0.5) + 0.75


def draw_map(
    axes: Axes,
    grid: MapGrid,
    field: NDArray[np.floating[Any]],
    little: NDArray[np.bool_],
    colours: Colormap,
    scale: Normalize,
) -> None:
    """Draw one field; cells without a value stay pale.

    Args:
        axes: where.
        grid: of the field.
        field: shape (columns, rows), as summaries have them.
        little: cells to hatch, the same shape.
        colours: of the values.
        scale: of the colours.
    """
    axes.set_facecolor(_NOTHING)
    axes.pcolormesh(grid.longitudes, grid.latitudes, field.T, cmap=colours, norm=scale, rasterized=True)
    if little.any():
        axes.add_collection(
            PolyCollection(
                _corners(grid, little), facecolor="none", edgecolor=FAINT, hatch="////", linewidth=0
            )
        )
    across, up = ((float(edges[0]), float(edges[-1])) for edges in (grid.longitudes, grid.latitudes))
    rings = land(across, up)
    axes.add_collection(PolyCollection(rings, facecolor=_LAND, edgecolor=EDGE, linewidth=0.5, zorder=2))
    axes.set_xlim(*across)
    axes.set_ylim(*up)
    axes.set_aspect("equal")
    label_longitudes(axes)
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 3, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _degrees(value, "NS")))
    axes.tick_params(length=2, color=FAINT, labelcolor=INK, labelsize=8)
    axes.spines[:].set(color=FAINT, linewidth=0.6)


def label_longitudes(axes: Axes) -> None:
    """Name longitudes east and west, also past the antimeridian."""
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 6, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _degrees((value + 180) % 360 - 180, "EW")))


def name_panel(axes: Axes, name: str, note: str = "") -> None:
    """A panel's name, a pattern's with its colour beside it, and a word on the right."""
    known = name in COLOURS
    axes.set_title(f"     {name}" if known else name, loc="left", y=1.0, fontsize=10, color=INK)
    if known:
        where = axes.transAxes + ScaledTranslation(5 / 72, 10 / 72, axes.figure.dpi_scale_trans)
        square: dict[str, Any] = {"ms": 8, "mfc": COLOURS[name], "mec": EDGE, "mew": 0.6}
        axes.plot([0], [1], "s", clip_on=False, transform=where, **square)
    if note:
        axes.set_title(note, loc="right", y=1.0, fontsize=8, color=FAINT)


def colour_bar(figure: Figure, panels: list[Axes], colours: Colormap, scale: Normalize, label: str) -> None:
    """A bar below some panels that says what their colours mean."""
    bar = figure.colorbar(
        ScalarMappable(scale, colours), ax=panels, location="bottom", shrink=0.6, aspect=40, pad=0.02
    )
    bar.set_label(label, color=INK, fontsize=9)
    bar.ax.xaxis.set_major_formatter(PERCENT)
    bar.ax.tick_params(length=2, color=FAINT, labelcolor=INK, labelsize=8)
    bar.outline.set(color=LINE)


def small_bar(axes: Axes, colours: Colormap, ends: tuple[str, str]) -> None:
    """A bar above one panel, on the right, with words for its ends."""
    bar = axes.inset_axes((0.6, 1.04, 0.22, 0.05))
    bar.imshow(np.linspace(0, 1, 64)[None], cmap=colours, aspect="auto", extent=(0, 1, 0, 1))
    bar.set(xticks=[], yticks=[])
    bar.spines[:].set(color=FAINT, linewidth=0.6)
    for place, side, word in ((-0.06, "right", ends[0]), (1.06, "left", ends[1])):
        bar.text(place, 0.4, word, ha=side, va="center", fontsize=8, color=FAINT)


def head(figure: Figure, title: str, lines: list[str]) -> None:
    """A title, and below it what one must know to read the figure."""
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, color=INK, fontweight="bold")
    figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=8, color=FAINT)


def percent(share: float, decimals: int = 0) -> str:
    """A share from 0 to 1 as it stands in a figure's words."""
    return f"{100 * share:.{decimals}f}\N{NBSP}%"


def _corners(grid: MapGrid, chosen: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    """Corners of chosen cells, each of shape (4, 2)."""
    columns, rows = np.nonzero(chosen)
    around = [(0, 0), (1, 0), (1, 1), (0, 1)]
    corners = [(grid.longitudes[columns + right], grid.latitudes[rows + up]) for right, up in around]
    return list(np.moveaxis(np.array(corners), -1, 0))


def _degrees(value: float, letters: str) -> str:
    if value in (0, -180, 180):
        return f"{abs(value):g}°"
    return f"{abs(value):g}°{letters[0 if value > 0 else 1]}"
