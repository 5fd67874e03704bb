"""Formats of labels: what they are called, which files they are, how they are read and written."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nephoscope.datasets.exchange.drawing import Drawing
from nephoscope.datasets.exchange.reading import Candidate, Reading
from nephoscope.datasets.exchange.scene import ExportedScene
from nephoscope.datasets.labels import Problem

Files = list[tuple[str, bytes]]
"""Names and contents."""


@dataclass(frozen=True, kw_only=True)
class LabelFormat:
    """A format of label files.

    A format is written either by `render`, files for each scene, or by `collect`, one file for all.
    """

    name: str  # as in `--format NAME`
    description: str  # one line
    endings: tuple[str, ...]  # of its files, in small letters
    accepts: Callable[[Candidate], bool]  # whether a file with such an ending is of this format
    read: Callable[[Sequence[Path], Reading], Iterator[Drawing]]
    files: str = ""  # that it writes, in words
    render: Callable[[ExportedScene, list[Problem]], Files] | None = None
    collect: Callable[[Iterable[ExportedScene]], bytes] | None = None
    file_name: str = ""  # of the one file
    people: bool = False  # whether it says who drew what
    extra: str = ""  # of nephoscope, which it needs

    @property
    def is_written(self) -> bool:
        """Whether labels can be exported to it."""
        return bool(self.render or self.collect)
