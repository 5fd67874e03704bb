"""Style of all figures: colours, frame, letters.

Only Matplotlib's objects are used, and no global state, so that figures can be drawn in any thread.
"""

import io
from typing import Any, Literal

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

_DPI = 144
WIDTH = 7.6  # inches; 1094 px


def new_figure(
    rows: int, columns: int, height: float, width: float = WIDTH, **shared: Any
) -> tuple[Figure, list[Axes]]:
    """Make a figure, by default as wide as the page, and its panels row by row; sizes in inches."""
    figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained", facecolor="white")
    return figure, list(figure.subplots(rows, columns, squeeze=False, **shared).flat)


def quieten(axes: Axes) -> None:
    """Remove the ticks, draw lines behind the data, set legible letters."""
    axes.set_axisbelow(True)
    axes.tick_params(length=0, colors=INK, labelsize=9)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)


def show_degrees(axis: Axis, letters: Literal["EW", "NS"]) -> None:
    """Label an axis in degrees: longitudes (`EW`), also past the antimeridian, or latitudes (`NS`)."""
    count, steps = (6, [1, 2, 5, 6, 10]) if letters == "EW" else (4, [1, 2, 3, 5, 10])
    axis.set_major_locator(MaxNLocator(count, steps=steps))
    axis.set_major_formatter(FuncFormatter(lambda value, _: format_degrees(value, letters)))


def png(figure: Figure) -> bytes:
    """Render a figure as PNG, without metadata of the software."""
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()
