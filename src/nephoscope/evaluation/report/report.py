"""What the sections of a report share: what was measured, its numbers, and the figures they make of it."""

from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from nephoscope.evaluation.report import page

Found = TypeVar("Found")
Section = tuple[str, list[str]]
"""A heading, and the parts below it (see `page.page`)."""


@dataclass
class Report(Generic[Found]):
    """What sections are made from, and the figures they make.

    Attributes:
        name: of the report; its files' names begin with it.
        found: what was measured.
        numbers: the same, as the JSON holds it.
        pictures: PNG by file name, as sections ask for them.
    """

    name: str
    found: Found
    numbers: dict[str, Any]
    pictures: dict[str, bytes] = field(default_factory=dict)

    def figure(self, name: str, png: bytes, caption: str, shown: bytes | None = None) -> str:
        """A part of the page; the PNG is kept to be written too.

        Args:
            name: what its file is called, without the report's name and the ending.
            png: the figure.
            caption: one sentence on what it shows, with units.
            shown: what the page holds instead, such as a smaller JPEG.
        """
        self.pictures[f"{self.name}_{name}.png"] = png
        return page.figure(shown or png, caption)
