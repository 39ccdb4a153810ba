"""RAPL: which counters of the processor are counted, how they are read, and the remedies if they cannot be.

Core and uncore lie within their package and are never added; DRAM lies outside it and is added; psys (the entire
platform, as the board's maker wired it) covers both. Packages are preferred to psys, whose scope differs from board to
board: psys is counted only if no package can be read, and DRAM is then not counted.
"""

from __future__ import annotations

import os
from itertools import groupby
from pathlib import Path

from ecoml.energy import Provenance
from ecoml.meter.base import Source
from ecoml.meter.counters.cpu.powercap import EnergyFile, Zone, find_zones
from ecoml.meter.counters.cpu.pyrapl import PyRapl
from ecoml.meter.repair.counter import Counter
from ecoml.meter.repair.dies import Dies
from ecoml.meter.repair.gauge import FoundGauges, Gauge
from ecoml.meter.repair.sensor import Sensor

PERIOD_S = 1e-3
"""Assumed time between two updates until it is measured (Intel SDM vol. 3B, "RAPL Interfaces": about 1 ms)."""
LONGEST_PERIOD_S = 0.05
"""Upper bound of this time until it is measured."""
STEP_J = 2.0**-14
"""Resolution: 61 µJ is the coarsest energy unit of a current processor; others count in 15 µJ."""
GAIN = 0.02
"""Half-width of the counters' own error, as a share. This is an assumption, since no maker states a figure."""
EXPORT_PERIOD_S, EXPORT_LONGEST_S = 5.0, 15.0
"""Time between two updates of the values that a hypervisor writes for its guests."""
EXPORT_GAIN = 0.25
"""Half-width of a guest's share of its host's joules. This is an assumption; the host divides by CPU time."""
MAX_POWER_W = 1000.0
"""More than a package, its memory or a client platform draws; the largest packages of 2025 are rated at 500 W."""

_COVERS = {
    "package": "cores, caches and memory controller of one processor",
    "dram": "memory of one processor",
    "psys": "entire platform, as the board's maker wired it",
}
_NAMES = {"package": "RAPL package", "dram": "RAPL DRAM", "psys": "RAPL psys"}

_REMEDY_PERMISSION = (
    "only root may read it (Linux ≥ 5.10): `sudo chmod o+r /sys/class/powercap/intel-rapl:*/energy_uj` until the next "
    "boot; for good, put this line into /etc/udev/rules.d/70-rapl.rules: "
    'SUBSYSTEM=="powercap", KERNEL=="intel-rapl:*", ACTION=="add", RUN+="/bin/chmod o+r /sys%p/energy_uj"'
)
_REMEDY_CONTAINER = (
    "hidden in this container: start it with `--security-opt systempaths=unconfined` (Docker) or `--security-opt "
    "unmask=/sys/devices/virtual/powercap` (Podman); energy_uj must be readable on the host too"
)
_REMEDY_MACHINE = (
    "this is a virtual machine, and its host hides the counters; nothing inside the machine can change this"
)
_REMEDY_DRIVER = (
    "no powercap zone: load the driver with `sudo modprobe intel_rapl_msr` (Intel since Sandy Bridge, AMD since Zen; "
    "other processors have no such counter)"
)


def find_rapl(
    root: Path,
    now_s: float,
    *,
    powercap: Path | None = None,
    keep: bool = False,
) -> FoundGauges:
    """RAPL counters below a root.

    Args:
        root: Root of the file system.
        now_s: The time now, on the meter's clock.
        powercap: The folder of the zones; None: `sys/class/powercap`.
        keep: Whether readable counters that are not counted stay open for comparison.
    """
    found = find_zones(root, powercap)
    domains = [list(dies) for kind in _COVERS for _, dies in groupby(found.of(kind), key=lambda zone: zone.package)]
    own = root == Path("/") and powercap is None
    opened = [_open(root, dies, now_s, own=own) for dies in domains]
    packages_read = any(
        dies[0].kind == "package" and not isinstance(gauge, str) for dies, gauge in zip(domains, opened, strict=True)
    )
    wanted = ("package", "dram") if packages_read else ("psys",)

    gauges: list[Gauge] = []
    unseen: dict[str, str] = {}
    sources = [_absent(kind, root, any_zone=bool(found.zones)) for kind in _COVERS if not found.of(kind)]
    for dies, gauge in zip(domains, opened, strict=True):
        kind, domain = dies[0].kind, _domain(dies[0])
        covers = _COVERS[kind] + (f", {len(dies)} dies" if len(dies) > 1 else "")
        provenance, name = Provenance.MEASURED, _NAMES[kind]
        if dies[0].is_export:
            provenance, name = Provenance.SAMPLED, "powercap export"
            covers = f"this guest's share of its host's processors, by CPU time, as {powercap} tells it"
        why = gauge if isinstance(gauge, str) else ""
        if not isinstance(gauge, str):
            gauges.append(gauge)
        elif packages_read and kind in wanted:
            unseen[domain] = f"{domain} cannot be read: {why}"
        sources.append(Source(name, domain, provenance, not why, not why, covers, why))
    sources += [_repeated(zone) for zone in found.repeated]
    rapl = FoundGauges(gauges, sources, unseen)
    unwanted = [_domain(dies[0]) for dies in domains if dies[0].kind not in wanted]
    instead = "packages are preferred to it" if packages_read else "psys contains it"
    rapl.set_aside(unwanted, f"not counted, as {instead}", keep=keep)
    return rapl


def _open(root: Path, dies: list[Zone], now_s: float, *, own: bool) -> Sensor | Dies | str:
    """The gauge of a domain, or why it cannot be read."""
    sensors: list[Sensor] = []
    try:
        for zone in dies:
            sensors.append(_sensor(zone, now_s, use_pyrapl=own and len(dies) == 1))  # noqa: PERF401
    except (OSError, ValueError) as error:
        for sensor in sensors:
            sensor.close()
        return _remedy(root, error)
    return sensors[0] if len(sensors) == 1 else Dies(sensors)


def _repeated(zone: Zone) -> Source:
    name, readable = f"{_NAMES[zone.kind]} (mmio)", os.access(zone.energy_file, os.R_OK)
    remedy = "not counted, as it is the same counter through another interface"
    return Source(name, _domain(zone), Provenance.MEASURED, readable, False, _COVERS[zone.kind], remedy)


def _domain(zone: Zone) -> str:
    return "psys" if zone.kind == "psys" else f"{'cpu' if zone.kind == 'package' else 'dram'}:{zone.package}"


def _sensor(zone: Zone, now_s: float, *, use_pyrapl: bool) -> Sensor:
    sense = (PyRapl.open(zone) if use_pyrapl else None) or EnergyFile(zone.energy_file)
    name = _domain(zone) if zone.die is None else f"{_domain(zone)} die {zone.die}"
    limit_w = None if zone.limit_w is None else min(zone.limit_w, MAX_POWER_W)
    periods_s = (EXPORT_PERIOD_S, EXPORT_LONGEST_S) if zone.is_export else (PERIOD_S, LONGEST_PERIOD_S)
    mend = Counter(name, *periods_s, MAX_POWER_W, zone.modulus_j, limit_w, STEP_J, interpolated=zone.is_export)
    try:
        mend.advance(sense(), now_s)
    except BaseException:
        sense.close()
        raise
    return Sensor(
        _domain(zone),
        Provenance.SAMPLED if zone.is_export else Provenance.MEASURED,
        EXPORT_GAIN if zone.is_export else GAIN,
        None if zone.modulus_j is None else zone.modulus_j / MAX_POWER_W / 4,
        mend,
        sense,
        sense.close,
    )


def _absent(kind: str, root: Path, *, any_zone: bool) -> Source:
    none = any_zone and kind != "package"
    reason = "this processor has none: there is no remedy" if none else _remedy(root, None)
    domain = {"package": "cpu:0", "dram": "dram:0", "psys": "psys"}[kind]
    return Source(_NAMES[kind], domain, Provenance.MEASURED, False, False, _COVERS[kind], reason)


def _remedy(root: Path, error: Exception | None) -> str:
    if isinstance(error, PermissionError):
        return _REMEDY_PERMISSION
    if _is_virtual_machine(root):
        return _REMEDY_MACHINE
    if _is_container(root):
        return _REMEDY_CONTAINER
    return _REMEDY_DRIVER if error is None else f"its counter cannot be read ({error})"


def _is_virtual_machine(root: Path) -> bool:
    try:
        text = (root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "")
    return "hypervisor" in flags.split()


def _is_container(root: Path) -> bool:
    return any(_exists(root / mark) for mark in (".dockerenv", "run/.containerenv"))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False
