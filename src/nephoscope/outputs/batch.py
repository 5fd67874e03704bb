"""Segment many pictures into files: in order, on all processors, each independent of the others."""

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from nephoscope.core.errors import (
    DownloadError,
    MissingExtraError,
    NephoscopeError,
    OutputConflictError,
    SceneError,
)
from nephoscope.core.geo import Bounds
from nephoscope.core.io import atomic_write, map_in_order
from nephoscope.imagery.sources import Source
from nephoscope.inference.card import Card
from nephoscope.inference.prediction import Predictor
from nephoscope.inference.segmentation import apply_rules
from nephoscope.outputs import Format, get_format
from nephoscope.outputs.json import summary
from nephoscope.outputs.origins import INDEX, MEANWHILE, Origins, is_of

log = logging.getLogger("nephoscope")


@dataclass(frozen=True)
class Done:
    """A picture that was segmented."""

    name: str
    summary: dict[str, Any]  # as in the `json` output, without the regions
    files: list[Path]  # written
    kept: list[Path]  # existing outputs, left unchanged
    seconds: float  # from opening the picture to its last file
    parts: dict[str, bytes] = field(repr=False)  # of formats that make one file a run


@dataclass(frozen=True)
class Kept:
    """A picture that was skipped because all of its outputs exist."""

    name: str
    kept: list[Path]
    model: str = ""  # that made them, where it is known and another than that of the job


@dataclass(frozen=True)
class Failed:
    """A picture that could not be segmented, and the reason in one line."""

    name: str
    reason: str


@dataclass(frozen=True)
class Job:
    """Settings of a batch; bounds and day are those of all pictures, in place of their own.

    Raises:
        OutputConflictError: the folder is a file, or the file of a format that makes one a run exists and
            `overwrite` is off.
    """

    model: Predictor
    folder: Path
    formats: tuple[str, ...]  # their names
    overwrite: bool = False
    join: int | None = None  # see `segment`
    tta: bool = False  # see `segment`
    protected: frozenset[Path] = frozenset()  # never overwritten: the pictures themselves
    bounds: Bounds | None = None
    day: date | None = None
    extent: float | None = None  # degrees from west to east, of pictures of unknown location
    card: Card | None = None  # the model's, with other rules. Default: as the model has it

    def __post_init__(self) -> None:
        try:
            if self.folder.exists() and not self.folder.is_dir():
                raise OutputConflictError(f"{self.folder}: is not a folder; give another by -o DIR")
            with suppress(FileNotFoundError):
                (self.folder / INDEX).open("rb").close()
        except OSError as error:
            raise OutputConflictError(
                f"{error.filename or self.folder}: {error.strerror or error}"
            ) from error
        for path in (self.folder / chosen.file_name for chosen in self.per_run):
            if path.exists() and not self.overwrite:
                raise OutputConflictError(
                    f"{path}: exists already; --overwrite replaces it, -o DIR writes elsewhere"
                )

    @property
    def per_run(self) -> list[Format]:
        """Formats that make one file for all pictures."""
        return [each for each in map(get_format, self.formats) if each.per_run]


def run(sources: Iterable[Source], job: Job, workers: int = 1) -> Iterator[Done | Kept | Failed]:
    """Segment pictures and write their outputs; results come in the sources' order.

    Existing outputs of a picture are kept. Where they were made from another picture of the same name, this
    one is done under a name of its own (see `outputs.origins`).

    Formats of one file a run are written after the last picture. If that fails, one more `Failed` follows.
    So many pictures as there are workers are processed at the same time.
    """
    parts: dict[str, list[bytes]] = {chosen.name: [] for chosen in job.per_run}
    origins = Origins(job.folder)
    if len(job.per_run) < len(job.formats):
        taken: set[str] = set()
        sources = (origins.named(source, taken, job.overwrite) for source in sources)
    for result in map_in_order(partial(_one, job, origins), sources, workers):
        if isinstance(result, Done):
            for name, part in result.parts.items():
                parts[name].append(part)
        yield result
    for chosen in job.per_run:
        if parts[chosen.name] and (failed := _merge(chosen, parts[chosen.name], job.folder)):
            yield failed


def _merge(chosen: Format, parts: list[bytes], folder: Path) -> Failed | None:
    """Write the one file of a format; returns what went wrong, if anything did."""
    path = folder / chosen.file_name
    assert chosen.merge is not None
    try:
        atomic_write(path, chosen.merge(parts))
    except OSError as error:
        return Failed(path.name, f"{path}: not written: {error.strerror or error}")
    except NephoscopeError as error:
        return Failed(path.name, f"{path}: {error}")
    except Exception as error:
        return _internal_error(path.name, error)
    return None


def _one(job: Job, origins: Origins, source: Source) -> Done | Kept | Failed:
    try:
        return _segment_to_files(source, job, origins)
    except (SceneError, DownloadError, MissingExtraError) as error:  # these name the picture
        return Failed(source.name, str(error))
    except NephoscopeError as error:
        return Failed(source.name, f"{source.name}: {error}")
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return Failed(source.name, f"{source.name}: not written: {where}{error.strerror or error}")
    except MemoryError:
        return Failed(source.name, f"{source.name}: not enough memory")
    except Exception as error:  # a bug must not fail the other pictures
        return _internal_error(source.name, error)


def _internal_error(name: str, error: Exception) -> Failed:
    """Report a bug that fails one picture; the log has its traceback."""
    log.error("%s: internal error", name, exc_info=error)
    return Failed(name, f"{name}: internal error: {type(error).__name__}: {error}")


def _segment_to_files(source: Source, job: Job, origins: Origins) -> Done | Kept:
    started = time.perf_counter()
    origin = origins.find(source.name)
    wanted, kept = _wanted(source, job, origin.stale if origin else frozenset())
    if not wanted and not job.per_run:
        if origin and not is_of(origin, source):
            raise OutputConflictError(MEANWHILE)
        return Kept(source.name, kept, origin.model if origin and origin.model != job.model.card.name else "")
    scene = replace(source.open(), name=source.name).with_location(job.bounds, job.day, job.extent)
    for name in (*wanted, *(chosen.name for chosen in job.per_run)):
        get_format(name).check(scene)  # before anything of this picture is written
    prediction = job.model.predict(scene, tta=job.tta)
    segmentation = apply_rules(replace(prediction, card=job.card or prediction.card), join=job.join)
    if wanted:
        outputs = [path for paths in wanted.values() for path in paths]
        origins.add(source, job.model.card.name, outputs, job.overwrite)
    files = []
    for name, paths in wanted.items():
        for path, content in zip(paths, get_format(name).render(segmentation), strict=True):
            if path not in kept:
                atomic_write(path, content)
                files.append(path)
                log.debug("%s: wrote %s, %d bytes", source.name, path, len(content))
    parts = {chosen.name: chosen.render(segmentation)[0] for chosen in job.per_run}
    return Done(source.name, summary(segmentation), files, kept, time.perf_counter() - started, parts)


def _wanted(source: Source, job: Job, stale: frozenset[str]) -> tuple[dict[str, list[Path]], list[Path]]:
    """Paths to write, by format, and existing ones to keep; stale ones are written anew."""
    wanted: dict[str, list[Path]] = {}
    kept: list[Path] = []
    for name in job.formats:
        endings = get_format(name).file_endings(job.model.card.patterns)
        paths = [job.folder / f"{Path(source.name).stem}{ending}" for ending in endings]
        if own := [path for path in paths if path.absolute() in job.protected]:
            raise SceneError(
                f"{source.name}: its output {own[0]} is an input picture; -o DIR writes elsewhere"
            )
        present = [path for path in paths if path.is_file() and path.name not in stale]
        existing = [] if job.overwrite else present
        if existing and source.path and source.path.is_fifo():
            raise OutputConflictError(
                f"{existing[0]} exists, and what it was made from cannot be compared with a pipe; "
                "--overwrite replaces it, -o DIR writes elsewhere"
            )
        kept += existing
        if len(existing) < len(paths):
            wanted[name] = paths
    return wanted, kept
