"""Style of all figures: colours, frame, letters.

Only Matplotlib's objects are used, and no global state, so that figures can be drawn in any thread.
"""

import io
from contextlib import nullcontext
from typing import Any, Literal

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from nephoscope.core.geo import format_degrees

INK = "#1c222b"
FAINT = "#5d6774"
LINE = "#e3e7ec"
EDGE = "#3a424d"  # around fills, without which the yellow is lost on white
BLUE = "#0072b2"  # Okabe and Ito's, of no default pattern

DPI = 144
"""Pixels per inch of figures, unless another number is asked for."""
WIDTH = 7.6  # inches; 1094 px

FORMATS = ("png", "pdf", "svg")
"""Formats of figures."""

_NO_DATES: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None},
    "svg": {"Date": None},
}
_VECTOR_DPI = 300  # at least, of fields of colour in figures that are otherwise lines


def new_figure(
    rows: int, columns: int, height: float, width: float = WIDTH, **shared: Any
) -> tuple[Figure, list[Axes]]:
    """Make a figure, by default as wide as the page, and its panels row by row; sizes in inches."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")
    return figure, list(figure.subplots(rows, columns, squeeze=False, **shared).flat)


def quieten(axes: Axes) -> None:
    """Remove the ticks, draw lines behind the data, set legible letters."""
    axes.set_axisbelow(True)
    axes.tick_params(length=0, colors=INK, labelsize=9)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)


def show_degrees(axis: Axis, letters: Literal["EW", "NS"], count: int | None = None) -> None:
    """Label an axis in degrees: longitudes (`EW`), also past the antimeridian, or latitudes (`NS`).

    `count` is the highest number of intervals.
    """
    usual, steps = (6, [1, 2, 5, 6, 10]) if letters == "EW" else (4, [1, 2, 3, 5, 10])
    count = count or usual
    axis.set_major_locator(MaxNLocator(count, steps=steps))
    axis.set_major_formatter(FuncFormatter(lambda value, _: format_degrees(value, letters)))


def png(figure: Figure) -> bytes:
    """Render a figure as PNG, without metadata of the software."""
    return render(figure, "png")


def render(figure: Figure, kind: str, dpi: int = DPI) -> bytes:
    """Render a figure in one of `FORMATS`, without metadata of software and time.

    Letters of PDF and SVG stay shapes that look alike everywhere; PDF embeds its fonts as TrueType, as
    journals ask for.
    """
    file = io.BytesIO()
    with rc_context({"pdf.fonttype": 42}) if kind == "pdf" else nullcontext():  # it is not safe in threads
        dpi = dpi if kind == "png" else max(dpi, _VECTOR_DPI)
        figure.savefig(file, format=kind, dpi=dpi, metadata=_NO_DATES[kind])
    return file.getvalue()
