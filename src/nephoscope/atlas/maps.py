"""Draw fields on maps: cells in colour, land in grey, hatching where there is little data."""

from dataclasses import dataclass
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PolyCollection
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import ScaledTranslation
from numpy.typing import NDArray

from nephoscope.atlas.cells import Cells
from nephoscope.atlas.land import land
from nephoscope.plotting.style import EDGE, FAINT, INK, LINE, WIDTH, new_figure, show_degrees

PERCENT = FuncFormatter(lambda share, _: f"{round(100 * share, 6):g}\N{NBSP}%".replace("-", "\N{MINUS SIGN}"))

Edges = NDArray[np.floating[Any]]

_LETTERS = 132  # in a line below the panels

FREQUENCY, DIFFERENCE = colormaps["YlGnBu"], colormaps["PuOr_r"]
COVERAGE = LinearSegmentedColormap.from_list("coverage", ["white", "#5b4a8a"])  # unlike grey land

_LAND = "#d5d9de"
_EMPTY = "#f1f3f5"
_HIGHEST = 0.995  # share of the values that a scale shows; the few above have its last colour
_ROUNDED = 1e-6
_NEARLY_ALL = 0.9  # a scale that would end above this ends at 1
_MIN_TOP = 0.01  # of a scale where hardly anything was found
_PAGE, _TALLEST = 10.8, 3.2  # inches: most of a figure, and of a map in it
_STRIPS = 7.0  # inches: of a figure of maps so narrow that all are beside each other
_FILLED = 0.84  # share of a figure's width that its maps fill
_BETWEEN, _AROUND = 0.55, 1.5  # inches: between rows of maps; of title, colour bar and notes together
_ROOM_FOR_DEGREES = 0.8  # inches: width of a map above which it has labels of longitudes
_ROOM_FOR_NOTE, _ROOM_FOR_BAR = 2.6, 1.6  # inches: width of a map above which these fit beside its name


@dataclass(frozen=True, eq=False)
class Scale:
    """A colour scale that fits some values.

    Attributes:
        extend: at which ends values lie outside, as Matplotlib's colour bars name them.
    """

    colours: Colormap
    norm: Normalize
    extend: str = "neither"

    @classmethod
    def frequencies(cls, values: NDArray[Any]) -> "Scale":
        """From 0 to nearly the highest value; NaN is left out."""
        known = values[np.isfinite(values)]
        top = max(_MIN_TOP, float(np.quantile(known, _HIGHEST))) if known.size else _MIN_TOP
        top = 1.0 if top > _NEARLY_ALL else top
        return cls(FREQUENCY, Normalize(0, top), "max" if (known > top + _ROUNDED).any() else "neither")

    @classmethod
    def differences(cls, values: NDArray[Any]) -> "Scale":
        """As far below 0 as above it, to nearly the largest difference."""
        known = np.abs(values[np.isfinite(values)])
        top = max(_MIN_TOP, float(np.quantile(known, _HIGHEST))) if known.size else _MIN_TOP
        return cls(DIFFERENCE, Normalize(-top, top), "both" if (known > top + _ROUNDED).any() else "neither")

    @classmethod
    def shares(cls) -> "Scale":
        """Of coverage, from 0 to 1."""
        return cls(COVERAGE, Normalize(0, 1))

    @classmethod
    def counts(cls, most: int) -> "Scale":
        """Of days, from 0."""
        return cls(COVERAGE, Normalize(0, max(1, most)))


@dataclass(frozen=True, eq=False)
class Frame:
    """What maps show.

    Attributes:
        cells: of the fields.
        longitudes: west and east end in degrees; east is more than west and may exceed 180.
        latitudes: south and north end in degrees.
    """

    cells: Cells
    longitudes: tuple[float, float]
    latitudes: tuple[float, float]


def map_figure(frame: Frame, count: int) -> tuple[Figure, list[Axes]]:
    """A figure of so many maps, and its panels: as few beside each other as fit a page."""
    ratio = (frame.longitudes[1] - frame.longitudes[0]) / (frame.latitudes[1] - frame.latitudes[0])
    for columns in range(1, count + 1):
        height = WIDTH * _FILLED / columns / ratio
        rows = -(-count // columns)
        total = rows * (height + _BETWEEN) + _AROUND
        if height <= _TALLEST and total <= _PAGE:
            break
    else:
        total = _STRIPS
    figure, panels = new_figure(rows, columns, total)
    return figure, first_panels(panels, count)


def first_panels(panels: list[Axes], count: int) -> list[Axes]:
    """So many panels of a figure; the others are hidden."""
    for axes in panels[count:]:
        axes.set_visible(False)
    return panels[:count]


def draw_map(
    axes: Axes,
    frame: Frame,
    field: NDArray[np.floating[Any]],
    hatched: NDArray[np.bool_],
    scale: Scale,
) -> None:
    """Draw one field; cells without a value stay pale.

    `field` and `hatched` have the shape (columns, rows), as in summaries.
    """
    axes.set_facecolor(_EMPTY)
    cells = frame.cells
    draw_cells(axes, cells.longitudes, cells.latitudes, field.T, scale)
    if hatched.any():
        hatching: dict[str, Any] = {"facecolor": "none", "edgecolor": FAINT, "hatch": "////", "linewidth": 0}
        axes.add_collection(PolyCollection(_corners(cells, hatched), **hatching))
    rings = land(frame.longitudes, frame.latitudes)
    axes.add_collection(PolyCollection(rings, facecolor=_LAND, edgecolor=EDGE, linewidth=0.5, zorder=2))
    axes.set_xlim(*frame.longitudes)
    axes.set_ylim(*frame.latitudes)
    axes.set_aspect("equal", anchor="W")
    frame_map(axes)
    show_degrees(axes.yaxis, "NS", max(1, min(4, int(_size(axes)[1] / 0.3))))


def draw_cells(axes: Axes, across: Edges, up: Edges, field: NDArray[Any], scale: Scale) -> None:
    """Colour cells between edges; the field has the shape (up, across), NaN for no colour."""
    axes.pcolormesh(across, up, field, cmap=scale.colours, norm=scale.norm, rasterized=True)


def frame_map(axes: Axes) -> None:
    """Draw a thin frame, and label longitudes as east and west, also past the antimeridian."""
    axes.tick_params(length=2, color=FAINT, labelcolor=INK, labelsize=8)
    axes.spines[:].set(color=FAINT, linewidth=0.6)
    width, _ = _size(axes)
    if width < _ROOM_FOR_DEGREES:  # the title has them
        axes.set_xticks([])
    else:
        show_degrees(axes.xaxis, "EW", min(6, int(width / 0.5)))


def name_panel(axes: Axes, name: str, note: str = "", colour: str | None = None) -> None:
    """Title a panel on the left, with a square of a pattern's colour; a note is on the right, or below."""
    axes.set_title(f"     {name}" if colour else name, loc="left", y=1.0, fontsize=10, color=INK)
    if colour:
        corner = axes.transAxes + ScaledTranslation(5 / 72, 10 / 72, axes.figure.dpi_scale_trans)
        square: dict[str, Any] = {"ms": 8, "mfc": colour, "mec": EDGE, "mew": 0.6}
        axes.plot([0], [1], "s", clip_on=False, transform=corner, **square)
    if note and _size(axes)[0] < _ROOM_FOR_NOTE:
        axes.set_xlabel(note.replace(" (", "\n("), loc="left", fontsize=8, color=FAINT)
    elif note:
        axes.set_title(note, loc="right", y=1.0, fontsize=8, color=FAINT)


def colour_bar(figure: Figure, scale: Scale, label: str) -> None:
    """Draw a colour bar below all panels; it points to where values lie outside."""
    shape: dict[str, Any] = {"location": "bottom", "shrink": 0.6, "aspect": 40, "pad": 0.02}
    mappable = ScalarMappable(scale.norm, scale.colours)
    bar = figure.colorbar(mappable, ax=figure.axes, extend=scale.extend, **shape)
    bar.set_label(label, color=INK, fontsize=9)
    bar.ax.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]))
    bar.ax.xaxis.set_major_formatter(PERCENT)
    bar.ax.tick_params(length=2, color=FAINT, labelcolor=INK, labelsize=8)
    bar.outline.set(color=LINE)


def own_bar(axes: Axes, scale: Scale, ends: tuple[str, str]) -> None:
    """Draw a small colour bar of one panel alone, with labels at its ends: above, or below a narrow one."""
    width, height = _size(axes)
    left, bottom = (width - 0.95, height + 0.06) if width >= _ROOM_FOR_BAR else (0.1, -0.45)
    bar = axes.inset_axes((left / width, bottom / height, 0.45 / width, 0.09 / height))
    bar.imshow(np.linspace(0, 1, 64)[None], cmap=scale.colours, aspect="auto", extent=(0, 1, 0, 1))
    bar.set(xticks=[], yticks=[])
    bar.spines[:].set(color=FAINT, linewidth=0.6)
    for position, side, label in ((-0.06, "right", ends[0]), (1.06, "left", ends[1])):
        bar.text(position, 0.4, label, ha=side, va="center", fontsize=8, color=FAINT)


def head(figure: Figure, title: str, place: str, *lines: str) -> Figure:
    """Write a figure's title with place and period, and below the panels the lines that explain it."""
    figure.suptitle(f"{title}\n{place}", x=0.01, ha="left", fontsize=11, color=INK, fontweight="bold")
    text = "\n".join(fill(line, _LETTERS) for line in lines)
    figure.supxlabel(text, x=0.01, ha="left", fontsize=8, color=FAINT)
    return figure


def _size(axes: Axes) -> tuple[float, float]:
    """Roughly the width and height of a panel in inches, before the figure is laid out."""
    grid, figure = axes.get_gridspec(), axes.get_figure()
    assert grid is not None
    assert isinstance(figure, Figure)
    width = WIDTH * _FILLED / grid.ncols
    height = (figure.get_figheight() - _AROUND) / grid.nrows - _BETWEEN
    if axes.get_aspect() == "auto":
        return width, height
    ratio = float(np.ptp(axes.get_xlim()) / np.ptp(axes.get_ylim()))
    return min(width, height * ratio), min(height, width / ratio)


def percent(share: float, decimals: int = 0) -> str:
    """A share from 0 to 1 as text in per cent."""
    return f"{100 * share:.{decimals}f}\N{NBSP}%"


def _corners(cells: Cells, chosen: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    """Corners of cells, each of shape (4, 2)."""
    columns, rows = np.nonzero(chosen)
    around = [(0, 0), (1, 0), (1, 1), (0, 1)]
    corners = [(cells.longitudes[columns + right], cells.latitudes[rows + up]) for right, up in around]
    return list(np.moveaxis(np.array(corners), -1, 0))
