"""The memory that a training may still use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def free_host_bytes(root: Path = Path("/")) -> int | None:
    """Bytes this process may still allocate: the least of the host's and of its control groups'; None if unknown."""
    return min([*_host(root), *_groups_v2(root), *_group_v1(root)], default=None)


def _host(root: Path) -> Iterator[int]:
    for line in _text(root / "proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            yield int(line.split()[1]) * 1024


def _groups_v2(root: Path) -> Iterator[int]:
    """Each control group (version 2) from this process's own up to the root."""
    top = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        if line.startswith("0::/"):
            own = top / line.removeprefix("0::/")
            for folder in (own, *own.parents):
                if folder.is_relative_to(top):
                    yield from _left(folder / "memory.max", folder / "memory.current", folder / "memory.stat")


def _group_v1(root: Path) -> Iterator[int]:
    folder = root / "sys/fs/cgroup/memory"
    limit, used = folder / "memory.limit_in_bytes", folder / "memory.usage_in_bytes"
    yield from _left(limit, used, folder / "memory.stat")


def _left(limit: Path, used: Path, stat: Path) -> Iterator[int]:
    limit_text, used_text = _text(limit).strip(), _text(used).strip()
    if not (limit_text.isdigit() and used_text.isdigit()):
        return  # "max", or no such group
    counts = dict(line.split(" ", 1) for line in _text(stat).splitlines() if " " in line)
    reclaimable = counts.get("total_inactive_file") or counts.get("inactive_file") or "0"
    yield max(0, int(limit_text) - int(used_text) + int(reclaimable))


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
