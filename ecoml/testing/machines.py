"""Doubles of the sources outside a processor: ACPI, IPMI, Zeus, a Prometheus server.

Each shows the counters of a `SimulatedHost`, and fails as the real one does.

    host = SimulatedHost(tmp_path)
    plug = add_power_meter(host, 300.0)
    zeus = FakeZeus(gpus=[FakeAmd(host.draw(200.0), name="AMD Instinct MI210")])
    meter = open_meter(root=host.root, clock=host.clock, zeus=zeus, sources=["node"])
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ecoml.testing.counters import Power, SimulatedCounter
from ecoml.testing.hosts import SimulatedHost

UNAVAILABLE_MW = 0xFFFFFFFF
"""The value that firmware returns for a power without a reading."""

_PRINTED = """
    Instantaneous power reading:              {watts:8d} Watts
    Minimum during sampling period:                  2 Watts
    Maximum during sampling period:                468 Watts
    Average power reading over sample period:      184 Watts
    IPMI timestamp:                           Fri Nov 27 02:30:00 2026
    Sampling period:                          00001000 Milliseconds
    Power reading state is:                   {state}
"""


def add_power_meter(
    host: SimulatedHost,
    power_w: Power,
    *,
    driver: str = "power_meter",
    label: str = "",
    interval_ms: int = 1000,
    beneath: bool = False,
) -> SimulatedCounter:
    """Add a power meter under `sys/class/hwmon`.

    Args:
        host: The host.
        power_w: Its power.
        driver: Name of its driver.
        label: The firmware's name for it.
        interval_ms: Time over which it averages.
        beneath: Whether its files are in `device/`, as on older kernels.

    Returns:
        The true energy. With `failing` it shows nothing, or `garbage` if that is set.
    """
    counter = host.draw(power_w)
    folder = host.root / "sys/class/hwmon"
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"hwmon{len(list(folder.iterdir()))}"
    place = place / "device" if beneath else place
    place.mkdir(parents=True)
    (place / "name").write_text(f"{driver}\n")
    (place / "power1_oem_info").write_text(f"{label}\n")
    (place / "power1_average_interval").write_text(f"{interval_ms}\n")
    file = place / "power1_average"

    def write() -> None:
        shown = f"{round(counter.now_w * 1e6)}\n"
        new = place / "new"
        new.write_text((counter.garbage or "") if counter.failing else shown)
        new.replace(file)  # as sysfs, which shows no half of a figure to a thread that reads meanwhile

    host.follow(write)
    return counter


class FakeIpmitool:
    """The output of `ipmitool dcmi power reading`.

    Args:
        counter: The true energy; with `failing` the tool fails.
        host: The host; a slow answer takes time on its clock.

    Attributes:
        state: Its state of power readings.
        shown_w: Power shown in place of the true one; None: the true one.
        takes_s: Duration of an answer.
        calls: Number of calls.
    """

    def __init__(self, counter: SimulatedCounter, host: SimulatedHost | None = None) -> None:
        self.state = "activated"
        self.shown_w: int | None = None
        self.takes_s = 0.0
        self.calls = 0
        self._counter = counter
        self._host = host

    def __call__(self) -> str:
        """The text."""
        self.calls += 1
        if self.takes_s and self._host is not None:
            self._host.advance(self.takes_s)
        if self._counter.failing:
            raise OSError("ipmitool fails (Could not open device at /dev/ipmi0): only root may ask the controller")
        watts = round(self._counter.now_w) if self.shown_w is None else self.shown_w
        return _PRINTED.format(watts=watts, state=self.state)


class FakeAmd:
    """One AMD GPU as `amdsmi` shows it through Zeus.

    Args:
        counter: The true energy; with `failing` amdsmi raises.
        name: Its market name.
        counts: Whether Zeus trusts its energy counter.
        tells: The powers it shows: `average`, `instant`; the other one is `N/A`.
        limit_w: Its power limit.
        silent: Whether it shows 0 W and 0 J, as the second die of a card does.
        hip_index: Its number on the host; None: its position in the list.
    """

    def __init__(
        self,
        counter: SimulatedCounter,
        *,
        name: str = "AMD Instinct MI210",
        counts: bool = True,
        tells: Sequence[str] = ("average",),
        limit_w: float | None = None,
        silent: bool = False,
        hip_index: int | None = None,
    ) -> None:
        self.counter = counter
        self.name = name
        self.counts = counts
        self.tells = tuple(tells)
        self.limit_w = limit_w
        self.silent = silent
        self.gpu_index = -1 if hip_index is None else hip_index


class _AmdGpus:
    """Double of `zeus.device.gpu.AMDGPUs`."""

    def __init__(self, gpus: Sequence[FakeAmd]) -> None:
        self.gpus = list(gpus)
        for number, gpu in enumerate(gpus):
            gpu.gpu_index = number if gpu.gpu_index < 0 else gpu.gpu_index

    def _gpu(self, number: int) -> FakeAmd:
        gpu = self.gpus[number]
        if gpu.counter.failing:
            raise RuntimeError("AMDSMI_STATUS_NOT_FOUND")
        return gpu

    def get_name(self, number: int) -> str:
        return self.gpus[number].name

    def supports_get_total_energy_consumption(self, number: int) -> bool:
        gpu = self._gpu(number)
        return gpu.counts and not gpu.silent

    def get_total_energy_consumption(self, number: int) -> int:
        if not self.supports_get_total_energy_consumption(number):
            raise RuntimeError("Total energy consumption is not supported on this AMD GPU.")
        return int(self._gpu(number).counter.raw_j * 1e3)

    def get_average_power_usage(self, number: int) -> int:
        return self._power_mw(number, "average")

    def get_instant_power_usage(self, number: int) -> int:
        return self._power_mw(number, "instant")

    def get_power_management_limit(self, number: int) -> int:
        limit_w = self._gpu(number).limit_w
        if limit_w is None:
            raise RuntimeError("not supported")
        return int(limit_w * 1e3)

    def get_gpu_temperature(self, number: int) -> int:
        return 60 if self._gpu(number) else 0

    def _power_mw(self, number: int, kind: str) -> int:
        gpu = self._gpu(number)
        if kind not in gpu.tells:
            raise RuntimeError(f"amdsmi_get_power_info returned 'N/A' for '{kind}_socket_power'")
        return 0 if gpu.silent else int(gpu.counter.now_w) * 1000


class NVIDIAGPUs:
    """The result of `get_gpus` on a host with NVIDIA's GPUs, which ecoml reads itself."""

    gpus: tuple[Any, ...] = ()


class FakeChip:
    """A system on a chip: field of a measurement → its true energy; None for a field that is not shown.

    Attributes:
        dead: Whether the process that samples its rails has ended.
    """

    def __init__(self, fields: Mapping[str, SimulatedCounter | None]) -> None:
        self.dead = False
        self._fields = dict(fields)

    def get_total_energy_consumption(self) -> SimpleNamespace:
        if self.dead:
            raise TimeoutError("no measurement within 15 s")
        shown = {name: None if one is None else one.raw_j * 1e3 for name, one in self._fields.items()}
        return SimpleNamespace(**shown)


class FakeZeus:
    """Double of the module `zeus.device`.

    Args:
        gpus: AMD's GPUs; None: there are none.
        nvidia: Whether there are NVIDIA GPUs.
        chip: A system on a chip; None: there is none.
    """

    def __init__(
        self, gpus: Sequence[FakeAmd] | None = None, *, nvidia: bool = False, chip: FakeChip | None = None
    ) -> None:
        self._gpus = gpus
        self._nvidia = nvidia
        self._chip = chip

    def get_gpus(self) -> Any:
        if self._nvidia:
            return NVIDIAGPUs()
        if self._gpus is None:
            raise RuntimeError("NVML and AMDSMI unavailable. Failed to initialize GPU management library.")
        return _AmdGpus(self._gpus)

    def get_soc(self) -> FakeChip:
        if self._chip is None:
            raise RuntimeError("No observable SoC was found on the current machine.")
        return self._chip


class FakePrometheus:
    """A Prometheus server that scrapes simulated counters; use it as `fetch` of `open_meter`.

    Args:
        host: The host on whose clock it scrapes.
        series: Name of each series → its true energy.
        step_s: Time between two scrapes.
        power: Whether it shows watts (else joules).

    Attributes:
        failure: The error raised in place of an answer; None: it answers.
        gone: Whether the query has no series.
        value: Value of each series in place of its figure; None: its figure.
        prefix: Prefix of the label that names a series; another prefix relabels all of them.
    """

    def __init__(
        self, host: SimulatedHost, series: Mapping[str, SimulatedCounter], *, step_s: float = 5.0, power: bool = False
    ) -> None:
        self.failure: Exception | None = None
        self.gone = False
        self.value: str | None = None
        self.prefix = "plug"
        self.series = dict(series)
        self._host = host
        self._step_s = step_s
        self._power = power
        self._restarted: dict[str, float] = {}
        self._scraped: dict[str, float] = {}
        self._scrape = -math.inf
        host.follow(self._look)

    def restart(self) -> None:
        """Restart the exporter: its counters start at zero."""
        self._restarted = {name: one.true_j for name, one in self.series.items()}

    def __call__(self, address: str, _headers: Mapping[str, str]) -> Any:
        """The answer of the server."""
        if self.failure is not None:
            raise self.failure
        if urlsplit(address).path.endswith("/targets"):
            return _success({"activeTargets": [{"scrapeInterval": f"{self._step_s:g}s"}]})
        assert parse_qs(urlsplit(address).query)["query"], "a query is asked for"
        result = [
            {"metric": {"name": f"{self.prefix}-{name}"}, "value": [self._host.now_s, self.value or f"{shown:.6f}"]}
            for name, shown in self._scraped.items()
        ]
        return _success({"resultType": "vector", "result": [] if self.gone else result})

    def _look(self) -> None:
        scrape = math.floor(self._host.now_s / self._step_s)
        if scrape > self._scrape:
            self._scrape = scrape
            self._scraped = {
                name: one.now_w if self._power else 1000.0 + one.true_j - self._restarted.get(name, 0.0)
                for name, one in self.series.items()
            }


def _success(data: Any) -> dict[str, Any]:
    return {"status": "success", "data": data}
