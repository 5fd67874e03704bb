"""How a process keeps its memory while it trains on a CPU."""

import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8  # as glibc's malloc.h numbers them


def keep_freed_memory() -> None:
    """Let glibc's allocator keep what is freed, for as long as the process lives.

    A step frees and takes the same large blocks again. By default each goes back to the kernel, and comes
    again page by page, zeroed: that can take as long as the arithmetic. Other C libraries stay as they are.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        for setting, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1), (_ARENA_MAX, 1)):
            libc.mallopt(setting, value)
