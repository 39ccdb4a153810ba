"""NVIDIA GPUs: the energy counter of each, or its sampled power if it has no counter.

Domains are named by NVML's index, which follows the PCI bus: `gpu:2` is GPU 2 of `nvidia-smi`, even if
`CUDA_VISIBLE_DEVICES` makes it the only one. A domain is the entire board, also with MIG: slices have no counter.
"""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from ecoml.energy import Provenance
from ecoml.meter.base import Source
from ecoml.meter.counters.device import MODULE, ask, device_state, field_value, hardware, start_nvml, text
from ecoml.meter.counters.files import matching
from ecoml.meter.counters.ordinals import visible_gpus
from ecoml.meter.repair.counter import Counter, PowerIntegral
from ecoml.meter.repair.gauge import FoundGauges, Gauge
from ecoml.meter.repair.sensor import Sensor

PERIOD_S = 0.1
"""Assumed time between two updates of the energy counter until it is measured: the upper end of the known range (10–100
ms).
"""
LONGEST_PERIOD_S = 0.5
"""Upper bound of this time until it is measured."""
STEP_J = 1e-3
"""Resolution: NVML counts in mJ."""
AVERAGED_S = 1.0
"""On most boards since Ampere, a power reading is a mean over this time (NVML reference, nvmlDeviceGetPowerUsage)."""
SAMPLE_S = 0.1
"""Time between two power samples."""
GAIN = 0.05
"""Half-width of the board's sensors, as a share. NVML's reference states ±5 % for power on some boards; that it holds
for other boards, and for energy, is an assumption.
"""
MAX_POWER_W = 3000.0
"""More than any board draws; the largest of 2025 are rated at 1.4 kW."""
LIMIT_MARGIN = 1.25
"""Factor by which a board may exceed its enforced power limit, as a mean over an update period."""

_ENERGY, _POWER = "NVML energy counter", "NVML power"
_COVERS = "NVIDIA GPU, the whole board"
_UNORDERED = "GPUs of several kinds are numbered by speed in CUDA: set CUDA_DEVICE_ORDER=PCI_BUS_ID"
_SHADOWED = (
    "an old `pynvml` shadows nvidia-ml-py: `pip uninstall pynvml`, then `pip install --force-reinstall nvidia-ml-py`"
)


def find_gpus(
    root: Path, nvml: Any | None, now_s: float, gpus: Collection[int] | None = None
) -> tuple[FoundGauges, Callable[[], None]]:
    """The GPUs that this process may use, and a function that ends the use of NVML."""
    if nvml is None and root != Path("/"):
        return _without(root, gpus, "NVML works only with the root `/`"), _nothing
    try:
        own = nvml is None
        nvml, close = start_nvml(nvml)
        int(nvml.nvmlDeviceGetCount())
    except ImportError:
        return _without(root, gpus, "nvidia-ml-py is not installed: `pip install nvidia-ml-py`"), _nothing
    except Exception as error:
        return _without(root, gpus, "; ".join([_no_nvml(error), *_shadowed(own)])), _nothing

    found = FoundGauges([], [], {})
    visible = visible_gpus(nvml)
    notes = [*_shadowed(own), *[_UNORDERED] * ("CUDA_VISIBLE_DEVICES" in os.environ and not visible.in_order)]
    for index in range(visible.count):
        if index not in visible.indices:
            _add_idle(found, index, "not counted, as it is not among CUDA_VISIBLE_DEVICES")
        elif gpus is not None and index not in gpus:
            _add_idle(found, index, "not counted, as it is not used by this search")
        else:
            _add(found, nvml, index, now_s, "; ".join(notes))
    for entry in visible.indices if gpus is None else ():
        if isinstance(entry, str):
            why = f"NVML knows no {entry}, which CUDA_VISIBLE_DEVICES names: give the GPU's index or its full UUID"
            _add_unseen(found, f"gpu:{entry}", why)
    if not visible.count:
        found.sources.append(
            Source(_ENERGY, "gpu", Provenance.MISSING, False, False, _COVERS, "the driver knows no GPU")
        )
    return found, close


def _add(found: FoundGauges, nvml: Any, index: int, now_s: float, note: str) -> None:
    domain = f"gpu:{index}"
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        gauge = _gauge(nvml, handle, index, now_s)
        domain = gauge.domain
    except Exception as error:
        why = f"neither energy nor power is shown ({_reason(error)}); for a virtual GPU, only the host can read them"
        _add_unseen(found, domain, "; ".join(filter(None, [why, note])))
        return
    found.gauges.append(gauge)
    counter = gauge.provenance is Provenance.MEASURED
    whole = "the whole module, processor and memory included" if domain.startswith(MODULE) else "the whole board"
    board = hardware(nvml, handle)
    parts = [f"{board.name}, {whole}"]
    if not counter:
        parts.append(f"it has no energy counter, so its power is sampled every {SAMPLE_S:g} s")
    if (ask(nvml, "nvmlDeviceGetMigMode", handle) or [0])[0] == 1:
        parts.append("MIG is on, and slices have no counter of their own")
    found.devices[domain] = lambda: device_state(nvml, handle)
    name = _ENERGY if counter else _POWER
    source = Source(name, domain, gauge.provenance, True, True, "; ".join(parts), note, hardware=board)
    found.sources.append(source)


def _add_idle(found: FoundGauges, index: int, why: str) -> None:
    found.sources.append(Source(_ENERGY, f"gpu:{index}", Provenance.MEASURED, True, False, _COVERS, why))


def _add_unseen(found: FoundGauges, domain: str, why: str) -> None:
    found.unseen[domain] = f"{domain} cannot be read: {why}"
    found.sources.append(Source(_ENERGY, domain, Provenance.MISSING, False, False, _COVERS, why))


def _gauge(nvml: Any, handle: Any, index: int, now_s: float) -> Gauge:
    """The best gauge that a GPU supports; raises NVML's error if it supports none."""
    module = _covers_cpu(nvml, handle)
    domain = f"{MODULE if module else 'gpu'}:{index}"
    limit_mw = None if module else ask(nvml, "nvmlDeviceGetEnforcedPowerLimit", handle)  # it is that of the GPU alone
    limit_w = min(MAX_POWER_W, LIMIT_MARGIN * limit_mw * 1e-3) if limit_mw else None
    counter = Counter(domain, PERIOD_S, LONGEST_PERIOD_S, MAX_POWER_W, None, limit_w, STEP_J, interpolated=True)
    board = _Board(nvml, handle, module=module)
    try:
        counter.advance(board.energy_j(), now_s, board.power_w)
    except Exception:
        power = PowerIntegral(f"gpu:{index}", AVERAGED_S, MAX_POWER_W)  # of the board, also on a superchip
        power.advance(board.mean_power_w(), now_s)
        return Sensor(f"gpu:{index}", Provenance.SAMPLED, GAIN, SAMPLE_S, power, board.mean_power_w)
    return Sensor(
        *(domain, Provenance.MEASURED, GAIN, None, counter, board.energy_j),
        power_w=lambda: board.power_w,
        glance=board.power_now_w if board.shows_power else None,
    )


class _Board:
    """A board's energy as NVML reads it, together with its power.

    Attributes:
        power_w: The power when the energy was last read; NaN if unknown.
        shows_power: Whether it shows its power of the moment.
    """

    def __init__(self, nvml: Any, handle: Any, *, module: bool) -> None:
        self.power_w = math.nan
        self._nvml = nvml
        self._handle = handle
        self._fields = [
            (getattr(nvml, "NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION", 83), 0),
            (getattr(nvml, "NVML_FI_DEV_POWER_INSTANT", 186), int(module)),
        ]
        self._together = not math.isnan(self._both()[0])
        self.shows_power = not math.isnan(self._both()[1])

    def energy_j(self) -> float:
        """Joules since the driver was loaded; raises NVML's errors."""
        energy_mj, power_mw = self._both() if self._together else (math.nan, math.nan)
        if math.isnan(energy_mj):
            energy_mj = int(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle))
            power_mw = ask(self._nvml, "nvmlDeviceGetPowerUsage", self._handle) or math.nan
        self.power_w = power_mw * 1e-3
        return energy_mj * 1e-3

    def power_now_w(self) -> float:
        """The power of the moment, which takes 52 µs to read where the counter takes 3 ms (H100); raises NVML's
        errors.
        """
        power_mw = field_value(self._nvml.nvmlDeviceGetFieldValues(self._handle, self._fields[1:])[0])
        if math.isnan(power_mw):
            raise ValueError("no power is shown")
        return power_mw * 1e-3

    def mean_power_w(self) -> float:
        """Power, averaged by the board; raises NVML's errors."""
        return int(self._nvml.nvmlDeviceGetPowerUsage(self._handle)) * 1e-3

    def _both(self) -> tuple[float, float]:
        """Energy in mJ and instantaneous power in mW, read in one call."""
        fields = ask(self._nvml, "nvmlDeviceGetFieldValues", self._handle, self._fields)
        return (field_value(fields[0]), field_value(fields[1])) if fields else (math.nan, math.nan)


def _covers_cpu(nvml: Any, handle: Any) -> bool:
    """Whether a GPU's energy counter covers an entire module with its processor.

    It does on a Grace Hopper (https://github.com/ml-energy/zeus/pull/172). Later superchips show the power of the
    module, or (GB10) none. A module without Grace in its name holds no processor.
    """
    name = text(ask(nvml, "nvmlDeviceGetName", handle))
    if re.search(r"\bGH\d{3}|Grace Hopper", name):
        return True
    field_id = getattr(nvml, "NVML_FI_DEV_POWER_INSTANT", 186)
    fields = ask(nvml, "nvmlDeviceGetFieldValues", handle, [(field_id, getattr(nvml, "NVML_POWER_SCOPE_MODULE", 1))])
    shown = bool(fields) and getattr(fields[0], "nvmlReturn", 1) == 0
    return shown and re.search(r"\bGB\d{3}|Grace", name) is not None


def _without(root: Path, gpus: Collection[int] | None, why: str) -> FoundGauges:
    """The result without NVML: GPUs that the driver shows are named as not readable."""
    found = FoundGauges([], [], {})
    cards = _cards(root) if os.environ.get("CUDA_VISIBLE_DEVICES") != "" else []
    cards = [card for card in cards if gpus is None or card in gpus]
    for card in cards:
        _add_unseen(found, f"gpu:{card}", why)
    if not cards:
        remedy = f"no NVIDIA GPU is visible; {why}"
        found.sources.append(Source(_ENERGY, "gpu", Provenance.MISSING, False, False, _COVERS, remedy))
    return found


def _cards(root: Path) -> list[int]:
    cards = [int(path.name.removeprefix("nvidia")) for path in matching([root / "dev"], r"nvidia\d+")]
    return cards or list(range(len(matching([root / "proc/driver/nvidia/gpus"], ".+"))))


def _shadowed(own: bool) -> list[str]:
    """The note that the host's `pynvml` module is not the right one: the old one does not pass on private names."""
    return [_SHADOWED] * (own and not hasattr(sys.modules["pynvml"], "_nvmlGetFunctionPointer"))


def _no_nvml(error: Exception) -> str:
    kind = type(error).__name__
    if "LibraryNotFound" in kind:
        return (
            "libnvidia-ml.so.1 was not found: install NVIDIA's driver, or start the container with "
            "NVIDIA_DRIVER_CAPABILITIES=compute,utility"
        )
    if "DriverNotLoaded" in kind:
        return "NVIDIA's driver is not loaded: `sudo modprobe nvidia`"
    if "LibRmVersionMismatch" in kind:
        return "NVIDIA's driver and its library differ in version: reboot after the upgrade"
    return f"NVML does not start ({_reason(error)}): check whether `nvidia-smi` does"


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _nothing() -> None:
    pass
