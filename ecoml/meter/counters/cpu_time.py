"""CPU seconds of the metered processes, by the most complete count available.

A control group (cgroup v2) counts every process that was ever in it, including processes that were handed to another
parent or never waited for. It is used if it holds only metered processes: a container's own root, or a group that a
container runtime or a batch system made for one job. A login session's group also holds the user's browser, a service
manager's may hold other logins, and the true root holds the entire host. In these cases the process and its children
are counted instead.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from ecoml.meter.counters.processes import descendants

_SCAN_S, _SCAN_SHARE = 0.25, 0.01
"""Longest time after which a new child process is noticed; it is longer if the search for children would take more than
this share of the time. A child that ends sooner is counted when its parent has waited for it.
"""

_JOB = re.compile(r"(^|/)(docker[-/]|kubepods|libpod|crio-|cri-containerd|lxc[./-]|slurm|job_|garden/|ecs[-/])")


class CpuSeconds(Protocol):
    """The CPU seconds used so far; never raises."""

    covers: str
    """Whose CPU seconds these are, in words."""

    def __call__(self) -> float: ...

    def close(self) -> None: ...


def cpu_seconds(root: Path) -> CpuSeconds:
    """The most complete count in a file system; that of this process if the file system shows none."""
    own = root == Path("/")
    group = _own_group(root, own=own)
    if group is not None:
        return GroupCpuTime(group)
    if not own and (root / "proc/self/stat").exists():
        return StatCpuTime(root / "proc/self/stat")
    return TreeCpuTime()


class TreeCpuTime:
    """CPU seconds of this process, of its living descendants, and of those it has waited for.

    Living children are found in Linux's `/proc`; on other systems a child counts once it has been waited for. A child
    that is handed to another parent, or never waited for, counts only while it lives.

    Args:
        find: Returns the living descendants of a process.
        scan_share: The largest share of the time that looking for them may take.
    """

    covers = "this process and its children"

    def __init__(self, find: Callable[[int], set[int]] = descendants, scan_share: float = _SCAN_SHARE) -> None:
        self._find = find
        self._scan_share = scan_share
        self._living: dict[int, int] = {}  # process → descriptor of its stat file
        self._scan_s = -float("inf")  # when the next scan is due

    def __call__(self) -> float:
        times = os.times()  # before the living: a child that ends in between is then missed once, never counted twice
        total_s = time.process_time() + times.children_user + times.children_system
        now_s = time.monotonic()
        if now_s >= self._scan_s:
            self._scan()
            self._scan_s = now_s + max(_SCAN_S, (time.monotonic() - now_s) / self._scan_share)
        for pid, descriptor in list(self._living.items()):
            try:
                total_s += stat_cpu_s(os.pread(descriptor, 1024, 0))
            except (OSError, ValueError, IndexError):  # it has ended and was waited for
                self._forget(pid)
        return total_s

    def close(self) -> None:
        """Close the file descriptors."""
        for pid in list(self._living):
            self._forget(pid)

    def _forget(self, pid: int) -> None:
        with contextlib.suppress(OSError):
            os.close(self._living.pop(pid))

    def _scan(self) -> None:
        for pid in self._find(os.getpid()) - self._living.keys():
            with contextlib.suppress(OSError):
                self._living[pid] = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)


class _FileCpuTime:
    """CPU seconds read from a file; the last value while the file cannot be read."""

    def __init__(self, path: Path, parse: Callable[[bytes], float], covers: str) -> None:
        self.covers = covers
        self._path = path
        self._parse = parse
        self._last_s = 0.0

    def __call__(self) -> float:
        with contextlib.suppress(OSError, ValueError, IndexError, KeyError):
            self._last_s = self._parse(self._path.read_bytes())
        return self._last_s

    def close(self) -> None:
        """No file is kept open."""


class StatCpuTime(_FileCpuTime):
    """CPU seconds of the process that a file like `/proc/self/stat` describes, and of the children it has waited
    for.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, lambda stat: stat_cpu_s(stat) + stat_cpu_s(stat, waited_for=True), "one process")


class GroupCpuTime(_FileCpuTime):
    """CPU seconds of a control group, from its `cpu.stat`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "cpu.stat", group_cpu_s, "this container or job")


def usable_cpus(root: Path = Path("/")) -> float:
    """Number of logical CPUs that this process may use, limited by its affinity and by its control group's quota."""
    cpus = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    group = _own_group(root, own=root == Path("/"))
    with contextlib.suppress(OSError, ValueError):
        if group is not None:
            quota, period = (group / "cpu.max").read_text().split()
            cpus = min(cpus, float(quota) / float(period))
    return cpus


def stat_cpu_s(stat: bytes, waited_for: bool = False) -> float:
    """User and system seconds in a line of `/proc/PID/stat` (proc(5): fields 14–15; fields 16–17 for children waited
    for).
    """
    fields = stat[stat.rindex(b")") + 2 :].split()
    first = 13 if waited_for else 11
    return (int(fields[first]) + int(fields[first + 1])) / _TICKS_PER_S


def group_cpu_s(stat: bytes) -> float:
    """CPU seconds in the text of a `cpu.stat` (its line `usage_usec`)."""
    return int(dict(line.split() for line in stat.splitlines())[b"usage_usec"]) * 1e-6


_TICKS_PER_S: int = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def _own_group(root: Path, *, own: bool) -> Path | None:
    """The folder of a control group that holds only metered processes; None if there is none."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
        path = next(line.removeprefix("0::") for line in lines if line.startswith("0::"))
    except (OSError, UnicodeDecodeError, StopIteration):
        return None
    folder = root / "sys/fs/cgroup" / path.strip().lstrip("/")
    try:
        group_cpu_s((folder / "cpu.stat").read_bytes())
        is_true_root = own and not (folder / "cgroup.events").exists()
    except (OSError, ValueError, KeyError):
        return None
    if path.strip() == "/":
        return None if is_true_root else folder
    return folder if _JOB.search(path) or (not own and "user.slice" not in path) else None
