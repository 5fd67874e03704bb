"""Cloud patterns: the four default ones, and the names, colours and meanings of others.

Everything else takes its patterns from the model card, the data set or the store.

Source: Stevens et al. 2020, "Sugar, gravel, fish and flowers", QJRMS, doi:10.1002/qj.3662.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Pattern:
    """A pattern: its name, its colour (red, green, blue, 0 to 255) and what it looks like."""

    name: str
    colour: tuple[int, int, int]
    meaning: str = ""

    def __str__(self) -> str:
        return self.name

    @property
    def hex_colour(self) -> str:
        """The colour in hexadecimal, such as `#d55e00`."""
        return "#{:02x}{:02x}{:02x}".format(*self.colour)


# In the contest's order. The colours are Okabe and Ito's, which suit any colour vision; their blues come last
# in the palette because the sea is blue.
DEFAULT_PATTERNS = (
    Pattern("Fish", (213, 94, 0), "long skeletal networks of cloud between wide clear lanes"),
    Pattern("Flower", (204, 121, 167), "large separate clumps of stratiform cloud"),
    Pattern("Gravel", (0, 158, 115), "arcs and rings of small cloud along cold-pool fronts"),
    Pattern("Sugar", (240, 228, 66), "fine dust of small, shallow cumulus with little organisation"),
)
DEFAULT_NAMES = tuple(pattern.name for pattern in DEFAULT_PATTERNS)

C3ONTEXT_NAMES = {"Sugar": "Sugar", "Flowers": "Flower", "Fish": "Fish", "Gravel": "Gravel"}
"""Names of the default patterns in C3ONTEXT, people's labels of the EUREC4A campaign, in its order, and ours.

Source: Schulz 2022, "C3ONTEXT: a Common Consensus on Convective OrgaNizaTion during the EUREC4A eXperimenT",
ESSD, doi:10.5194/essd-14-1233-2022.
"""

MAX_PATTERNS = 8  # the masks of all patterns are packed into the bits of one byte

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
    """Make patterns of names, with given colours and meanings, else the default ones.

    Args:
        names: of the patterns, at most `MAX_PATTERNS`.
        styles: by name, `colour` (red, green, blue, 0 to 255) and `meaning`; either may be missing.

    Returns:
        Patterns in the order of `names`. One without a colour gets the next free colour of the palette.
    """
    defaults = {each.name: {"colour": each.colour, "meaning": each.meaning} for each in DEFAULT_PATTERNS}
    merged: list[Mapping[str, Any]] = [
        {**defaults.get(name, {}), **(styles or {}).get(name, {})} for name in names
    ]
    colours = [tuple(style["colour"]) if "colour" in style else None for style in merged]
    free = (colour for colour in _PALETTE if colour not in colours)
    return tuple(
        Pattern(name, colour or next(free, _PALETTE[-1]), style.get("meaning", ""))
        for name, colour, style in zip(names, colours, merged, strict=True)
    )
