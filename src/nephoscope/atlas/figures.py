"""Draw the figures of a summary that it has enough data for, into files of one format or several."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nephoscope.atlas.climatology import (
    ALL,
    LEAST,
    LEAST_YEARS,
    Periods,
    calendar_months,
    months,
    seasons,
)
from nephoscope.atlas.figure_maps import by_season, diurnal, frequency, trends
from nephoscope.atlas.figure_parts import classes_of
from nephoscope.atlas.figure_time import anomaly_series, cycle, hovmoller
from nephoscope.atlas.summary_file import Columns, add_up
from nephoscope.atlas.summary_variables import DIURNAL
from nephoscope.core.errors import AtlasError
from nephoscope.core.io import atomic_write
from nephoscope.plotting.style import DPI, FORMATS, render

if TYPE_CHECKING:
    import xarray as xr

_MONTHS, _TIMES, _COLUMNS = 3, 3, 3  # that a cycle and a Hovmöller diagram need


@dataclass(frozen=True)
class Drawn:
    """What `draw` did.

    Attributes:
        files: that were written.
        left_out: the reason for each figure that was not drawn.
    """

    files: list[Path]
    left_out: dict[str, str]


def draw(summary: "xr.Dataset", folder: Path, formats: Sequence[str] = ("png",), dpi: int = DPI) -> Drawn:
    """Draw all figures of a summary that it has enough data for; files of the same names are replaced.

    The figures are `frequency`, `seasons_PATTERN`, `cycle`, `anomalies`, `hovmoller`, `diurnal` and `trends`.
    `formats` are among png, pdf and svg; `dpi` is of PNG, and of the cells' colours in the others if it is
    high.

    Raises:
        AtlasError: an unknown format.
        OSError: a file cannot be written.
    """
    endings = known_formats(formats)
    columns = add_up(summary)
    season_figures = {f"seasons_{name}": partial(by_season, summary, name) for name in classes_of(summary)}
    figures: dict[str, Callable[[], Figure]] = {
        "frequency": partial(frequency, summary),
        **season_figures,
        "cycle": partial(cycle, summary, columns),
        "anomalies": partial(anomaly_series, summary, columns),
        "hovmoller": partial(hovmoller, summary, columns),
        "diurnal": partial(diurnal, summary, columns),
        "trends": partial(trends, summary, columns),
    }
    reasons = {
        "frequency": _no_maps(columns),
        **dict.fromkeys(season_figures, _no_seasons(columns)),
        "cycle": _no_cycle(columns),
        "anomalies": _no_anomalies(columns),
        "hovmoller": _no_hovmoller(columns),
        "diurnal": _no_diurnal(summary, columns),
        "trends": "" if "trend" in summary else f"needs {LEAST_YEARS} years from December to November",
    }
    left_out = {name: reason for name, reason in reasons.items() if reason}
    files = []
    for name in (name for name in figures if name not in left_out):
        figure = figures[name]()
        for ending in endings:
            files.append(folder / f"{name}.{ending}")
            atomic_write(files[-1], render(figure, ending, dpi))
    return Drawn(files, left_out)


def known_formats(names: Sequence[str]) -> tuple[str, ...]:
    """Formats of figures, each once, in small letters; raises `AtlasError` if one is unknown."""
    formats = tuple(dict.fromkeys(name.strip().lower() for name in names))
    if unknown := [name for name in formats if name not in FORMATS]:
        raise AtlasError(f"unknown format {unknown[0]!r}; available: {', '.join(FORMATS)}")
    return formats


def _no_maps(columns: Columns) -> str:
    return "" if _with_data(columns).any() else "no day has data"


def _no_seasons(columns: Columns) -> str:
    """Why there are no maps by season; empty if there are."""
    enough = [name for name in _enough_days(columns, seasons(columns.days)) if name != ALL]
    return "" if len(enough) > 1 else f"needs two seasons of {LEAST} days with data; has {len(enough)}"


def _no_cycle(columns: Columns) -> str:
    enough = len(_enough_days(columns, calendar_months(columns.days)))
    if enough >= _MONTHS:
        return ""
    return f"needs {_MONTHS} calendar months of {LEAST} days with data; has {enough}"


def _no_anomalies(columns: Columns) -> str:
    enough = [key.astype("datetime64[M]") for key in _enough_days(columns, months(columns.days))]
    if len({month.astype(int) % 12 for month in enough}) < len(enough):
        return ""
    return f"needs one calendar month of {LEAST} days with data in two years"


def _no_hovmoller(columns: Columns) -> str:
    days, across = np.count_nonzero(_with_data(columns)), np.count_nonzero(columns.areas)
    if days < _TIMES:
        return f"needs {_TIMES} days with data; has {days}"
    return "" if across >= _COLUMNS else f"needs {_COLUMNS} columns of cells with data; has {across}"


def _no_diurnal(summary: "xr.Dataset", columns: Columns) -> str:
    if "diurnal_difference" not in summary:
        return "needs Terra and Aqua"
    two = [list(summary["satellite"].values).index(name) for name in DIURNAL]
    both = np.count_nonzero((columns.valid_shares[:, two].min(axis=1) > 0).any(axis=1))
    return "" if both >= LEAST else f"needs {LEAST} days with data of both Terra and Aqua; has {both}"


def _enough_days(columns: Columns, periods: Periods) -> list[Any]:
    """The periods of which enough days have data."""
    with_data = _with_data(columns)
    return [key for key, days in periods.items() if np.count_nonzero(with_data[days]) >= LEAST]


def _with_data(columns: Columns) -> NDArray[np.bool_]:
    """Which days have data anywhere."""
    return np.asarray((columns.valid_shares > 0).any(axis=(1, 2)))
