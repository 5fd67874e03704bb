"""A bounded queue in front of worker threads; requests beyond it are refused with Retry-After."""

import asyncio
import math
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import cv2

from nephoscope.server.limits import Limits
from nephoscope.server.problems import Problem

T = TypeVar("T")
Checkpoint = Callable[[], None]
"""Called between steps of work; raises CancelledError when the client is gone."""

_FIRST_GUESS = 0.2  # s a picture, before any was timed
_SMOOTHING = 0.1  # weight of the newest time in the running mean


class Pool:
    """Worker threads, and admission of requests; it counts those in progress or queued.

    One session of a network serves all threads: ONNX Runtime runs it in several at once, outside Python's
    lock, and a second copy would only take memory.
    """

    def __init__(self, workers: int, limits: Limits):
        self.workers, self.limits = workers, limits
        self.requests = self.pictures = self.held_bytes = 0
        self._seconds = _FIRST_GUESS
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="picture")
        cv2.setNumThreads(1)  # OpenCV's own threads would spin on the processors that the workers need

    @contextmanager
    def admit(self, length: int) -> Iterator[None]:
        """Count a request and the bytes of its body, before any of them is read.

        Raises:
            Problem: the queue is full.
        """
        if self.requests >= self.limits.requests or self.held_bytes + length > self.limits.held_bytes:
            wait = self.retry_after()
            raise Problem("full", f"the server is busy; retry in {wait} s", wait)
        self.requests += 1
        self.held_bytes += length
        try:
            yield
        finally:
            self.requests -= 1
            self.held_bytes -= length

    def retry_after(self) -> int:
        """Seconds until the queued pictures should be done, at least 1."""
        return max(1, math.ceil(self.pictures * self._seconds / self.workers))

    async def run(self, work: Callable[[Checkpoint], T]) -> T:
        """Run work on the next free thread, first in first out.

        Cancelling the caller removes work from the queue; work that has begun ends at its next checkpoint.
        """
        abandoned = threading.Event()

        def checkpoint() -> None:
            if abandoned.is_set():
                raise CancelledError

        def timed() -> tuple[T, float]:
            checkpoint()
            started = time.perf_counter()
            return work(checkpoint), time.perf_counter() - started

        self.pictures += 1
        future = self._threads.submit(timed)
        try:
            result, seconds = await asyncio.wrap_future(future)
        finally:
            abandoned.set()
            self.pictures -= 1
        self._seconds += _SMOOTHING * (seconds - self._seconds)
        return result

    def close(self) -> None:
        """End the threads once the work that has begun is done."""
        self._threads.shutdown(wait=True, cancel_futures=True)
