"""Writing into a folder of the user's: a failure is a message of one line, not a traceback."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ecoml.errors import UsageError

OTHER_FOLDER = "choose another --out, or free some space"
"""The remedy where the user chooses the folder."""


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


def check_writable(folder: Path, remedy: str) -> None:
    """Make a folder, and refuse one in which no file can be made: before the work of which it is to hold the result.

    Raises:
        UsageError: No file can be made in `folder`.
    """
    with writing(folder, remedy):
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
