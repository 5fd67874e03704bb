"""Worker threads, whose next work is taken from one client after the other."""

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import TypeVar

import cv2

T = TypeVar("T")
Checkpoint = Callable[[], None]
"""Called between steps of work; raises CancelledError when the client is gone."""

_FIRST_GUESS = 0.2  # s a picture, before any was timed
_SMOOTHING = 0.1  # weight of the newest time in the running mean


class Pool:
    """Worker threads; it counts the pictures in progress or queued.

    One session of a network serves all threads: ONNX Runtime runs it in several at once, outside Python's
    lock, and a second copy would only take memory.
    """

    def __init__(self, workers: int, waited: Callable[[float], object] | None = None):
        """Start the threads; `waited` is called with the seconds that work waited for one."""
        self.workers = self._free = workers
        self._waited = waited
        self.pictures = 0
        self._seconds = _FIRST_GUESS
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}  # by client, the next one first
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="picture")
        cv2.setNumThreads(1)  # OpenCV's own threads would spin on the processors that the workers need

    def retry_after(self) -> int:
        """Seconds until the queued pictures should be done, at least 1."""
        return max(1, math.ceil(self.pictures * self._seconds / self.workers))

    async def run(self, work: Callable[[Checkpoint], T], client: str) -> T:
        """Run work on a free thread: the clients in turn, each one's work first in, first out.

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
        try:
            queued = time.perf_counter()
            await self._turn(client)
            if self._waited:
                self._waited(time.perf_counter() - queued)
            loop = asyncio.get_running_loop()
            try:
                future = self._threads.submit(timed)
            except RuntimeError:  # the server stops
                self._release()
                raise
            # A thread is free again when its work ends, which may be after the caller was cancelled.
            future.add_done_callback(lambda _: _call(loop, self._release))
            result, seconds = await asyncio.wrap_future(future)
        finally:
            abandoned.set()
            self.pictures -= 1
        self._seconds += _SMOOTHING * (seconds - self._seconds)
        return result

    async def _turn(self, client: str) -> None:
        """Wait for a thread, which is then taken."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(client, deque()).append(turn)
        self._serve()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # the thread was taken in the same moment
                self._release()
            raise

    def _release(self) -> None:
        self._free += 1
        self._serve()

    def _serve(self) -> None:
        """Give free threads to the clients in turn."""
        while self._free and self._waiting:
            client = next(iter(self._waiting))
            turns = self._waiting.pop(client)
            turn = turns.popleft()
            if turns:
                self._waiting[client] = turns  # behind all other clients
            if not turn.done():  # else its caller was cancelled
                self._free -= 1
                turn.set_result(None)

    def close(self) -> None:
        """End the threads once the work that has begun is done."""
        self._threads.shutdown(wait=True, cancel_futures=True)


def _call(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(callback)
