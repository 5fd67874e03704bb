"""Output formats: their files, their requirements, and how the server offers them."""

import io
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from nephoscope.core.errors import MissingExtraError
from nephoscope.core.extras import install_command
from nephoscope.imagery.scene import Scene
from nephoscope.inference.segmentation import Segmentation
from nephoscope.outputs.metadata import require_bounds, require_day

Need = Literal["place", "day"]
Merge = Callable[[Sequence[bytes]], bytes]
PATTERN = "{pattern}"
"""Placeholder in an ending that makes one file a pattern."""


@dataclass(frozen=True, kw_only=True)
class Web:
    """How the server offers a format. Defaults come from the format itself."""

    label: str = ""  # of the page's button
    kind: str = ""  # type of the file, in small letters beneath the label
    media_type: str = ""  # that requests ask for in `Accept`
    ending: str = ""  # of the file that answers such a request
    render: Callable[[Segmentation], bytes] | None = None  # makes that file
    merge: Merge | None = None  # of several scenes' contents; None where a file holds one scene alone
    file_name: str = ""  # of the merged file


@dataclass(frozen=True, kw_only=True)
class Format:
    """An output format: files for each scene, or one file for each run.

    `render` makes the contents of a scene's files, in the order of `endings`. For one file a run it makes the
    scene's part; `merge` makes the file of all parts, in the scenes' order.
    """

    name: str  # as in `--format NAME`
    description: str  # one line
    media_type: str  # of its files
    render: Callable[[Segmentation], list[bytes]]
    endings: tuple[str, ...] = ()  # appended to the scene's name; `{pattern}` makes one file a pattern
    save_endings: tuple[str, ...] = ()  # by which `Segmentation.save` chooses it, beside `endings`
    needs: tuple[Need, ...] = ()  # what must be known of a scene: its location (`place`), its day
    extra: str = ""  # of nephoscope, which installs the libraries
    libraries: tuple[str, ...] = ()  # modules that it imports beside those of the base install
    merge: Merge | None = None
    file_name: str = ""  # of the one file a run; empty for files per scene
    web: Web | None = Web()  # how the server offers it; None where it does not

    def __post_init__(self) -> None:
        if bool(self.file_name) != bool(self.merge) or bool(self.file_name) == bool(self.endings):
            raise ValueError(f"format {self.name}: give endings, or merge and file_name")

    @property
    def per_run(self) -> bool:
        """Whether all scenes of a run share one file."""
        return bool(self.file_name)

    def file_endings(self, patterns: Sequence[str]) -> tuple[str, ...]:
        """Endings of one scene's files."""
        return tuple(
            ending.replace(PATTERN, pattern)
            for ending in self.endings
            for pattern in (patterns if PATTERN in ending else ("",))
        )

    @property
    def missing(self) -> list[str]:
        """Libraries that are not installed."""
        return [library for library in self.libraries if find_spec(library) is None]

    def check_libraries(self) -> None:
        """Check that its libraries are installed.

        Raises:
            MissingExtraError: one is not; the message says how to install it.
        """
        if missing := self.missing:
            command = install_command(self.extra) if self.extra else f"pip install {' '.join(missing)}"
            raise MissingExtraError(f"output format {self.name}: {' and '.join(missing)} missing: {command}")

    def check(self, scene: Scene) -> None:
        """Check that a scene has what the format needs.

        Raises:
            SceneError: its location or day is not known.
        """
        if "place" in self.needs:
            require_bounds(scene)
        if "day" in self.needs:
            require_day(scene)


def render_zip(chosen: Format, segmentation: Segmentation) -> bytes:
    """Pack all files of one scene into a ZIP archive, uncompressed."""
    archive, stem = io.BytesIO(), Path(segmentation.scene.name).stem
    endings = chosen.file_endings(segmentation.card.patterns)
    with zipfile.ZipFile(archive, "w") as file:
        for ending, content in zip(endings, chosen.render(segmentation), strict=True):
            file.writestr(f"{stem}{ending}", content)
    return archive.getvalue()
