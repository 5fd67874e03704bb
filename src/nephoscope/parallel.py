"""One way to work on many things at once: bounded, in order, interruptible."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def map_in_order(work: Callable[[T], R], items: Iterable[T], workers: int) -> Generator[R, None, None]:
    """Apply work to items in several threads; results come in the items' order.

    At most two items a worker are held at a time, however many there are. When the caller stops early, or is
    interrupted, what has begun is finished and nothing new begins. Threads serve well where most of the time
    is spent in decoders, networks and array operations, which run outside Python's lock.

    Args:
        work: called with each item. What it raises is raised here, at the item's turn.
        items: drawn from as results are taken.
        workers: threads.
    """
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[R]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) >= 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def available_cpus() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
