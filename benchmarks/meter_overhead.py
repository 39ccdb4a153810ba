"""The CPU seconds of a real training, and those that a meter adds to them; see `meter_tools.py`."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

TRAINING_S = 10.0


class Tool(Protocol):
    """A tool, which is set up by its constructor."""

    def begin(self) -> None:
        """Open a window."""

    def end(self) -> dict[str, Any]:
        """Close it. Returns `energy_j` of the processor, None if the tool has no figure; ecoml adds `uncertainty_j`."""

    def close(self) -> None:
        """End the tool's threads and processes."""


class _Threads:
    """CPU seconds of the Python threads that start while this object is active, ended ones included."""

    def __init__(self) -> None:
        self._ended_s = 0.0
        self._running: set[threading.Thread] = set()
        real = threading.Thread._bootstrap_inner  # type: ignore[attr-defined]  # where every thread begins

        def counted(thread: threading.Thread) -> None:
            self._running.add(thread)
            try:
                real(thread)
            finally:
                self._ended_s += time.thread_time()
                self._running.discard(thread)

        threading.Thread._bootstrap_inner = counted  # type: ignore[attr-defined]  # as above

    @property
    def cpu_s(self) -> float:
        """CPU seconds so far."""
        return self._ended_s + sum(_scheduled_s(f"self/task/{thread.native_id}") for thread in list(self._running))


def _scheduled_s(process: str) -> float:
    try:
        return int(Path(f"/proc/{process}/schedstat").read_text().split()[0]) * 1e-9
    except (OSError, IndexError):
        return 0.0


def _children() -> set[str]:
    """Processes that this process has started."""
    return {child for path in Path("/proc/self/task").glob("*/children") for child in path.read_text().split()}


def _processes_s(processes: set[str]) -> float:
    """CPU seconds of processes."""
    total_s = 0.0
    for process in processes:
        with contextlib.suppress(OSError):  # it has ended meanwhile
            total_s += sum(
                _scheduled_s(f"{process}/task/{task.name}") for task in Path(f"/proc/{process}/task").iterdir()
            )
    return total_s


def training(make: Callable[[], Tool] | None) -> dict[str, Any]:
    """CPU seconds of a real training, and those that a tool adds."""
    from ecoml.training.base import NoAccount
    from ecoml.training.images import CnnTraining
    from ecoml.trial import Trial

    executor = CnnTraining("digits", threads=1)
    executor.prepare()
    config = {"width": 16, "depth": 3, "batch_size": 128, "learning_rate": 0.1, "epochs": 10_000}
    run = executor.start(Trial(0, config), NoAccount())
    next(run)  # so that costs of the first window are left out
    workers = _children()

    def beside() -> float:
        """CPU seconds of the tool's own threads and processes."""
        return threads.cpu_s + _processes_s(_children() - workers)

    threads = _Threads()
    started_s = time.process_time()
    tool = make() if make is not None else None
    if tool is not None:
        tool.begin()
        tool.end()
        time.sleep(3.0)  # until its processes have started
    startup_s = time.process_time() - started_s + _processes_s(_children() - workers)

    beside_s, windows_s, windows = beside(), 0.0, 0
    cpu_s, wall_s = time.process_time() + _processes_s(workers), time.monotonic()
    while time.monotonic() - wall_s < TRAINING_S:
        if tool is not None:
            edge_s = time.thread_time()
            tool.begin()
            windows_s += time.thread_time() - edge_s
        next(run)
        if tool is not None:
            edge_s = time.thread_time()
            tool.end()
            windows_s += time.thread_time() - edge_s
        windows += 1
    wall_s = time.monotonic() - wall_s
    beside_s = beside() - beside_s
    cpu_s = time.process_time() + _processes_s(workers) - cpu_s
    if tool is not None:
        tool.close()
    return {
        "startup_cpu_s": startup_s,
        "training_cpu_s": cpu_s,
        "wall_s": wall_s,
        "windows": windows,
        "window_cpu_s": windows_s / windows,
        "beside_cpu_s": beside_s,
    }
