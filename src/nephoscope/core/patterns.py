"""The four patterns in which shallow trade-wind clouds organise: the only place that lists them.

Source: Stevens et al. 2020, "Sugar, gravel, fish and flowers", QJRMS, doi:10.1002/qj.3662.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Pattern:
    """One pattern: its name, its colour (red, green, blue, 0 to 255) and what it looks like."""

    name: str
    colour: tuple[int, int, int]
    meaning: str

    @property
    def hex_colour(self) -> str:
        """The colour as pages and maps write it, such as `#d55e00`."""
        return "#{:02x}{:02x}{:02x}".format(*self.colour)


# The contest's order, which is also the order of a model's outputs. The colours are from Okabe and Ito's
# palette, told apart with any colour vision; its blues are left out because the sea is blue.
PATTERNS = (
    Pattern("Fish", (213, 94, 0), "long skeletal networks of cloud between wide clear lanes"),
    Pattern("Flower", (204, 121, 167), "large separate clumps of stratiform cloud"),
    Pattern("Gravel", (0, 158, 115), "arcs and rings of small cloud along cold-pool fronts"),
    Pattern("Sugar", (240, 228, 66), "fine dust of small, shallow cumulus with little organisation"),
)
NAMES = tuple(pattern.name for pattern in PATTERNS)
