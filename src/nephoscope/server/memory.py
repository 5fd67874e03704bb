"""The memory budget: how many pixels all workers together hold at once."""

import ctypes
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nephoscope.server.problems import Problem

_POLL = 0.2  # s between two looks whether the client is still there
_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # settings of glibc's mallopt
_LARGE = 8 * 1024**2  # bytes; the blocks of a picture of 2100x1400 are smaller
_KEPT = 32 * 1024**2  # bytes of each heap


def return_freed_memory() -> None:
    """Have large blocks given back to the system once they are freed, and smaller ones kept for later.

    By itself glibc keeps blocks of up to 32 MiB: after some large pictures, the process holds hundreds of
    megabytes that it does not use. If it kept none, the blocks of every picture would come back zeroed, page
    by page, which takes 5 % of the time. Other C libraries are left as they are.
    """
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)):
        mallopt(_MMAP_THRESHOLD, _LARGE)
        mallopt(_TRIM_THRESHOLD, _KEPT)


class PixelBudget:
    """Pixels that may be decoded at once; pictures beyond it wait their turn.

    A pixel of the budget stands for about 10 bytes: what a colour picture of 8 bits takes while it is
    decoded.
    """

    def __init__(self, pixels: int):
        self.pixels = self.free = pixels
        self._changed = threading.Condition()
        self._first = threading.Lock()  # who waits for memory is next: small pictures do not overtake

    def check(self, name: str, pixels: int) -> None:
        """Check that a picture of this cost can ever be decoded.

        Raises:
            Problem: it takes more than the whole budget.
        """
        if pixels > self.pixels:
            raise Problem(
                "too-large",
                f"{name}: needs as much memory as {pixels:,} pixels; the limit is {self.pixels:,} "
                "(`nephoscope serve --pixels`)",
            )

    @contextmanager
    def reserve(self, pixels: int, checkpoint: Callable[[], None]) -> Iterator[None]:
        """Hold a part of the budget, at most all of it, as soon as it is free.

        The checkpoint is called while waiting; what it raises ends the wait.
        """
        pixels = min(pixels, self.pixels)
        with self._first, self._changed:
            while pixels > self.free:
                self._changed.wait(_POLL)
                checkpoint()
            self.free -= pixels
        try:
            yield
        finally:
            with self._changed:
                self.free += pixels
                self._changed.notify_all()
