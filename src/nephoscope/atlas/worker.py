"""The work of one process of a cluster: batches of scenes, fetched while earlier ones are segmented.

A process uses one core, however many threads Dask gives it: with two, the next batch's images are fetched
while the current one is segmented. All work can be repeated, so a process may be killed at any time.
"""

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import cv2
import zarr
from distributed import Reschedule, WorkerPlugin, get_worker

from nephoscope.atlas.flags import Flags, encode
from nephoscope.atlas.manifest import Record
from nephoscope.atlas.plan import PlannedScene
from nephoscope.atlas.store import open_store
from nephoscope.core.errors import AtlasError, SceneError, WorldviewError
from nephoscope.core.geo import worldview_name
from nephoscope.imagery.reading import open_scene
from nephoscope.imagery.worldview import Picture, WorldviewClient
from nephoscope.inference.model import Model
from nephoscope.inference.segmentation import apply_rules

THREADS = 2  # of a worker process: one batch is segmented while the next is fetched

_DIGITS = 4  # of recorded numbers, as in the `json` output

log = logging.getLogger("nephoscope")


@dataclass(frozen=True)
class Job:
    """What all processes need to know: the run's name and the store's address, which all can reach.

    The model is an ONNX file's bytes, so that the file itself need not be on other machines.
    """

    name: str
    store: str
    archive: WorldviewClient
    model: bytes = field(repr=False)


class Finished(NamedTuple):
    """A recorded batch and how many scenes it has."""

    batch: int
    scenes: int


class Stopped(Exception):
    """The worker is shutting down; its current batch is not recorded."""


class _Fetched(NamedTuple):
    scene: PlannedScene
    result: Picture | WorldviewError
    seconds: float


class Segmenter(WorkerPlugin):
    """A process prepared for a job: Dask brings it to every worker, also to those that start later."""

    def __init__(self, job: Job):
        self.job = job
        self.name = job.name

    def setup(self, worker: Any) -> None:  # noqa: ARG002
        """Load the model and open the store; called by Dask when a worker starts."""
        cv2.setNumThreads(1)
        zarr.config.set({"threading.max_workers": 1})
        self.model = Model.from_bytes(self.job.model, "the atlas's model", threads=1, device="cpu")
        self.store = open_store(self.job.store)
        self._core = threading.Lock()
        self._stopping = threading.Event()

    def teardown(self, worker: Any) -> None:  # noqa: ARG002
        """Stop waiting for the archive; called by Dask when a worker ends."""
        self._stopping.set()

    def process(self, batch: int, connections: int) -> Finished:
        """Fetch, segment and store a batch's scenes that are not done yet, and record them.

        Raises:
            AtlasError: the store or the cache of images cannot be written; the batch is not recorded.
            Stopped: the worker is shutting down; the batch is not recorded.
        """
        manifest, plan = self.store.manifest, self.store.plan
        records = {each["index"]: each for each in manifest.read(batch) if each["status"] == "done"}
        missing = [plan.scene(number) for number in manifest.indices(batch) if number not in records]
        if missing:
            writes = []
            fetchers = ThreadPoolExecutor(connections)
            try:
                arriving = fetchers.map(self._fetch, missing)
                with self._core, ThreadPoolExecutor(1) as writer:
                    for fetched in arriving:
                        self._wait(0)
                        records[fetched.scene.number], flags = self._segment(fetched)
                        if flags is not None:
                            writes.append(writer.submit(self.store.write, fetched.scene, flags))
            finally:
                fetchers.shutdown(cancel_futures=True)
            for write in writes:
                write.result()
            manifest.write(batch, [records[number] for number in sorted(records)])
        return Finished(batch, len(records))

    def _fetch(self, scene: PlannedScene) -> _Fetched:
        self._wait(0)
        start = time.perf_counter()
        try:
            result: Picture | WorldviewError = self.job.archive.picture(scene.overpass, self._wait)
        except WorldviewError as error:
            result = error
        return _Fetched(scene, result, time.perf_counter() - start)

    def _wait(self, seconds: float) -> None:
        if self._stopping.wait(seconds):
            raise Stopped

    def _segment(self, fetched: _Fetched) -> tuple[Record, Flags | None]:
        scene, picture, seconds = fetched
        record: Record = {
            "index": scene.number,
            "satellite": scene.overpass.satellite,
            "date": scene.overpass.day.isoformat(),
            "box": list(scene.overpass.bounds),
        }
        if isinstance(picture, WorldviewError):
            if picture.cause == "cache":  # the next image could not be cached either
                raise AtlasError(str(picture))
            return record | _failed(picture.cause, picture), None
        start = time.perf_counter()
        try:
            name = worldview_name(picture.overpass, self.job.archive.ending(picture.overpass))
            result = apply_rules(self.model.predict(open_scene(picture.content, name=name)))
            flags = encode(result.masks, result.valid_mask)
        except SceneError as error:
            try:
                self.job.archive.forget(scene.overpass)  # so that the next run fetches it again
            except WorldviewError as cache_error:
                raise AtlasError(str(cache_error)) from cache_error
            return record | _failed("damaged", error), None
        except MemoryError:
            return record | _failed("memory", "not enough memory"), None
        except Exception as error:  # one image must never cost the others
            log.exception("%s: unexpected error", scene.overpass)
            return record | _failed("unexpected", f"{type(error).__name__}: {error}"), None
        done = {
            "status": "done",
            "valid": round(float(result.valid_mask.mean()), _DIGITS),
            "cover": {name: round(cover, _DIGITS) for name, cover in result.area_fractions.items()},
            "score": {name: round(score, _DIGITS) for name, score in result.scores.items()},
            "bytes": len(picture.content),
            "sha256": picture.sha256,
            "url": picture.url,
            "from_cache": picture.from_cache,
            "fetch_seconds": round(seconds, _DIGITS),
            "segment_seconds": round(time.perf_counter() - start, _DIGITS),
        }
        return record | done, flags


def _failed(cause: str, reason: object) -> Record:
    return {"status": "failed", "cause": cause, "reason": str(reason)}


def process_batch(job: str, batch: int, connections: int) -> Finished:
    """Process a batch of a job whose `Segmenter` its workers have; the task that a cluster gets.

    Raises:
        Reschedule: this worker is shutting down; Dask gives the batch to another.
    """
    segmenter = get_worker().plugins[job]
    assert isinstance(segmenter, Segmenter)  # Dask brought it under this name
    try:
        return segmenter.process(batch, connections)
    except Stopped:
        raise Reschedule from None
