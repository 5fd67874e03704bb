"""Pictures fetched a little ahead of whoever works on them, on leases that a whole cluster shares."""

import threading
import time
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from nephoscope.atlas.plan import PlannedScene
from nephoscope.worldview import Archive, Picture, WorldviewError

_BURST = 4  # pictures that are fetched one after another on one lease: asking for leases takes time, too


class Stopped(Exception):
    """Nobody wants pictures any more."""


class Fetched(NamedTuple):
    """What came for a scene, or why nothing did, and how many seconds that took."""

    scene: PlannedScene
    answer: Picture | WorldviewError
    seconds: float


@dataclass(frozen=True)
class Fetcher:
    """Gets pictures from an archive.

    Attributes:
        archive: where they come from.
        leases: a context to ask it in, which others may have to leave first.
        ahead: how many bursts of a few pictures may be under way or waiting to be worked on.
        stop: when it is set, all that is under way ends.
    """

    archive: Archive
    leases: AbstractContextManager[object]
    ahead: int
    stop: threading.Event

    def fetch(self, scenes: list[PlannedScene]) -> Generator[Fetched]:
        """Pictures in the scenes' order. Fetching begins at once, not when the first is asked for.

        Raises:
            Stopped: from the iterator; nobody wants them any more.
        """
        pool = ThreadPoolExecutor(self.ahead)
        bursts = (scenes[first : first + _BURST] for first in range(0, len(scenes), _BURST))
        under_way = deque(pool.submit(self._burst, burst) for burst in islice(bursts, self.ahead))
        return self._results(pool, bursts, under_way)

    def _results(
        self,
        pool: ThreadPoolExecutor,
        bursts: Iterator[list[PlannedScene]],
        under_way: "deque[Future[list[Fetched]]]",
    ) -> Generator[Fetched]:
        try:
            while under_way:
                fetched = under_way.popleft().result()
                if burst := next(bursts, None):
                    under_way.append(pool.submit(self._burst, burst))
                for each in fetched:
                    self._sleep(0)
                    yield each
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _burst(self, scenes: list[PlannedScene]) -> list[Fetched]:
        with self.leases:
            return [self._one(scene) for scene in scenes]

    def _one(self, scene: PlannedScene) -> Fetched:
        self._sleep(0)
        began = time.perf_counter()
        answer: Picture | WorldviewError
        try:
            answer = self.archive.picture(scene.overpass, self._sleep)
        except WorldviewError as error:
            answer = error
        return Fetched(scene, answer, time.perf_counter() - began)

    def _sleep(self, seconds: float) -> None:
        """Wait, or raise at once when nobody wants pictures any more."""
        if self.stop.wait(seconds):
            raise Stopped
