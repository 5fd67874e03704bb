"""Formats of labels: what they are called, which files they are, how they are read and written."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nephoscope.datasets.exchange.drawing import Drawing
from nephoscope.datasets.exchange.reading import Candidate, Reading
from nephoscope.datasets.exchange.scene import ExportedScene
from nephoscope.datasets.labels import Problem


@dataclass(frozen=True, kw_only=True)
class LabelFormat:
    """A format of label files.

    A format is written either by `render`, to files for each scene, or by `collect`, to one file for all.
    """

    name: str  # as in `--format NAME`
    description: str  # one line
    endings: tuple[str, ...]  # of its files, in small letters
    accepts: Callable[[Candidate], bool]  # whether a file with such an ending is of this format
    read: Callable[[Sequence[Path], Reading], Iterator[Drawing]]
    render: Callable[[ExportedScene, list[Problem]], Sequence[bytes]] | None = None
    collect: Callable[[Iterable[ExportedScene]], bytes] | None = None
    file: str = ""  # that it writes, such as `{picture}_{pattern}.png`
    people: bool = False  # whether it says who drew what
    extra: str = ""  # of nephoscope, which it needs

    @property
    def is_written(self) -> bool:
        """Whether labels can be exported to it."""
        return bool(self.file)

    def file_names(self, picture: str, patterns: Sequence[str]) -> list[str]:
        """Names of the files that `render` makes the contents of, in the same order."""
        each = patterns if "{pattern}" in self.file else patterns[:1]
        return [self.file.format(picture=picture, pattern=pattern) for pattern in each]
