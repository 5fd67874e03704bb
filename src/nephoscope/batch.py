"""Many pictures through one model into files: in order, on all processors, whatever becomes of one."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from nephoscope.files import write_whole
from nephoscope.model import Model
from nephoscope.outputs import CSV, FORMATS
from nephoscope.outputs.csv import FILE_NAME, Row, rows, write
from nephoscope.outputs.json import summary
from nephoscope.parallel import map_in_order
from nephoscope.place import Bounds
from nephoscope.scene import SceneError
from nephoscope.segmentation import segment
from nephoscope.sources import Source


class OutputExists(ValueError):
    """An output is there already and may not be replaced."""


@dataclass(frozen=True)
class Done:
    """A picture that was segmented.

    Attributes:
        name: of the source.
        summary: as in the `json` output, less the regions.
        files: what was written.
        kept: outputs that were there already and were left as they are.
        seconds: from opening the picture to its last file.
        rows: of the contest's CSV, where that is asked for.
    """

    name: str
    summary: dict[str, Any]
    files: list[Path]
    kept: list[Path]
    seconds: float
    rows: list[Row] = field(repr=False)


@dataclass(frozen=True)
class Kept:
    """A picture that was left alone because all of its outputs are there already."""

    name: str
    kept: list[Path]


@dataclass(frozen=True)
class Failed:
    """A picture that could not be segmented, and why in one line."""

    name: str
    reason: str


@dataclass(frozen=True)
class Job:
    """What to do with each picture.

    Attributes:
        model: to segment with.
        folder: where outputs go.
        formats: names of output formats.
        overwrite: whether outputs that are there already are written anew.
        join: see `segment`.
        tta: see `segment`.
        protected: files that are never written over, whatever is asked: the pictures themselves.
        bounds: where all pictures are, whatever they say themselves.
        day: when all pictures were taken, whatever they say themselves.

    Raises:
        OutputExists: the folder is a file; or the contest's CSV is asked for and there already, which is one
            file for all pictures and cannot be kept for some.
    """

    model: Model
    folder: Path
    formats: tuple[str, ...]
    overwrite: bool = False
    join: int | None = None
    tta: bool = False
    protected: frozenset[Path] = frozenset()
    bounds: Bounds | None = None
    day: date | None = None

    def __post_init__(self) -> None:
        try:
            if self.folder.exists() and not self.folder.is_dir():
                raise OutputExists(f"{self.folder}: is no folder; -o DIR names one for the outputs")
        except OSError as error:
            raise OutputExists(f"{self.folder}: {error.strerror or error}") from error
        if CSV in self.formats and self.csv.exists() and not self.overwrite:
            raise OutputExists(
                f"{self.csv}: is there already; --overwrite replaces it, -o DIR writes elsewhere"
            )

    @property
    def csv(self) -> Path:
        """Where the contest's CSV goes."""
        return self.folder / FILE_NAME


def run(sources: Iterable[Source], job: Job, workers: int = 1) -> Iterator[Done | Kept | Failed]:
    """Segment pictures and write their outputs; results come in the sources' order.

    The contest's CSV is written after the last picture; if it cannot be, the last result says so.

    Args:
        sources: the pictures.
        job: what to do with each.
        workers: pictures worked on at the same time.
    """
    all_rows: list[Row] = []
    for result in map_in_order(partial(_one, job), sources, workers):
        if isinstance(result, Done):
            all_rows += result.rows
        yield result
    if all_rows:
        try:
            write(job.folder, all_rows)
        except OSError as error:
            yield Failed(FILE_NAME, f"{job.csv}: not written: {error.strerror or error}")


def _one(job: Job, source: Source) -> Done | Kept | Failed:
    try:
        return _segment_to_files(source, job)
    except SceneError as error:
        return Failed(source.name, str(error))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return Failed(source.name, f"{source.name}: not written: {where}{error.strerror or error}")
    except MemoryError:
        return Failed(source.name, f"{source.name}: not enough memory")
    except Exception as error:  # one picture must never cost the others
        return Failed(source.name, f"{source.name}: unexpected {type(error).__name__}: {error}")


def _segment_to_files(source: Source, job: Job) -> Done | Kept:
    started = time.perf_counter()
    wanted, kept = _wanted(source, job)
    if not wanted and CSV not in job.formats:
        return Kept(source.name, kept)
    scene = source.open().with_location(job.bounds, job.day)
    for name in wanted:
        FORMATS[name].check(scene)  # before anything of this picture is written
    segmentation = segment(scene, job.model, join=job.join, tta=job.tta)
    files = []
    for name, paths in wanted.items():
        for path, content in zip(paths, FORMATS[name].render(segmentation), strict=True):
            if path not in kept:
                write_whole(path, content)
                files.append(path)
    found = rows(segmentation) if CSV in job.formats else []
    return Done(source.name, summary(segmentation), files, kept, time.perf_counter() - started, found)


def _wanted(source: Source, job: Job) -> tuple[dict[str, list[Path]], list[Path]]:
    """Paths to write, by format, and those that are there already."""
    wanted: dict[str, list[Path]] = {}
    kept: list[Path] = []
    for name in job.formats:
        if name == CSV:
            continue
        paths = [job.folder / f"{Path(source.name).stem}{ending}" for ending in FORMATS[name].endings]
        if own := [path for path in paths if path.absolute() in job.protected]:
            raise SceneError(
                f"{source.name}: its output {own[0]} is one of the pictures; -o DIR writes elsewhere"
            )
        there = [] if job.overwrite else [path for path in paths if path.is_file()]
        kept += there
        if len(there) < len(paths):
            wanted[name] = paths
    return wanted, kept
