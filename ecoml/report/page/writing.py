"""Writing where the user said: what cannot be written is a mistake to be told, not a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ecoml.errors import UsageError


@contextmanager
def writing(folder: Path, remedy: str) -> Iterator[None]:
    """Turn what the file system refuses into one line that says what to do.

    Raises:
        UsageError: Something in `folder` cannot be written.
    """
    try:
        yield
    except OSError as error:
        where = error.filename or folder
        raise UsageError(f"{where}: cannot be written ({error.strerror or error}); {remedy}") from None
