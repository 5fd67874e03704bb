"""What one process of a cluster does: batches of scenes, fetched while earlier ones are segmented.

A process uses one core, however many threads Dask gives it: with two, the next batch's pictures come while
the current one is segmented. Everything it does may be done again, so it may be killed at any moment.
"""

import tempfile
import threading
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import zarr
from distributed import Reschedule, WorkerPlugin, get_worker

from nephoscope.atlas.manifest import Record, failures
from nephoscope.atlas.plan import PlannedScene
from nephoscope.atlas.store import Flags, open_store, to_flags, unwritable
from nephoscope.core.errors import AtlasError, SceneError, WorldviewError
from nephoscope.core.geo import worldview_name
from nephoscope.imagery.scene import open_scene
from nephoscope.imagery.worldview import Picture, WorldviewClient
from nephoscope.inference.model import Model
from nephoscope.inference.segmentation import Segmentation, segment

THREADS = 2
"""That a worker process should have: one batch is segmented while the next is fetched."""

_DIGITS = 4  # of what is recorded, as in the `json` output


@dataclass(frozen=True)
class Job:
    """What all processes need to know.

    Attributes:
        name: of this run on its cluster.
        store: where results go: an address that every process can reach.
        archive: where pictures come from.
        model: an ONNX file's bytes, so that the file itself need not be on other machines.
    """

    name: str
    store: str
    archive: WorldviewClient
    model: bytes = field(repr=False)


class Finished(NamedTuple):
    """A batch that is recorded: how many scenes it has and how many of them failed."""

    batch: int
    scenes: int
    failed: int


class Stopped(Exception):
    """The worker is to end; what it was doing is not recorded."""


class _Fetched(NamedTuple):
    scene: PlannedScene
    answer: Picture | WorldviewError
    seconds: float


class Segmenter(WorkerPlugin):
    """A process made ready for a job: Dask brings it to every worker, also to those that come later."""

    def __init__(self, job: Job):
        self.job = job
        self.name = job.name

    def setup(self, worker: Any) -> None:  # noqa: ARG002
        """Load the model and open the store; called by Dask when a worker begins.

        Raises:
            ModelError: the model cannot be used.
            AtlasError: the store cannot be reached from here.
        """
        cv2.setNumThreads(1)
        zarr.config.set({"threading.max_workers": 1})
        with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
            Path(file.name).write_bytes(self.job.model)
            self.model = Model.load(file.name, threads=1, device="cpu")
        self.store = open_store(self.job.store)
        self._core = threading.Lock()
        self._closing = threading.Event()

    def teardown(self, worker: Any) -> None:  # noqa: ARG002
        """Let nobody wait for an archive any more; called by Dask when a worker ends."""
        self._closing.set()

    def do(self, batch: int, connections: int) -> Finished:
        """Fetch, segment and store a batch's scenes, but those that are done already, and record them.

        Args:
            batch: its number.
            connections: requests under way at once.

        Raises:
            AtlasError: the store, or the pictures' cache, takes nothing more; the batch is not recorded.
            Stopped: the worker is to end; the batch is not recorded.
        """
        manifest, plan = self.store.manifest, self.store.plan
        records = {each["index"]: each for each in manifest.read(batch) if each["status"] == "done"}
        wanted = [plan.scene(number) for number in manifest.indices(batch) if number not in records]
        if wanted:
            fetchers = ThreadPoolExecutor(connections)
            try:
                arriving = fetchers.map(self._fetch, wanted)
                with self._core, ThreadPoolExecutor(1) as writer:
                    writes = self._segmented(arriving, records, writer)
            finally:
                fetchers.shutdown(cancel_futures=True)
            for write in writes:
                write.result()
            try:
                manifest.write(batch, [records[number] for number in sorted(records)])
            except Exception as error:  # what lies below a store can raise anything
                raise unwritable(self.job.store, error) from error
        return Finished(batch, len(records), len(failures(records.values())))

    def _fetch(self, scene: PlannedScene) -> _Fetched:
        self._go_on_after(0)
        began = time.perf_counter()
        answer: Picture | WorldviewError
        try:
            answer = self.job.archive.picture(scene.overpass, self._go_on_after)
        except WorldviewError as error:
            answer = error
        return _Fetched(scene, answer, time.perf_counter() - began)

    def _go_on_after(self, seconds: float) -> None:
        if self._closing.wait(seconds):
            raise Stopped

    def _segmented(
        self, arriving: Iterable[_Fetched], records: dict[int, Record], writer: ThreadPoolExecutor
    ) -> list[Future[None]]:
        """Segment what comes and note what became of it; the writes that were begun meanwhile."""
        writes = []
        for fetched in arriving:
            self._go_on_after(0)
            record, flags = self._one(fetched)
            records[fetched.scene.number] = record
            if flags is not None:
                writes.append(writer.submit(self.store.write, fetched.scene, flags))
        return writes

    def _one(self, fetched: _Fetched) -> tuple[Record, Flags | None]:
        scene, answer, seconds = fetched
        record: Record = {
            "index": scene.number,
            "satellite": scene.overpass.satellite,
            "date": scene.overpass.day.isoformat(),
            "box": list(scene.overpass.bounds),
        }
        if isinstance(answer, WorldviewError):
            if answer.cause == "cache":  # it will not take the next picture either
                raise AtlasError(str(answer))
            return record | _failed(answer.cause, answer), None
        began = time.perf_counter()
        try:
            found = self._segment(answer)
            flags = to_flags(found.masks, found.valid_mask)
        except SceneError as error:
            try:
                self.job.archive.forget(scene.overpass)  # or it would never be asked for again
            except WorldviewError as lost:
                raise AtlasError(str(lost)) from lost
            return record | _failed("damaged", error), None
        except MemoryError:
            return record | _failed("memory", "not enough memory"), None
        except Exception as error:  # one picture must never cost the others
            return record | _failed("unexpected", f"{type(error).__name__}: {error}"), None
        done = {
            "status": "done",
            "valid": round(float(found.valid_mask.mean()), _DIGITS),
            "cover": {name: round(cover, _DIGITS) for name, cover in found.area_fractions.items()},
            "score": {name: round(score, _DIGITS) for name, score in found.scores.items()},
            "bytes": len(answer.content),
            "sha256": answer.sha256,
            "url": answer.url,
            "from_cache": answer.from_cache,
            "fetch_seconds": round(seconds, _DIGITS),
            "segment_seconds": round(time.perf_counter() - began, _DIGITS),
        }
        return record | done, flags

    def _segment(self, picture: Picture) -> Segmentation:
        name = worldview_name(picture.overpass, self.job.archive.ending(picture.overpass))
        return segment(open_scene(picture.content, name=name), self.model)


def _failed(cause: str, reason: object) -> Record:
    return {"status": "failed", "cause": cause, "reason": str(reason)}


def do_batch(job: str, batch: int, connections: int) -> Finished:
    """The task that a cluster is given: a batch of a job that its workers were made ready for.

    Raises:
        Reschedule: this worker is to end; Dask gives the batch to another.
    """
    segmenter = get_worker().plugins[job]
    assert isinstance(segmenter, Segmenter)  # Dask brought it under this name
    try:
        return segmenter.do(batch, connections)
    except Stopped:
        raise Reschedule from None
