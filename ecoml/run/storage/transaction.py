"""Transactions of a ledger file: a step is on disk completely, or not at all.

A replay may end thousands of steps a second. Changes within `delay_s` of a commit wait for the rest of that time, and
are committed together.
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
    """A context that may be entered repeatedly; one inside another becomes part of it.

    Args:
        connection: Connection to the file.
        path: The file's path, for errors.
        undone: Called when an error has undone changes.

    Attributes:
        lock: Held inside; readers take it as well.
        delay_s: The longest time that a change waits to be committed.
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
        if error is None and self._depth > 1:
            self._depth -= 1
            self.lock.release()
            return
        if error is None:
            try:
                self._commit_or_wait()
            except BaseException as failed:
                self._leave(failed)
                raise
        self._leave(error)

    def _leave(self, error: BaseException | None) -> None:
        """Leave a context; on leaving the last one, undo what an error has left, and report a full disk."""
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
                f"{self._path}: {error}; earlier measurements are saved: free some space,"
                " then continue with `ecoml resume`"
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
        """Write waiting changes to disk; if this fails, the next commit tries again, and reports it."""
        with self.lock, suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("COMMIT")
                self._committed_s = time.monotonic()

    def flush(self) -> None:
        """Write waiting changes to disk.

        Raises:
            StorageError: This is not possible.
        """
        with self.lock:
            self.commit()
            if self._connection.in_transaction:
                raise StorageError(
                    f"{self._path}: cannot be written; free some space, then continue with `ecoml resume`"
                )
