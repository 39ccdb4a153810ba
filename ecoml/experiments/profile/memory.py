"""Memory as in the worker process that trains: the memory that one step frees is reused by the next."""

from __future__ import annotations

import ctypes
import os

_OPTIONS = {-1: (1 << 31) - 1, -3: 1 << 30}
"""glibc's M_TRIM_THRESHOLD and M_MMAP_THRESHOLD, in bytes."""


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees, so that no page is fetched and zeroed at each step; glibc
    only.
    """
    if os.name != "posix":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, size in _OPTIONS.items():
            mallopt(option, size)
