"""Atomic writes, safe file names, and work on several processors."""

import csv
import io
import os
import secrets
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

T = TypeVar("T")
R = TypeVar("R")

MAX_BYTES = 256 * 1024 * 1024  # read from a source of unknown size: a pipe, standard input, an address


def available_cpus() -> int:
    """Number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_in_order(work: Callable[[T], R], items: Iterable[T], workers: int) -> Generator[R, None, None]:
    """Apply work to items in several threads; results come in the items' order.

    At most two items a worker are held at a time. When the caller stops early or is interrupted, running
    calls finish and no new ones start. Threads suit decoders, networks and array operations, which release
    Python's lock.

    Args:
        work: called with each item. Its exceptions are raised here, at the item's turn.
        items: consumed as results are taken.
        workers: number of threads.
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
    """Write a file atomically: it appears with all of its content, or not at all.

    Raises:
        OSError: the folder cannot be created or written, or the disk is full; no file is left behind.
    """
    with atomic_open(path) as file:
        file.write(content)


@contextmanager
def atomic_open(path: Path) -> Iterator[BinaryIO]:
    """Open a file that appears atomically, with all that was written to it, or not at all if that fails.

    The content goes to a hidden file beside it, which then replaces `path` in one step.

    Raises:
        OSError: as `atomic_write`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with partial.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table as CSV, lines ended by a line feed."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return file.getvalue()


def is_hidden(path: Path) -> bool:
    """Whether a file is no part of what its folder is for: its name begins with a dot.

    Such are macOS's `._scene.jpg`, which hold attributes and no picture, and unfinished `atomic_write`s.
    """
    return path.name.startswith(".")


def sanitize_name(name: str) -> str:
    """Replace letters of a name, or of a text, that are not printable or have no valid encoding."""
    decoded = name.encode(errors="surrogateescape").decode(errors="replace")
    return "".join(letter if letter.isprintable() else "_" for letter in decoded)


def unique_name(name: str, is_taken: Callable[[str], bool]) -> str:
    """Make a name unique by `-2`, `-3`, ... before its ending."""
    candidate, number, path = name, 1, Path(name)
    while is_taken(candidate):
        number += 1
        candidate = f"{path.stem}-{number}{path.suffix}"
    return candidate
