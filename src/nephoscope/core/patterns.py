"""Patterns in which shallow clouds organise: the four default ones, and how others are shown.

Everything else takes its patterns from the model card, the data set or the store that it works on.

Source: Stevens et al. 2020, "Sugar, gravel, fish and flowers", QJRMS, doi:10.1002/qj.3662.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Pattern:
    """One pattern: its name, its colour (red, green, blue, 0 to 255) and what it looks like."""

    name: str
    colour: tuple[int, int, int]
    meaning: str = ""

    @property
    def hex_colour(self) -> str:
        """The colour as pages and maps write it, such as `#d55e00`."""
        return "#{:02x}{:02x}{:02x}".format(*self.colour)


# The contest's order. The colours are from Okabe and Ito's palette, told apart with any colour vision; its
# blues come last because the sea is blue.
DEFAULT_PATTERNS = (
    Pattern("Fish", (213, 94, 0), "long skeletal networks of cloud between wide clear lanes"),
    Pattern("Flower", (204, 121, 167), "large separate clumps of stratiform cloud"),
    Pattern("Gravel", (0, 158, 115), "arcs and rings of small cloud along cold-pool fronts"),
    Pattern("Sugar", (240, 228, 66), "fine dust of small, shallow cumulus with little organisation"),
)
DEFAULT_NAMES = tuple(pattern.name for pattern in DEFAULT_PATTERNS)

MAX_PATTERNS = 8
"""Masks are packed into the bits of a byte."""

_PALETTE = (
    *(pattern.colour for pattern in DEFAULT_PATTERNS),
    (230, 159, 0),
    (86, 180, 233),
    (0, 114, 178),
    (160, 160, 160),
)


def styled_patterns(
    names: Sequence[str], styles: Mapping[str, Mapping[str, Any]] | None = None
) -> tuple[Pattern, ...]:
    """Patterns with the colours and meanings that somebody states, else the default ones.

    Args:
        names: of the patterns, at most `MAX_PATTERNS`.
        styles: by name, `colour` (red, green, blue, 0 to 255) and `meaning`; either may be missing.

    Returns:
        In the order of `names`. A pattern without a colour gets the next one of the palette that is free.
    """
    defaults = {pattern.name: pattern for pattern in DEFAULT_PATTERNS}
    styles = styles or {}
    colours = {
        name: tuple(styles[name]["colour"]) if "colour" in styles.get(name, {}) else defaults[name].colour
        for name in names
        if "colour" in styles.get(name, {}) or name in defaults
    }
    free = (colour for colour in _PALETTE if colour not in colours.values())
    return tuple(
        Pattern(
            name,
            colours.get(name) or next(free, _PALETTE[-1]),
            styles.get(name, {}).get("meaning", defaults[name].meaning if name in defaults else ""),
        )
        for name in names
    )
