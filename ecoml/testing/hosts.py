"""A simulated host: energy counters with known true energies, on a clock that only moves when told to.

    host = SimulatedHost(tmp_path)
    package = host.add_package(power_w=280.0, dram_w=20.0)
    gpu = host.add_gpu(power_w=lambda t: 300.0 if t > 5 else 60.0)
    meter = ecoml.meter.open_meter(root=host.root, nvml=host.nvml, clock=host.clock)
    host.advance(10.0)
    assert meter.read()["cpu:0"] ≈ package.true_j

The file tree is that of Linux: `sys/class/powercap` holds links into `sys/devices/virtual/powercap`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ecoml.testing.counters import RAPL_STEP_J, Power, SimulatedCounter
from ecoml.testing.gpus import fake_nvml

__all__ = ["Power", "SimulatedCounter", "SimulatedHost"]


class SimulatedHost:
    """A host in a folder, with a fake NVML and a clock.

    Args:
        root: An empty folder, used as the root of the file system.
        links: Whether `sys/class/powercap` holds links, as on Linux, or the zones themselves.
    """

    def __init__(self, root: Path, *, links: bool = True) -> None:
        self.root = root
        self.nvml: Any | None = None
        self.now_s = 1000.0
        self.dram: dict[int, SimulatedCounter] = {}
        self._links = links
        self._files: list[tuple[Path, SimulatedCounter]] = []
        self._counters: list[SimulatedCounter] = []
        self._gpus: list[SimpleNamespace] = []
        self._busy: SimulatedCounter | None = None
        self._group: SimulatedCounter | None = None
        self._group_folder = root
        self._zone_count = {"intel-rapl": 0, "intel-rapl-mmio": 0}
        self._followers: list[Callable[[], None]] = []

    def clock(self) -> float:
        """The simulated time in seconds."""
        return self.now_s

    def advance(self, seconds: float) -> None:
        """Advance the time; all counters and files follow."""
        for counter in self._counters:
            counter.advance(self.now_s, self.now_s + seconds)
        self.now_s += seconds
        self.write()

    def write(self) -> None:
        """Update the files, as after a change of a counter."""
        for path, counter in self._files:
            # In place and in one go, for a reader may hold the file open in another thread.
            descriptor = os.open(path, os.O_WRONLY)
            shown = f"{math.floor(counter.raw_j * 1e6 + 1e-3)}\n".ljust(24)
            text = (counter.garbage or "" if counter.failing else shown).encode()
            os.pwrite(descriptor, text, 0)
            os.ftruncate(descriptor, len(text))
            os.close(descriptor)
        if self._busy is not None:
            ticks = round(self._busy.true_j * os.sysconf("SC_CLK_TCK"))
            fields = [
                "1",
                "(a (strange) name)",
                "R",
                *["0"] * 10,
                str(ticks // 2),
                str(ticks - ticks // 2),
                *["0"] * 37,
            ]
            (self.root / "proc/self/stat").write_text(" ".join(fields))
        if self._group is not None:
            used_us = round(self._group.true_j * 1e6)
            (self._group_folder / "cpu.stat").write_text(f"usage_usec {used_us}\nuser_usec {used_us}\nsystem_usec 0\n")
        for follow in self._followers:
            follow()

    def draw(
        self, power_w: Power, period_s: float = 1e-3, *, start_j: float = 0.0, modulus_j: float | None = None
    ) -> SimulatedCounter:
        """A counter on this host's clock that no file shows; the doubles of `ecoml.testing.machines` show it."""
        return self._counter(power_w, period_s, start_j, modulus_j)

    def follow(self, write: Callable[[], None]) -> None:
        """Call a function now, and whenever time has advanced or a counter was changed."""
        self._followers.append(write)
        write()

    def add_process(self, busy_cpus: Power) -> None:
        """Add the metered process, which keeps this many CPUs busy."""
        (self.root / "proc/self").mkdir(parents=True)
        self._busy = self._counter(busy_cpus, 0.01, 0.0, None)
        self.write()

    def add_group(self, path: str, busy_cpus: Power) -> None:
        """Put the metered process into its own control group (cgroup v2); it keeps this many CPUs busy."""
        (self.root / "proc/self").mkdir(parents=True, exist_ok=True)
        (self.root / "proc/self/cgroup").write_text(f"0::{path}\n")
        self._group_folder = self.root / "sys/fs/cgroup" / path.lstrip("/")
        self._group_folder.mkdir(parents=True)
        (self._group_folder / "cgroup.events").write_text("populated 1\nfrozen 0\n")
        self._group = self._counter(busy_cpus, 1e-3, 0.0, None)
        self.write()

    def add_package(
        self,
        power_w: Power,
        *,
        package: int = 0,
        die: int | None = None,
        dram_w: Power | None = None,
        start_j: float = 5000.0,
        modulus_j: float = 262_143.328_85,
        mmio: bool = False,
        repeats: SimulatedCounter | None = None,
        phase_s: float = 0.0,
        period_s: float = 1e-3,
        limits_w: tuple[float, float] | None = None,
    ) -> SimulatedCounter:
        """Add a package zone, with core, and with DRAM if it draws power.

        Args:
            power_w: Power of the package.
            package: Its number.
            die: Number of a die, if the package has a zone for each.
            dram_w: Power of its memory; its counter is `host.dram[package]`.
            start_j: Raw value at the start.
            modulus_j: Joules after which it wraps.
            mmio: Whether it is one of the zones of the second interface.
            repeats: A counter that this zone shows as well, in place of its own.
            phase_s: Time of its first update.
            period_s: Time between two updates.
            limits_w: Its long-term and its short-term power limit; None: the kernel shows none.
        """
        counter = repeats or self._counter(power_w, period_s, start_j, modulus_j, phase_s, RAPL_STEP_J)
        name = f"package-{package}" if die is None else f"package-{package}-die-{die}"
        zone = self._zone(name, counter, mmio=mmio)
        self._part(zone, 0, "core", counter)
        for number, (term, limit_w) in enumerate(zip(("long_term", "short_term"), limits_w or (), strict=False)):
            (zone / f"constraint_{number}_name").write_text(f"{term}\n")
            (zone / f"constraint_{number}_power_limit_uw").write_text(f"{round(limit_w * 1e6)}\n")
        if dram_w is not None:
            self.dram[package] = self._counter(dram_w, period_s, start_j / 2, 65_712.999_613, phase_s, RAPL_STEP_J)
            self._part(zone, 1, "dram", self.dram[package])
        self.write()
        return counter

    def add_psys(self, power_w: Power) -> SimulatedCounter:
        """Add the zone of the entire platform."""
        counter = self._counter(power_w, 1e-3, 100.0, 262_143.328_85, 0.0, RAPL_STEP_J)
        self._zone("psys", counter)
        self.write()
        return counter

    def add_gpu(
        self,
        power_w: Power,
        *,
        counts: bool = True,
        shows_power: bool = True,
        shows_fields: bool = True,
        name: str = "NVIDIA H200",
        uuid: str | None = None,
        phase_s: float = 0.0,
        period_s: float = 0.1,
        limit_w: float | None = None,
        module_w: Power | None = None,
        state: Mapping[str, Any] | None = None,
        processes: Mapping[int, int | None] | None = None,
    ) -> SimulatedCounter:
        """Add a GPU to the fake NVML.

        Args:
            power_w: Its power.
            counts: Whether it has an energy counter.
            shows_power: Whether its power can be read.
            shows_fields: Whether energy and power can be read in one call; drivers before 530 do not allow it.
            name: Its name.
            uuid: Its UUID; None: `GPU-` and its number eight times.
            phase_s: Time of its first update.
            period_s: Time between two updates.
            limit_w: Its enforced power limit; None: not shown.
            module_w: Power of the module with its processor, if shown; its energy counter is then the module's.
            state: Its `utilisation` (0 to 1), `temperature_c`, `clock_mhz` and `memory_used_b`.
            processes: Process on it → bytes of its memory, None if not shown.
        """
        counter = self._counter(power_w if module_w is None else module_w, period_s, 1e6, None, phase_s, 1e-3)
        number = len(self._gpus)
        self._gpus.append(
            SimpleNamespace(
                counter=counter,
                counts=counts,
                shows_power=shows_power,
                shows_fields=shows_fields,
                name=name,
                uuid=uuid or f"GPU-{str(number) * 8}",
                limit_w=limit_w,
                module=module_w is not None,
                state=dict(state or {}),
                processes=dict(processes or {}),
            )
        )
        self.nvml = self.nvml or fake_nvml(self._gpus)
        return counter

    def _counter(
        self,
        power_w: Power,
        period_s: float,
        start_j: float,
        modulus_j: float | None,
        phase_s: float = 0.0,
        step_j: float = 0.0,
    ) -> SimulatedCounter:
        counter = SimulatedCounter(power_w, period_s, start_j, modulus_j, phase_s, step_j)
        counter.advance(self.now_s, self.now_s)
        self._counters.append(counter)
        return counter

    def _zone(self, name: str, counter: SimulatedCounter, *, mmio: bool = False) -> Path:
        control = "intel-rapl-mmio" if mmio else "intel-rapl"
        number = self._zone_count[control]
        self._zone_count[control] += 1
        folder = self.root / "sys/devices/virtual/powercap" / control if self._links else self._classes()
        self._link(self.root / "sys/devices/virtual/powercap" / control)
        return self._fill(folder / f"{control}:{number}", name, counter)

    def _part(self, zone: Path, number: int, name: str, counter: SimulatedCounter) -> None:
        self._fill(zone / f"{zone.name}:{number}", name, counter)

    def _fill(self, zone: Path, name: str, counter: SimulatedCounter) -> Path:
        zone.mkdir(parents=True)
        (zone / "name").write_text(name + "\n")
        if counter.modulus_j is not None:
            (zone / "max_energy_range_uj").write_text(f"{round(counter.modulus_j * 1e6)}\n")
        (zone / "energy_uj").touch()
        self._files.append((zone / "energy_uj", counter))
        self._link(zone)
        return zone

    def _link(self, target: Path) -> None:
        if self._links:
            target.mkdir(parents=True, exist_ok=True)
            link = self._classes() / target.name
            if not link.is_symlink():
                link.symlink_to(os.path.relpath(target, link.parent))

    def _classes(self) -> Path:
        folder = self.root / "sys/class/powercap"
        folder.mkdir(parents=True, exist_ok=True)
        return folder
