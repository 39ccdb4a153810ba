"""Ctrl-C in order: an interruption is let through only where nothing can be torn."""

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

    Outside the main thread, where Python delivers no signals, this does nothing.
    """

    def __init__(self) -> None:
        self.allowed = _Allowed()
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                # A handler that someone else has set, or a parent's wish to ignore the signal, is left alone.
                if signal.getsignal(number) in (signal.default_int_handler, signal.SIG_DFL):
                    self._before[number] = signal.signal(number, self.allowed.interrupt)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()


class _Allowed:
    """Marks a place where an interruption may be let through. Not reentrant, and free of cost."""

    def __init__(self) -> None:
        self._open = False
        self._waiting = False
        self._process = os.getpid()

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """The signal handler. A forked child of the training inherits it, and is to end as if it had not."""
        del frame
        if os.getpid() != self._process:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
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
