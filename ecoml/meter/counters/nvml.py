"""NVIDIA GPUs: the energy counter of each, or its power sampled where it has none.

Domains are named by NVML's index, which follows the PCI bus: `gpu:2` is GPU 2 of `nvidia-smi`, also where
`CUDA_VISIBLE_DEVICES` makes it the only one. A domain is the whole board, with MIG too: slices have no counter.
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from ecoml.energy import Provenance
from ecoml.meter.base import Source
from ecoml.meter.counters.device import ask, device_state, text
from ecoml.meter.repair.counter import Counter, PowerIntegral
from ecoml.meter.repair.gauge import FoundGauges, Gauge
from ecoml.meter.repair.sensor import Sensor
from ecoml.meter.repair.ticks import Ticks

PERIOD_S = 0.1
"""Time between two updates of the energy counter until it is measured: at the upper end of what is seen (10–100 ms)."""
LONGEST_PERIOD_S = 0.5
"""What bounds that time until it is measured."""
STEP_J = 1e-3
"""Resolution: NVML counts in mJ."""
AVERAGED_S = 1.0
"""A power reading is a mean over this time on most boards since Ampere (NVML reference, nvmlDeviceGetPowerUsage)."""
SAMPLE_S = 0.1
"""Time between two power samples."""
GAIN = 0.05
"""Half-width of the board's sensors, as a share: NVML's reference states ±5 % for power on the boards it names at all;
that it holds for the others, and for energy, is an assumption."""
MAX_POWER_W = 3000.0
"""More than one board draws; the largest of 2025 are rated at 1.4 kW."""
LIMIT_MARGIN = 1.25
"""How far a board may go past its enforced power limit, as a mean over an update period."""

_ENERGY, _POWER = "NVML energy counter", "NVML power"
_COVERS = "NVIDIA GPU, the whole board"
MODULE = "module"
"""Domain of a superchip whose counter covers its processor too."""
_UNORDERED = "GPUs of several kinds are numbered by speed in CUDA: set CUDA_DEVICE_ORDER=PCI_BUS_ID"
_SHADOWED = (
    "an old `pynvml` shadows nvidia-ml-py: `pip uninstall pynvml`, then `pip install --force-reinstall nvidia-ml-py`"
)


def find_gpus(
    root: Path, nvml: Any | None, now_s: float, gpus: Collection[int] | None = None
) -> tuple[FoundGauges, Callable[[], None]]:
    """GPUs this process may use, and what ends the use of NVML."""
    note = ""
    if nvml is None and root == Path("/"):
        try:
            nvml = importlib.import_module("pynvml")
        except ImportError:
            return _without(root, gpus, "nvidia-ml-py is not installed: `pip install nvidia-ml-py`"), _nothing
        if not hasattr(nvml, "_nvmlGetFunctionPointer"):  # the package of that name does not pass on private names
            note = _SHADOWED
    if nvml is None:
        return _without(root, gpus, "there is no NVML for another root than `/`"), _nothing
    try:
        nvml.nvmlInit()
        count = int(nvml.nvmlDeviceGetCount())
    except Exception as error:
        return _without(root, gpus, "; ".join(filter(None, [_no_nvml(error), note]))), _nothing

    found = FoundGauges([], [], {})
    setting = os.environ.get("CUDA_VISIBLE_DEVICES")
    visible = list(range(count)) if setting is None else gpus_left_by(nvml, count, setting)
    if setting is not None and re.match(r"\s*\d", setting) and not order_is_certain(nvml, count):
        note = "; ".join(filter(None, [note, _UNORDERED]))
    for index in range(count):
        if index not in visible:
            _add_idle(found, index, "not counted, as it is not among CUDA_VISIBLE_DEVICES")
        elif gpus is not None and index not in gpus:
            _add_idle(found, index, "not counted, as it is not used by this search")
        else:
            _add(found, nvml, index, now_s, note)
    for entry in visible if gpus is None else ():
        if isinstance(entry, str):
            why = f"NVML knows no {entry}, which CUDA_VISIBLE_DEVICES names: name the GPU by its index or its full UUID"
            _add_unseen(found, f"gpu:{entry}", why)
    if not count:
        found.sources.append(
            Source(_ENERGY, "gpu", Provenance.MISSING, False, False, _COVERS, "the driver knows no GPU")
        )
    return found, lambda: ask(nvml, "nvmlShutdown")


def _add(found: FoundGauges, nvml: Any, index: int, now_s: float, note: str) -> None:
    domain = f"gpu:{index}"
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        gauge = _gauge(nvml, handle, index, now_s)
        domain = gauge.domain
    except Exception as error:
        why = f"neither energy nor power is shown ({_reason(error)}); of a virtual GPU only the host can tell"
        _add_unseen(found, domain, "; ".join(filter(None, [why, note])))
        return
    found.gauges.append(gauge)
    counter = gauge.provenance is Provenance.MEASURED
    whole = "the whole module, processor and memory included" if domain.startswith(MODULE) else "the whole board"
    parts = [f"{text(ask(nvml, 'nvmlDeviceGetName', handle)) or 'NVIDIA GPU'}, {whole}"]
    if not counter:
        parts.append(f"it has no energy counter, so its power is sampled every {SAMPLE_S:g} s")
    if (ask(nvml, "nvmlDeviceGetMigMode", handle) or [0])[0] == 1:
        parts.append("MIG is on, and slices have no counter of their own")
    found.devices[domain] = lambda: device_state(nvml, handle)
    name = _ENERGY if counter else _POWER
    found.sources.append(Source(name, domain, gauge.provenance, True, True, "; ".join(parts), note))


def _add_idle(found: FoundGauges, index: int, why: str) -> None:
    found.sources.append(Source(_ENERGY, f"gpu:{index}", Provenance.MEASURED, True, False, _COVERS, why))


def _add_unseen(found: FoundGauges, domain: str, why: str) -> None:
    found.unseen[domain] = f"{domain} cannot be read: {why}"
    found.sources.append(Source(_ENERGY, domain, Provenance.MISSING, False, False, _COVERS, why))


def _gauge(nvml: Any, handle: Any, index: int, now_s: float) -> Gauge:
    """The strongest gauge a GPU allows; raises what NVML raises where it allows none."""

    def energy_j() -> float:
        return int(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)) * 1e-3

    def power_w() -> float:
        return int(nvml.nvmlDeviceGetPowerUsage(handle)) * 1e-3

    module = _covers_cpu(nvml, handle)
    domain = f"{MODULE if module else 'gpu'}:{index}"
    limit_mw = None if module else ask(nvml, "nvmlDeviceGetEnforcedPowerLimit", handle)  # it is that of the GPU alone
    limit_w = min(MAX_POWER_W, LIMIT_MARGIN * limit_mw * 1e-3) if limit_mw else None
    counter = Counter(domain, Ticks(PERIOD_S, LONGEST_PERIOD_S), MAX_POWER_W, None, limit_w, STEP_J)
    try:
        counter.advance(energy_j(), now_s)
    except Exception:
        power = PowerIntegral(f"gpu:{index}", AVERAGED_S, MAX_POWER_W)  # of the board, also on a superchip
        power.advance(power_w(), now_s)
        return Sensor(f"gpu:{index}", Provenance.SAMPLED, GAIN, SAMPLE_S, power, power_w)
    return Sensor(domain, Provenance.MEASURED, GAIN, None, counter, energy_j)


def _covers_cpu(nvml: Any, handle: Any) -> bool:
    """Whether a GPU's energy counter is that of a whole module, the processor included.

    It is on a Grace Hopper (https://github.com/ml-energy/zeus/pull/172). Later superchips tell by showing the power of
    the module, or (GB10) by showing none. Without Grace in it, a module holds no processor.
    """
    name = text(ask(nvml, "nvmlDeviceGetName", handle))
    if re.search(r"\bGH\d{3}|Grace Hopper", name):
        return True
    field_id = getattr(nvml, "NVML_FI_DEV_POWER_INSTANT", 186)
    fields = ask(nvml, "nvmlDeviceGetFieldValues", handle, [(field_id, getattr(nvml, "NVML_POWER_SCOPE_MODULE", 1))])
    shown = bool(fields) and getattr(fields[0], "nvmlReturn", 1) == 0
    return shown and re.search(r"\bGB\d{3}|Grace", name) is not None


def _without(root: Path, gpus: Collection[int] | None, why: str) -> FoundGauges:
    """What is found without NVML: GPUs that the driver shows stay unseen, and are named."""
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
    names = _names(root / "dev")
    cards = sorted(int(name.removeprefix("nvidia")) for name in names if re.fullmatch(r"nvidia\d+", name))
    return cards or list(range(len(_names(root / "proc/driver/nvidia/gpus"))))


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except OSError:
        return []


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
    return f"NVML does not start ({_reason(error)}): see whether `nvidia-smi` does"


def gpus_left_by(nvml: Any, count: int, setting: str) -> list[int | str]:
    """NVML indices of the GPUs that CUDA_VISIBLE_DEVICES leaves; a UUID that NVML does not know stays as it is.

    As in CUDA, a list ends at its first entry that is neither a GPU's index nor a UUID.
    """
    visible: list[int | str] = []
    for entry in (part.strip() for part in setting.split(",")):
        if entry.isdigit() and int(entry) < count:
            visible.append(int(entry))
        elif entry.startswith(("GPU-", "MIG-")):
            index = _index_of(nvml, count, entry)
            visible.append(entry if index is None else index)
        else:
            break
    return list(dict.fromkeys(visible))


def _index_of(nvml: Any, count: int, uuid: str) -> int | None:
    """The board with a UUID that starts like this, or that a MIG slice with this UUID lies on."""
    board = uuid.removeprefix("MIG-").split("/")[0]
    for index in range(count):
        handle = ask(nvml, "nvmlDeviceGetHandleByIndex", index)
        if handle is not None and text(ask(nvml, "nvmlDeviceGetUUID", handle)).startswith(board):
            return index
    slice_ = ask(nvml, "nvmlDeviceGetHandleByUUID", uuid.encode()) if uuid.startswith("MIG-") else None
    parent = None if slice_ is None else ask(nvml, "nvmlDeviceGetDeviceHandleFromMigDeviceHandle", slice_)
    found = None if parent is None else ask(nvml, "nvmlDeviceGetIndex", parent)
    return found if isinstance(found, int) else None


def order_is_certain(nvml: Any, count: int) -> bool:
    """Whether CUDA numbers GPUs as NVML does: asked to, or all of them are alike."""
    if os.environ.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID":
        return True
    handles = [ask(nvml, "nvmlDeviceGetHandleByIndex", index) for index in range(count)]
    return len({text(ask(nvml, "nvmlDeviceGetName", handle)) for handle in handles if handle is not None}) <= 1


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _nothing() -> None:
    pass
