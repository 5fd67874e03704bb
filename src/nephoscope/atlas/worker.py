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

from nephoscope.atlas.arrays import UNBIASED, checksums, scene_arrays
from nephoscope.atlas.breaker import CircuitBreaker
from nephoscope.atlas.flags import FLAGS, Flags
from nephoscope.atlas.manifest import Record, failed_record, scene_entries
from nephoscope.atlas.plan import PlannedScene
from nephoscope.atlas.scene_record import done_record
from nephoscope.atlas.store import open_store
from nephoscope.core.errors import AtlasError, SceneError, WorldviewError
from nephoscope.core.geo import Overpass, worldview_name
from nephoscope.imagery.reading import open_scene
from nephoscope.imagery.worldview import Picture, WorldviewClient
from nephoscope.inference.model import Model
from nephoscope.inference.segmentation import apply_rules

THREADS = 2  # of a worker process: one batch is segmented while the next is fetched

_DIGITS = 4  # of recorded seconds

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
    organisation: bool = False  # measure that of every region


class Finished(NamedTuple):
    """A recorded batch, how many scenes it has, and why the archive counts as down, if it does."""

    batch: int
    scenes: int
    outage: str = ""


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
        self.breaker = CircuitBreaker(self.job.archive, self._distant)
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
        manifest, layout = self.store.manifest, self.store.layout
        records = {each["index"]: each for each in manifest.read(batch) if each["status"] == "done"}
        missing = [layout.scene(number) for number in manifest.indices(batch) if number not in records]
        if missing:
            writes = []
            fetchers = ThreadPoolExecutor(connections)
            try:
                arriving = fetchers.map(self._fetch, missing)
                with self._core, ThreadPoolExecutor(1) as writer:
                    for fetched in arriving:
                        self._wait(0)
                        records[fetched.scene.number], arrays = self._segment(fetched)
                        if arrays:
                            flags = arrays.pop(FLAGS)
                            writes.append(writer.submit(self.store.write, fetched.scene, flags, arrays))
            finally:
                fetchers.shutdown(cancel_futures=True)
            for write in writes:
                write.result()
            self.store.flush(each for each in missing if records[each.number]["status"] == "done")
            manifest.write(batch, [records[number] for number in sorted(records)])
        return Finished(batch, len(records), self.breaker.outage)

    def _fetch(self, scene: PlannedScene) -> _Fetched:
        self._wait(0)
        start = time.perf_counter()
        result = self.breaker.picture(scene.overpass, self._wait)
        return _Fetched(scene, result, time.perf_counter() - start)

    def _distant(self, overpass: Overpass) -> Overpass:
        """A scene of half the store's days later, or earlier, than another."""
        days = self.store.layout.days
        day = days[(days.index(overpass.day) + len(days) // 2) % len(days)]
        return overpass._replace(day=day)

    def _wait(self, seconds: float) -> None:
        if self._stopping.wait(seconds):
            raise Stopped

    def _segment(self, fetched: _Fetched) -> tuple[Record, dict[str, Flags]]:
        """A scene's record and its part of the store's arrays; of these there are none if it failed."""
        scene, picture, seconds = fetched
        if isinstance(picture, WorldviewError):
            if picture.cause == "cache":  # the next image could not be cached either
                raise AtlasError(str(picture))
            return failed_record(scene, picture.cause, str(picture)), {}
        start = time.perf_counter()
        try:
            name = worldview_name(picture.overpass, self.job.archive.ending(picture.overpass))
            prediction = self.model.predict(open_scene(picture.content, name=name))
            result, unbiased = apply_rules(prediction), None
            if UNBIASED in self.store.array_names:
                unbiased = apply_rules(prediction, "unbiased")
            arrays = scene_arrays(result, unbiased, self.store.grid)
            organisation = self.job.organisation
            done = done_record(result, unbiased, picture, self.store.grid, organisation=organisation)
        except SceneError as error:
            try:
                self.job.archive.forget(scene.overpass)  # so that the next run fetches it again
            except WorldviewError as cache_error:
                raise AtlasError(str(cache_error)) from cache_error
            return failed_record(scene, "damaged", str(error)), {}
        except MemoryError:
            return failed_record(scene, "memory", "not enough memory"), {}
        except Exception as error:  # one image must never cost the others
            log.exception("%s: unexpected error", scene.overpass)
            return failed_record(scene, "unexpected", f"{type(error).__name__}: {error}"), {}
        done |= {
            "checksums": checksums({name: arrays[name] for name in self.store.array_names}),
            "fetch_seconds": round(seconds, _DIGITS),
            "segment_seconds": round(time.perf_counter() - start, _DIGITS),
        }
        return scene_entries(scene) | done, arrays


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
