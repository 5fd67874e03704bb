"""How every figure looks: its colours, its frame, its letters.

Matplotlib is used by its objects alone, so nothing global changes and figures may be drawn in any thread.
"""

import io
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK = "#1c222b"
FAINT = "#5d6774"
LINE = "#e3e7ec"
EDGE = "#3a424d"  # around fills, without which the yellow is lost on white
BLUE = "#0072b2"  # Okabe and Ito's: no pattern's colour

_DPI = 144
WIDTH = 7.6  # inches; 1094 px


def new_figure(
    rows: int, columns: int, height: float, width: float = WIDTH, **shared: Any
) -> tuple[Figure, list[Axes]]:
    """A figure, as wide as the page unless said, and its panels row by row; sizes in inches."""
    figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained", facecolor="white")
    return figure, list(figure.subplots(rows, columns, squeeze=False, **shared).flat)


def quieten(axes: Axes) -> None:
    """No marks on the axes, lines behind the data, readable letters."""
    axes.set_axisbelow(True)
    axes.tick_params(length=0, colors=INK, labelsize=9)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)


def png(figure: Figure) -> bytes:
    """The figure as a PNG, without a word of what drew it."""
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()
