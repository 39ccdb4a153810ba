"""Out-of-memory errors of torch, CUDA and the C library, which all have different types and messages."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

_NO_MEMORY = ("out of memory", "can't allocate", "not enough memory", "ALLOC_FAILED")


@contextlib.contextmanager
def named_out_of_memory() -> Iterator[None]:
    """Convert every out-of-memory error into a `MemoryError` with a message of one line."""
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
