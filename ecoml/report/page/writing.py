"""Writing into a folder of the user's: a failure is a message of one line, not a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ecoml.errors import UsageError


@contextmanager
def writing(folder: Path, remedy: str) -> Iterator[None]:
    """Turn an error of the file system into one line that says what to do.

    Raises:
        UsageError: A file in `folder` cannot be written.
    """
    try:
        yield
    except OSError as error:
        where = error.filename or folder
        raise UsageError(f"{where}: cannot be written ({error.strerror or error}); {remedy}") from None
