"""Running out of memory, whichever way: torch, CUDA and the C library each have their own words for it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

_NO_MEMORY = ("out of memory", "can't allocate", "not enough memory", "ALLOC_FAILED")


@contextlib.contextmanager
def named_out_of_memory() -> Iterator[None]:
    """Turn every way in which memory can run out into a `MemoryError` of one line."""
    try:
        yield
        return
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        complaint = " ".join(str(error).split()) or "no memory is left"
    # Only here has the error let go of the frames, and of what their tensors hold.
    raise MemoryError(f"{complaint:.200}")


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(words in str(error) for words in _NO_MEMORY)
