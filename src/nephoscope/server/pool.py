"""A bounded queue before a few workers: who comes when it is full is told when to come again."""

import asyncio
import math
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import cv2

from nephoscope.server.problems import Problem
from nephoscope.server.settings import Limits

T = TypeVar("T")
Step = Callable[[], None]
"""Called between two steps of work; raises Abandoned when nobody waits for it any more."""

_FIRST_GUESS = 0.2  # s a picture, until some were timed
_MEMORY = 0.1  # weight of the newest time in the mean


class Abandoned(Exception):
    """Whoever asked has gone."""


class Pool:
    """Threads that work on pictures, and places for requests that wait for them.

    One session of a network serves all threads: ONNX Runtime runs it in several at once, outside Python's
    lock, and a second copy would only take memory.

    Args:
        workers: threads.
        limits: how many requests and bytes may be inside at once.
    """

    def __init__(self, workers: int, limits: Limits):
        self.workers = workers
        self.limits = limits
        self.requests = 0
        self.held_bytes = 0
        self.pictures = 0
        self.seconds = _FIRST_GUESS
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="picture")
        cv2.setNumThreads(1)  # its helpers would wait, busily, on the processors that the workers need

    @contextmanager
    def place(self, length: int) -> Iterator[None]:
        """A place for a request whose body has some bytes, before any of them is read.

        Raises:
            Problem: all are taken.
        """
        if self.requests >= self.limits.requests or self.held_bytes + length > self.limits.held_bytes:
            wait = self.retry_after()
            raise Problem("full", f"the server is full; come again in {wait} s", wait)
        self.requests += 1
        self.held_bytes += length
        try:
            yield
        finally:
            self.requests -= 1
            self.held_bytes -= length

    def retry_after(self) -> int:
        """Seconds until the pictures inside should be done, at least 1."""
        return max(1, math.ceil(self.pictures * self.seconds / self.workers))

    async def run(self, work: Callable[[Step], T]) -> T:
        """Do some work as soon as a worker is free, in the order of asking.

        A caller that is cancelled takes its work back where that has not begun; where it has, the next
        step ends it.
        """
        abandoned = threading.Event()

        def step() -> None:
            if abandoned.is_set():
                raise Abandoned

        def timed() -> tuple[T, float]:
            step()
            started = time.perf_counter()
            return work(step), time.perf_counter() - started

        self.pictures += 1
        future = self._threads.submit(timed)
        try:
            result, seconds = await asyncio.wrap_future(future)
        finally:
            abandoned.set()
            self.pictures -= 1
        self.seconds += _MEMORY * (seconds - self.seconds)
        return result

    def close(self) -> None:
        """End the threads, once the work that has begun is done."""
        self._threads.shutdown(wait=True, cancel_futures=True)
