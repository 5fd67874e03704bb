"""Atomic writes, safe file names, and what this machine has."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path

MAX_BYTES = 256 * 1024 * 1024
"""Most that is read from what does not tell its size: a pipe, standard input, an address."""


def available_cpus() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
