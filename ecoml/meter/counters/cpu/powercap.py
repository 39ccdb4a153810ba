"""RAPL zones as Linux shows them under `sys/class/powercap`.

A package is a zone (`intel-rapl:0`, named `package-0` or `package-0-die-1`); its memory is a zone within it
(`intel-rapl:0:0`, named `dram`). `intel-rapl-mmio:*` are the same counters through another interface. AMD's zones have
the same names. A zone may be a directory, a link, or exist only within its parent.

A hypervisor may show a guest such a tree in another folder (Scaphandre's qemu exporter: `intel-rapl:0/energy_uj` and no
other file, rewritten every 5 s with the guest's share of the host's joules by CPU time). Such a tree is called an
export.
"""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass
from pathlib import Path

from ecoml.meter.counters.files import line, matching

_CONTROLS = ("intel-rapl", "intel-rapl-mmio")  # where both show a counter, the first is read
_MARGIN = 1.25  # how far short peaks go past a limit that is meant for them
_LONG_TERM_MARGIN = 3.0
_PACKAGE = re.compile(r"package-(\d+)(?:-die-(\d+))?$")


@dataclass(frozen=True, slots=True)
class Zone:
    """One RAPL counter.

    Attributes:
        path: Its directory.
        kind: `package`, `dram` or `psys`.
        package: Number of its package; 0 for psys.
        die: Number of the die within the package; None if the package is one zone.
        modulus_j: Joules after which the counter wraps; None if the kernel does not say.
        limit_w: More than the host allows it to draw; None if the kernel does not say.
        is_export: Whether another machine writes the values, so that it is no real counter.
    """

    path: Path
    kind: str
    package: int
    die: int | None
    modulus_j: float | None
    limit_w: float | None
    is_export: bool = False

    @property
    def energy_file(self) -> Path:
        """The file with the counter, in µJ."""
        return self.path / "energy_uj"


@dataclass(frozen=True, slots=True)
class Zones:
    """The zones of powercap: zones to read, and duplicates of them."""

    zones: tuple[Zone, ...]
    repeated: tuple[Zone, ...]

    def of(self, kind: str) -> list[Zone]:
        """The zones of one kind to read, ordered by package and die."""
        return sorted((zone for zone in self.zones if zone.kind == kind), key=lambda z: (z.package, z.die or 0))


def find_zones(root: Path, folder: Path | None = None) -> Zones:
    """All package, DRAM and psys zones below a root; empty if there are none or none can be read.

    Args:
        root: Root of the file system.
        folder: The folder to use as `sys/class/powercap`; None: that one.
    """
    elsewhere, folder = folder is not None, folder or root / "sys/class/powercap"
    zones: dict[tuple[str, int, int | None], Zone] = {}
    repeated: list[Zone] = []
    for control in _CONTROLS:
        for path in matching([folder / control, folder], rf"{control}:\d+"):
            for zone in _zones_at(path, folder) or (_export(path) if elsewhere else []):
                key = (zone.kind, zone.package, zone.die)
                if zones.setdefault(key, zone) is not zone:
                    repeated.append(zone)
    return Zones(tuple(zones.values()), tuple(repeated))


class EnergyFile:
    """A powercap counter whose file stays open: a read costs less than a microsecond of system time.

    Raises:
        OSError: The file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __call__(self) -> float:
        """The raw counter in joules.

        Raises:
            OSError: The file cannot be read.
            ValueError: Its content is not a number.
        """
        raw = os.pread(self._descriptor, 32, 0)
        if not raw.strip():
            raise OSError(errno.ENODATA, os.strerror(errno.ENODATA))
        if not raw.strip().isdigit():
            raise ValueError(f"it reads {raw[:16].decode(errors='backslashreplace').strip()!r}, which is not a number")
        return int(raw) * 1e-6

    def close(self) -> None:
        """Close the file; call it once."""
        os.close(self._descriptor)


def _zones_at(path: Path, folder: Path) -> list[Zone]:
    name = line(path / "name")
    if name == "psys":
        return [_zone(path, "psys", 0, None)]
    match = _PACKAGE.match(name)
    if match is None:
        return []
    package, die = int(match[1]), None if match[2] is None else int(match[2])
    found = [_zone(path, "package", package, die)]
    for part in matching([path, folder], rf"{re.escape(path.name)}:\d+"):
        if line(part / "name") == "dram":
            found.append(_zone(part, "dram", package, die))  # noqa: PERF401 - clearer as a loop
    return found


def _export(path: Path) -> list[Zone]:
    """A zone that has only a number and a counter, and no description."""
    if (path / "name").exists() or not (path / "energy_uj").exists():
        return []
    return [Zone(path, "package", int(path.name.rpartition(":")[2]), None, None, None, is_export=True)]


def _zone(path: Path, kind: str, package: int, die: int | None) -> Zone:
    return Zone(path, kind, package, die, _modulus_j(path), _limit_w(path))


def _modulus_j(path: Path) -> float | None:
    range_uj = line(path / "max_energy_range_uj")
    # The file gives the highest value in whole µJ; the step on to zero is one unit of the hardware (15–61 µJ): nothing.
    return int(range_uj) * 1e-6 if range_uj.isdigit() and int(range_uj) > 0 else None


def _limit_w(path: Path) -> float | None:
    """More than a zone may draw, from its power limits. Boost exceeds a limit that applies to the mean over seconds."""
    limits_w: dict[str, float] = {}
    for number in range(3):
        limit_uw = line(path / f"constraint_{number}_power_limit_uw")
        name = line(path / f"constraint_{number}_name") or "long_term"
        if limit_uw.isdigit() and int(limit_uw) > 0:
            limits_w[name] = int(limit_uw) * 1e-6
    margins = {"long_term": _LONG_TERM_MARGIN}
    return max((limit_w * margins.get(name, _MARGIN) for name, limit_w in limits_w.items()), default=None)
