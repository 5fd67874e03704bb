"""What an output format is: its files, what it needs, and how it is served over HTTP."""

import io
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from nephoscope.core.errors import MissingExtraError
from nephoscope.imagery.scene import Scene
from nephoscope.inference.segmentation import Segmentation
from nephoscope.outputs.metadata import require_day, require_place

Need = Literal["place", "day"]
Merge = Callable[[Sequence[bytes]], bytes]
PATTERN = "{pattern}"
"""In an ending, stands for one file a pattern."""


@dataclass(frozen=True, kw_only=True)
class Web:
    """How the server answers in a format; what is left out follows from the format itself.

    Attributes:
        label: of the page's button.
        kind: of file, in small letters beneath the label.
        media_type: by which requests ask for it; the ending of the one file that answers; its content.
        ending: see `media_type`.
        render: see `media_type`.
        merge: one file of several scenes' contents; None where the format holds one scene alone.
        file_name: of what `merge` makes.
    """

    label: str = ""
    kind: str = ""
    media_type: str = ""
    ending: str = ""
    render: Callable[[Segmentation], bytes] | None = None
    merge: Merge | None = None
    file_name: str = ""


@dataclass(frozen=True, kw_only=True)
class Format:
    """An output format, of one or more files a scene, or of one file a run.

    Attributes:
        name: by which `--format` asks for it.
        description: one line.
        media_type: of its files.
        render: contents of a scene's files, in the order of `endings`; for one file a run, its one part.
        endings: of a scene's files, put behind the scene's name. One with `{pattern}` in it stands for one
            file a pattern.
        needs: what must be known of a scene: its place, its day.
        extra: of nephoscope, that installs the libraries it needs.
        libraries: modules that it needs beside the base.
        merge: for one file a run: its content, of the scenes' parts in their order.
        file_name: of the one file a run; empty for files per scene.
        web: how the server answers in it; None where it does not.
    """

    name: str
    description: str
    media_type: str
    render: Callable[[Segmentation], list[bytes]]
    endings: tuple[str, ...] = ()
    needs: tuple[Need, ...] = ()
    extra: str = ""
    libraries: tuple[str, ...] = ()
    merge: Merge | None = None
    file_name: str = ""
    web: Web | None = Web()

    def __post_init__(self) -> None:
        if bool(self.file_name) != bool(self.merge) or bool(self.file_name) == bool(self.endings):
            raise ValueError(f"format {self.name}: give endings, or merge and file_name")

    @property
    def per_run(self) -> bool:
        """Whether all scenes of a run share one file."""
        return bool(self.file_name)

    def file_endings(self, patterns: Sequence[str]) -> tuple[str, ...]:
        """Endings of the files of one scene."""
        return tuple(
            name
            for ending in self.endings
            for name in (
                [ending.replace(PATTERN, pattern) for pattern in patterns] if PATTERN in ending else [ending]
            )
        )

    @property
    def missing(self) -> list[str]:
        """Libraries it needs that are not installed."""
        return [library for library in self.libraries if find_spec(library) is None]

    def check_libraries(self) -> None:
        """See that its libraries are installed.

        Raises:
            MissingExtraError: they are not; the message says how to install them.
        """
        if missing := self.missing:
            what = f"nephoscope[{self.extra}]" if self.extra else " ".join(missing)
            raise MissingExtraError(
                f"--format {self.name}: {' and '.join(missing)} missing: pip install '{what}'"
            )

    def check(self, scene: Scene) -> None:
        """See that a scene has what the format needs.

        Raises:
            SceneError: its place or day is not known.
        """
        if "place" in self.needs:
            require_place(scene)
        if "day" in self.needs:
            require_day(scene)


def render_zip(chosen: Format, segmentation: Segmentation) -> bytes:
    """All files of one scene as a ZIP archive, stored and not compressed."""
    archive, stem = io.BytesIO(), Path(segmentation.scene.name).stem
    endings = chosen.file_endings(segmentation.card.patterns)
    with zipfile.ZipFile(archive, "w") as file:
        for ending, content in zip(endings, chosen.render(segmentation), strict=True):
            file.writestr(f"{stem}{ending}", content)
    return archive.getvalue()
