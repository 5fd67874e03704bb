"""Reports from Jinja2 templates, which have the structure and the prose; Python adds numbers and figures."""

import base64
import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from nephoscope.core.io import atomic_write

NAMED_PROBLEMS = 20
"""Problems of a kind that a page names; the JSON has all."""


class Report:
    """Figures and numbers of a report, and the files that they are written to.

    Attributes:
        name: of the report; the names of its files begin with it.
        numbers: what the JSON holds.
    """

    def __init__(self, name: str, numbers: dict[str, Any]):
        self.name = name
        self.numbers = numbers
        self._figures: dict[str, bytes] = {}
        self._sources: dict[str, str] = {}

    def add_figure(self, name: str, png: bytes, jpeg: bytes | None = None) -> None:
        """Add a figure, which the template then refers to by name.

        Args:
            name: of its file, without the report's name and the ending.
            png: the figure.
            jpeg: what the page shows instead, because it is smaller.
        """
        kind, content = ("png", png) if jpeg is None else ("jpeg", jpeg)
        self._figures[f"{self.name}_{name}.png"] = png
        self._sources[name] = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"

    def write(self, folder: Path, **context: Any) -> Path:
        """Write the figures, the numbers and the page, which needs none of the other files.

        Args:
            folder: created if missing.
            context: what the template `NAME.html` needs besides `numbers`.

        Returns:
            The page's path.
        """
        page = _TEMPLATES.get_template(f"{self.name}.html").render(
            numbers=self.numbers, figures=self._sources, named_problems=NAMED_PROBLEMS, headings=[], **context
        )
        for name, content in self._figures.items():
            atomic_write(folder / name, content)
        text = json.dumps(self.numbers, indent=1, ensure_ascii=False, allow_nan=False)
        atomic_write(folder / f"{self.name}.json", f"{text}\n".encode())
        path = folder / f"{self.name}.html"
        atomic_write(path, f"{page}\n".encode())
        return path


def _percent(share: float | None, digits: int = 1) -> str:
    """Format a share from 0 to 1 in percent; a dash for None."""
    return "–" if share is None else f"{100 * share:.{digits}f}\N{NBSP}%"


def _number(value: float | None, digits: int = 1) -> str:
    """Format a number with thousands separators; a dash for None."""
    return "–" if value is None else f"{value:,.{digits}f}"


def _interval(stats: dict[str, Any], style: str = ".3f") -> str:
    """Format a mean with its 95 % interval; a dash for None."""
    if stats["mean"] is None:
        return "–"
    low, high = stats["interval"]
    return f"{stats['mean']:{style}} [{low:{style}},\N{NBSP}{high:{style}}]".replace("-", "\N{MINUS SIGN}")


_TEMPLATES = Environment(
    loader=PackageLoader(__package__),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def _points(stats: dict[str, Any] | None) -> str:
    """Format a difference of shares and its 95 % interval in percentage points; a dash for None."""
    if stats is None:
        return "–"
    low, high = stats["interval"]
    return _interval({"mean": 100 * stats["mean"], "interval": [100 * low, 100 * high]}, "+.1f")


_TEMPLATES.filters |= {"percent": _percent, "number": _number, "interval": _interval, "points": _points}
