"""The records of a store's scenes, in batches: each batch is one object beside the store's arrays.

An object is written atomically, and only when all scenes of its batch are stored or have failed. A batch
without an object is done again, so no scene is recorded twice.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec

from nephoscope.atlas.plan import PlannedScene
from nephoscope.core.errors import AtlasError, NephoscopeError
from nephoscope.core.extras import install_command
from nephoscope.core.io import atomic_write

FOLDER = "pattern_flags/manifest"
"""Inside the array: readers of Zarr look for members of groups, and would stop at each of these objects."""

Record = dict[str, Any]
"""The outcome of a scene, as a JSON object.

`index`, `satellite`, `date`, `box` (west, south, east, north) and `status`, which is `done` or `failed`. If
failed also `cause` and `reason`. If done also `valid` (share with data), `cover` and `score` (by pattern, see
`Segmentation`), and what `scene_record.done_record` adds; stores of version 0.1.0 have less of that.
"""

_REQUIRED = {"done": ("valid", "cover", "score"), "failed": ("cause", "reason")}
_READ_AT_ONCE = 256  # objects


def scene_entries(scene: PlannedScene) -> Record:
    """What every record of a scene says."""
    return {
        "index": scene.number,
        "satellite": scene.overpass.satellite,
        "date": scene.overpass.day.isoformat(),
        "box": list(scene.overpass.bounds),
    }


def failed_record(scene: PlannedScene, cause: str, reason: str) -> Record:
    """The record of a scene that failed."""
    return scene_entries(scene) | {"status": "failed", "cause": cause, "reason": reason}


@contextmanager
def store_errors(address: str, failure: str) -> Iterator[None]:
    """Raise what Zarr or a file system raises as `AtlasError`; a back end may raise any exception.

    Put only calls of these libraries inside, so that a bug of ours keeps its traceback.
    """
    try:
        yield
    except NephoscopeError:
        raise
    except ImportError as error:
        # fsspec's own message says what to install, but not from where nephoscope was installed.
        reason = f"s3fs is missing: {install_command('s3')}" if address.startswith("s3:") else error
        raise AtlasError(f"{address}: {reason}") from error
    except Exception as error:
        reason = (getattr(error, "strerror", None) or str(error)).strip() or type(error).__name__
        raise AtlasError(f"{address}: {failure}: {reason}") from error


class Manifest:
    """The records of one store, whose batches are these ranges of scenes."""

    def __init__(self, store: str, ranges: Sequence[range]):
        self._ranges = ranges
        self.batches = len(ranges)
        self.scenes = sum(map(len, ranges))
        self._store = store
        self._is_local = "://" not in store
        options = {} if self._is_local else {"use_listings_cache": False}
        self._files, root = fsspec.core.url_to_fs(store, **options)
        self._folder = f"{root.rstrip('/')}/{FOLDER}"

    def indices(self, batch: int) -> range:
        """The scenes of a batch."""
        return self._ranges[batch]

    def write(self, batch: int, records: list[Record]) -> None:
        """Write a batch's records, in place of earlier ones.

        Raises:
            AtlasError: they cannot be written; earlier ones are still there.
        """
        lines = (json.dumps(record, ensure_ascii=False, separators=(",", ":")) for record in records)
        content = "".join(f"{line}\n" for line in lines).encode()
        path = self._path(batch)
        with store_errors(self._store, "cannot be written"):
            if self._is_local:
                atomic_write(Path(path), content)
            else:
                self._files.pipe_file(path, content)  # object stores write atomically

    def read(self, batch: int) -> list[Record]:
        """A batch's records in the order of its scenes; empty unless all of them are there."""
        try:
            content = self._files.cat_file(self._path(batch))
        except FileNotFoundError:
            return []
        return self._parse(batch, content)

    def read_all(self) -> Iterator[tuple[int, list[Record]]]:
        """Every complete batch with its records, in order; at most 256 batches are held at a time."""
        try:
            objects = [PurePosixPath(path) for path in self._files.ls(self._folder, detail=False)]
        except FileNotFoundError:
            return
        numbers = [int(each.stem) for each in objects if each.suffix == ".jsonl" and each.stem.isdecimal()]
        batches = sorted(number for number in numbers if number < self.batches)
        for first in range(0, len(batches), _READ_AT_ONCE):
            paths = {batch: self._path(batch) for batch in batches[first : first + _READ_AT_ONCE]}
            contents = self._files.cat(list(paths.values()))
            for batch, path in paths.items():
                if records := self._parse(batch, contents[path]):
                    yield batch, records

    def _path(self, batch: int) -> str:
        return f"{self._folder}/{batch:08d}.jsonl"

    def _parse(self, batch: int, content: bytes) -> list[Record]:
        """A batch's records; none if the object is damaged, so that the batch is done again."""
        try:
            records: list[Record] = [json.loads(line) for line in content.splitlines()]
            complete = [record["index"] for record in records] == list(self.indices(batch)) and all(
                {"satellite", "date", "box", *_REQUIRED[record["status"]]} <= record.keys()
                for record in records
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return []
        return records if complete else []


@dataclass
class Status:
    """Counts from a store's manifest.

    Attributes:
        scenes: in the plan.
        done: scenes that are stored.
        covered: of these, scenes with any data; the others are days without coverage.
        valid: sum over the scenes of their share with data.
        causes: how many scenes failed, by cause.
        settled: scenes of complete batches without failures.
        unfinished: numbers of the batches that are missing or hold failures, in order.
    """

    scenes: int
    done: int = 0
    covered: int = 0
    valid: float = 0.0
    causes: Counter[str] = field(default_factory=Counter)
    settled: int = 0
    unfinished: list[int] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """Number of scenes that failed."""
        return self.causes.total()

    @property
    def missing(self) -> int:
        """Number of scenes that were not tried, or whose batch is incomplete."""
        return self.scenes - self.done - self.failed


def read_status(manifest: Manifest) -> Status:
    """Count a manifest's records without holding them all."""
    status = Status(manifest.scenes)
    finished = set()
    for batch, records in manifest.read_all():
        failed = _failures(records)
        if not failed:
            finished.add(batch)
            status.settled += len(records)
        status.causes.update(record["cause"] for record in failed)
        status.done += len(records) - len(failed)
        for record in records:
            if record["status"] == "done":
                status.covered += record["valid"] > 0
                status.valid += record["valid"]
    status.unfinished = [batch for batch in range(manifest.batches) if batch not in finished]
    return status


def read_failures(manifest: Manifest) -> Iterator[Record]:
    """The records of scenes that failed, in order."""
    for _, records in manifest.read_all():
        yield from _failures(records)


def _failures(records: Iterable[Record]) -> list[Record]:
    return [record for record in records if record["status"] == "failed"]
