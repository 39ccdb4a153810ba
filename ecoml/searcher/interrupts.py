"""Handles Ctrl-C: an interruption takes effect only where it cannot break anything."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self


class Interrupts:
    """While entered, SIGINT and SIGTERM become a `KeyboardInterrupt` at the next place that is marked as safe.

        with Interrupts() as interrupts:
            with interrupts.allowed:
                train_for_an_hour()     # interrupted at once
            enter_joules()              # never interrupted; the interruption waits for the next `allowed`

    Outside the main thread, where Python delivers no signals, this does nothing. A child that the training forks has
    the original handlers.
    """

    def __init__(self) -> None:
        self.allowed = _Allowed()
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                # A handler that someone else has set, or a parent's wish to ignore the signal, is left alone.
                if signal.getsignal(number) in (signal.default_int_handler, signal.SIG_DFL):
                    _before[number] = self._before[number] = signal.signal(number, self.allowed.interrupt)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
            _before.pop(number, None)
        self._before.clear()


_before: dict[signal.Signals, Any] = {}
"""Signals that a search currently handles, and their handlers before."""

_forking = threading.local()


def _hold_signals() -> None:
    """Block signals during a fork: Python loses signals that reach a child during its setup, and a process pool that
    ends at once would then wait forever.
    """
    _forking.mask = signal.pthread_sigmask(signal.SIG_BLOCK, _before)


def _let_signals_through() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _forking.mask)


def _end_as_others_do() -> None:
    """In a forked child: restore the original handling of signals, including those that have arrived."""
    for number, handler in _before.items():
        signal.signal(number, handler)
    _before.clear()
    _let_signals_through()


os.register_at_fork(before=_hold_signals, after_in_parent=_let_signals_through, after_in_child=_end_as_others_do)


class _Allowed:
    """Marks a place where an interruption may take effect. Not reentrant; its cost is negligible."""

    def __init__(self) -> None:
        self._open = False
        self._waiting = False

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """The signal handler."""
        del number, frame
        if self._open:
            self._open = False
            raise KeyboardInterrupt
        self._waiting = True

    def __enter__(self) -> None:
        self._open = True
        if self._waiting:
            self._open = self._waiting = False
            raise KeyboardInterrupt

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._open = False
