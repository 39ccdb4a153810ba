"""A simulated system for any Python program: its energy counters, its clock, and their faults.

Python imports this module by itself when the folder is on PYTHONPATH, in child processes too. It does nothing unless
these variables are set:

    ECOML_SIMULATED_ROOT   a folder; files under `SHOWN` are read from below it (builtins.open, os, pathlib, glob)
    ECOML_SIMULATED_STATE  a file of `STATE`: the clock, the true energy so far, and the faults of the counters
    ECOML_SIMULATED_CLOCK  if set, `time` and waits for threads and processes follow the simulated clock

No program is changed or informed: each reads the system's files at their usual paths.
"""

from __future__ import annotations

import builtins
import errno
import io
import mmap
import os
import struct
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

STATE = struct.Struct("dddd")
"""Seconds of the clock; true joules of the processor; whether reading a counter fails; whether opening one fails."""
SLEEPERS = struct.Struct("1024d")
"""When each sleeping thread wants to wake, by its number; 0: it does not sleep. The clock waits for waking threads."""
SHOWN = ("/sys/class/powercap", "/sys/devices/virtual/powercap", "/sys/devices/system/cpu", "/proc/cpuinfo", "/run/")
_COUNTER = "/energy_uj"
_STEP_S = 0.001  # real seconds between two looks at the simulated clock


class State:
    """The memory that the simulation shares with the programs that run in it."""

    def __init__(self, path: str) -> None:
        with Path(path).open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), STATE.size + SLEEPERS.size)

    @staticmethod
    def create(path: Path) -> State:
        """A new one, in a file."""
        path.write_bytes(bytes(STATE.size + SLEEPERS.size))
        return State(str(path))

    @property
    def clock_s(self) -> float:
        """Seconds of the simulated clock."""
        return float(STATE.unpack_from(self._memory)[0])

    @property
    def true_j(self) -> float:
        """Joules that the processor has drawn so far."""
        return float(STATE.unpack_from(self._memory)[1])

    @property
    def failing(self) -> bool:
        """Whether reading a counter fails with EIO."""
        return bool(STATE.unpack_from(self._memory)[2])

    @property
    def denied(self) -> bool:
        """Whether opening a counter fails with EACCES."""
        return bool(STATE.unpack_from(self._memory)[3])

    @property
    def next_s(self) -> float:
        """When the first sleeping thread wants to wake."""
        return min(filter(None, SLEEPERS.unpack_from(self._memory, STATE.size)), default=float("inf"))

    def forget(self) -> None:
        """Forget all threads that are about to wake, because they were ended while they slept."""
        clock_s = self.clock_s
        ends_s = SLEEPERS.unpack_from(self._memory, STATE.size)
        for slot in (slot for slot, end_s in enumerate(ends_s) if 0.0 < end_s <= clock_s):
            struct.pack_into("d", self._memory, STATE.size + 8 * slot, 0.0)

    def sleep_until(self, end_s: float) -> None:
        """Store when this thread wants to wake; 0: it has woken."""
        slot = threading.get_native_id() % (SLEEPERS.size // 8)
        struct.pack_into("d", self._memory, STATE.size + 8 * slot, end_s)

    def write(self, clock_s: float, true_j: float, failing: bool, denied: bool) -> None:
        """Set all values."""
        STATE.pack_into(self._memory, 0, clock_s, true_j, failing, denied)


def install(root: str, state: State, *, clock: bool) -> None:
    """Make this process see the simulated system."""
    _show_files(root, state)
    if clock:
        _follow_clock(state)


def _show_files(root: str, state: State) -> None:
    counters: set[int] = set()
    real_open, real_os_open, real_access = io.open, os.open, os.access

    def there(path: Any) -> Any:
        text = path if isinstance(path, str) else os.fspath(path) if hasattr(path, "__fspath__") else None
        if isinstance(text, str) and text.startswith(SHOWN):
            return root + text
        return path

    def is_counter(path: Any) -> bool:
        return isinstance(path, str) and path.startswith(root) and path.endswith(_COUNTER)

    def deny(path: Any) -> None:
        if is_counter(path) and state.denied:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    class Counter(io.FileIO):
        def readinto(self, buffer: Any) -> int | None:
            fail()
            return super().readinto(buffer)

        def readall(self) -> bytes:
            fail()
            return super().readall()

    def fail() -> None:
        if state.failing:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def open_(file: Any, mode: str = "r", *arguments: Any, **keywords: Any) -> Any:
        file = there(file)
        if is_counter(file):
            deny(file)
            binary = io.BufferedReader(Counter(file, "r"))
            return binary if "b" in mode else io.TextIOWrapper(binary)
        return real_open(file, mode, *arguments, **keywords)

    def os_open(path: Any, *arguments: Any, **keywords: Any) -> int:
        path = there(path)
        deny(path)
        descriptor = real_os_open(path, *arguments, **keywords)
        (counters.add if is_counter(path) else counters.discard)(descriptor)
        return descriptor

    def reading(real: Callable[..., Any]) -> Callable[..., Any]:
        def read(descriptor: int, *arguments: Any) -> Any:
            if descriptor in counters:
                fail()
            return real(descriptor, *arguments)

        return read

    def elsewhere(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any = ".", *arguments: Any, **keywords: Any) -> Any:
            return real(there(path), *arguments, **keywords)

        return call

    def access(path: Any, mode: int, **keywords: Any) -> bool:
        path = there(path)
        return not (is_counter(path) and state.denied) and real_access(path, mode, **keywords)

    builtins.open = io.open = open_  # type: ignore[assignment]  # it takes the arguments of `open`
    os.open, os.access = os_open, access
    for name in ("read", "pread"):
        setattr(os, name, reading(getattr(os, name)))
    for name in ("listdir", "scandir", "stat", "lstat", "readlink", "mkdir", "unlink", "remove"):
        setattr(os, name, elsewhere(getattr(os, name)))


def _follow_clock(state: State) -> None:
    import multiprocessing.synchronize

    real_sleep, real_clock, epoch_s = time.sleep, time.clock_gettime, time.time()
    walls = {getattr(time, f"CLOCK_{name}", None) for name in ("MONOTONIC", "MONOTONIC_RAW", "BOOTTIME")}

    def now_s() -> float:
        return state.clock_s

    def clock_gettime(clock: int) -> float:
        if clock in walls:
            return now_s()
        return epoch_s + now_s() if clock == time.CLOCK_REALTIME else real_clock(clock)

    def sleep(seconds: float) -> None:
        end_s = now_s() + seconds
        state.sleep_until(end_s)
        while now_s() < end_s:
            real_sleep(_STEP_S)
        state.sleep_until(0.0)

    def until(real: Callable[..., bool]) -> Callable[..., bool]:
        def wait(event: Any, timeout: float | None = None) -> bool:
            if timeout is None:
                return real(event)
            end_s = now_s() + timeout
            state.sleep_until(end_s)
            while not (came := real(event, _STEP_S)):  # which looks at the event's flag each time
                if now_s() >= end_s:
                    break
            state.sleep_until(0.0)
            return came

        return wait

    def briefly(real: Callable[..., bool]) -> Callable[..., bool]:
        # A waiting thread checks the clock and its condition itself, and waits again.
        def wait(condition: Any, timeout: float | None = None) -> bool:
            return real(condition, None if timeout is None else min(timeout, _STEP_S))

        return wait

    time.sleep, time.clock_gettime = sleep, clock_gettime
    time.clock_gettime_ns = lambda clock: int(clock_gettime(clock) * 1e9)
    time.monotonic = time.perf_counter = now_s
    time.monotonic_ns = time.perf_counter_ns = lambda: int(now_s() * 1e9)
    time.time = lambda: epoch_s + now_s()
    time.time_ns = lambda: int((epoch_s + now_s()) * 1e9)
    threading._time = now_s  # type: ignore[attr-defined]  # what waits with a timeout reads
    for module in (threading, multiprocessing.synchronize):
        module.Condition.wait = briefly(module.Condition.wait)  # type: ignore[attr-defined,method-assign]
        module.Event.wait = until(module.Event.wait)  # type: ignore[attr-defined,method-assign]


if "ECOML_SIMULATED_ROOT" in os.environ and "ECOML_SIMULATED_STATE" in os.environ:
    try:
        install(
            os.environ["ECOML_SIMULATED_ROOT"],
            State(os.environ["ECOML_SIMULATED_STATE"]),
            clock="ECOML_SIMULATED_CLOCK" in os.environ,
        )
    except OSError as error:
        sys.exit(f"the simulated system cannot be shown: {error}")
