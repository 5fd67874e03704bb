"""Atomic writes, safe file names, and work on several processors."""

import os
import secrets
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

MAX_BYTES = 256 * 1024 * 1024
"""Most that is read from what does not tell its size: a pipe, standard input, an address."""


def available_cpus() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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


def atomic_write(path: Path, content: bytes) -> None:
    """Write a file so that nobody ever sees half of it, whatever stops the writing.

    The content goes to a hidden neighbour first, which then takes the name in one step.

    Raises:
        OSError: the folder cannot be made or written, or the disk is full; nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    neighbour = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with neighbour.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        neighbour.replace(path)
    except BaseException:
        neighbour.unlink(missing_ok=True)
        raise


def sanitize_name(name: str) -> str:
    """The name with letters that no encoding knows, or that steer terminals and tables, replaced."""
    known = name.encode(errors="surrogateescape").decode(errors="replace")
    return "".join(letter if letter.isprintable() else "_" for letter in known)


def unique_name(name: str, is_taken: Callable[[str], bool]) -> str:
    """The name, with `-2`, `-3`, ... before its ending where it is taken."""
    candidate, number, path = name, 1, Path(name)
    while is_taken(candidate):
        number += 1
        candidate = f"{path.stem}-{number}{path.suffix}"
    return candidate
