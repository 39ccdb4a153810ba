"""The last reading of a source that answers slowly: a tool, a server, a sensor behind a bus."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

_JOIN_S = 0.5  # longer than this nobody waits at the end for a reading under way
_MISSED = 3
"""Number of consecutive late readings after which the last reading is too old to be used."""


class Polled(Generic[T]):
    """Reads a source regularly; a call returns the last reading at once.

    Args:
        read: Reads the source. It may take long, and raise any error.
        every_s: Time between two readings.
        patience_s: Longest duration of a reading.
        clock: A simulated clock that returns seconds: a reading is then made when it is due at a call. None: a thread
            reads.

    Raises:
        Exception: The error of the first reading.
    """

    def __init__(
        self,
        read: Callable[[], T],
        every_s: float,
        *,
        patience_s: float = 0.0,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._read = read
        self._every_s = every_s
        self._stale_s = _MISSED * every_s + patience_s
        self._clock = clock or time.monotonic
        self._last = read()
        self._failure: Exception | None = None
        self._read_s = self._tried_s = self._clock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="ecoml-polled", daemon=True)
        self._by_itself = clock is None
        if self._by_itself:
            self._thread.start()

    def __call__(self) -> T:
        """The last reading.

        Raises:
            Exception: The error of the last try.
            TimeoutError: The last reading is too old.
        """
        if not self._by_itself and self._clock() - self._tried_s >= self._every_s * (1 - 1e-9):
            self._try()
        if self._failure is not None:
            raise self._failure
        age_s = self._clock() - self._read_s
        if age_s > self._stale_s:
            raise TimeoutError(f"no answer for {age_s:.3g} s")
        return self._last

    def close(self) -> None:
        """Stop reading. May be called twice."""
        self._over.set()
        if self._by_itself:
            self._thread.join(_JOIN_S)

    def _go_on(self) -> None:
        while not self._over.wait(self._every_s):
            self._try()

    def _try(self) -> None:
        self._tried_s = self._clock()
        try:
            last = self._read()
        except Exception as error:
            self._failure = error
        else:
            self._last, self._read_s, self._failure = last, self._clock(), None
