"""Transactions of a ledger file: all of a step is on disk, or nothing of it.

A replay may end thousands of steps a second. What comes within `delay_s` of a commit waits for the rest of that time,
and is committed with all that has come meanwhile.
"""

from __future__ import annotations

import math
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ecoml.errors import StorageError


class Transaction:
    """A context that may be entered again and again; one that stands inside another is part of that.

    Args:
        connection: To the file.
        path: The file's, for errors.
        undone: Called when an error has undone what was written.

    Attributes:
        lock: Held inside; whoever reads takes it as well.
        delay_s: The longest that something waits to be committed.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, undone: Callable[[], None]) -> None:
        self.lock = threading.RLock()
        self.delay_s = 0.0
        self._connection = connection
        self._path = path
        self._undone = undone
        self._depth = 0  # of contexts within each other
        self._committed_s = -math.inf
        self._timer: threading.Timer | None = None  # while something waits

    def __enter__(self) -> None:
        self.lock.acquire()
        self._depth += 1
        if self._depth > 1:
            return
        try:
            if not self._connection.in_transaction:
                self._connection.execute("BEGIN IMMEDIATE")
            if self._timer is not None:
                self._connection.execute("SAVEPOINT step")  # what waits outlives a failure of this step
        except BaseException as error:
            self._leave(error)
            raise

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None and self._depth == 1:
            try:
                self._commit_or_wait()
            except BaseException as failed:
                self._leave(failed)
                raise
        self._leave(error)

    def _leave(self, error: BaseException | None) -> None:
        """Out of one context; out of the last one, what an error has left undone is undone, and a full disk named."""
        self._depth -= 1
        try:
            if error is not None and self._depth == 0:
                self._undone()
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK" if self._timer is None else "ROLLBACK TO step")
        finally:
            self.lock.release()
        if isinstance(error, sqlite3.OperationalError):
            raise StorageError(
                f"{self._path}: {error}; what was measured before is safe: make room, then go on with `ecoml resume`"
            ) from error

    def _commit_or_wait(self) -> None:
        wait_s = self._committed_s + self.delay_s - time.monotonic()
        if wait_s <= 0:
            self._connection.execute("COMMIT")
            self._committed_s = time.monotonic()
            return
        if self._timer is not None:
            self._connection.execute("RELEASE step")
        else:
            self._timer = threading.Timer(wait_s, self._commit_in_time)
            self._timer.daemon = True
            self._timer.start()

    def _commit_in_time(self) -> None:
        with self.lock:
            self._timer = None
            self.commit()

    def commit(self) -> None:
        """Put on disk what waits; where that fails, the next commit does, and says so."""
        with self.lock, suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("COMMIT")
                self._committed_s = time.monotonic()

    def flush(self) -> None:
        """Put on disk what waits.

        Raises:
            StorageError: It cannot be.
        """
        with self.lock:
            self.commit()
            if self._connection.in_transaction:
                raise StorageError(f"{self._path}: cannot be written; make room, then go on with `ecoml resume`")
