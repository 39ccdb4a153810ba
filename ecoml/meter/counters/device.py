"""NVML: started once and kept open, and its answers about a GPU."""

from __future__ import annotations

import importlib
import math
import os
from collections.abc import Callable
from typing import Any

from ecoml.meter.base import DeviceState, Hardware, Process
from ecoml.meter.counters.processes import can_be_told_apart, family, name_of

MODULE = "module"
"""Name of the domain of a superchip whose counter also covers its processor."""

_LIMITS = ("EnforcedPowerLimit", "PowerManagementDefaultLimit")
_MEMBERS = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")
"""NVML's field for a value, by the value's type (`nvmlValueType_t`)."""

_started: dict[int, Any] = {}
"""Process → the module whose NVML was started in it: the start takes longer than all queries."""


def start_nvml(nvml: Any | None) -> tuple[Any, Callable[[], None]]:
    """NVML, started, and a function that ends its use. The host's own NVML (for None) is started once and stays open.

    Raises:
        ImportError: Its module is not installed.
        Exception: The error that NVML raises when it cannot start.
    """
    if nvml is not None:
        nvml.nvmlInit()
        return nvml, lambda: ask(nvml, "nvmlShutdown")
    own = importlib.import_module("pynvml")
    if _started.get(os.getpid()) is not own:
        own.nvmlInit()
        _started[os.getpid()] = own
    return own, lambda: None


def is_kept_open(nvml: Any) -> bool:
    """Whether this is the host's own NVML, started in this process."""
    return _started.get(os.getpid()) is nvml


def ask(nvml: Any, function: str, *arguments: Any) -> Any:
    """NVML's answer to a query that is not essential; None if it has none."""
    try:
        return getattr(nvml, function)(*arguments)
    except Exception:
        return None


def text(value: Any) -> str:
    """A text from NVML as str; older versions return bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value or "")


def field_value(field: Any) -> float:
    """The value of a field that NVML was asked for; NaN if there is none."""
    return float(getattr(field.value, _MEMBERS[field.valueType])) if field.nvmlReturn == 0 else math.nan


def hardware(nvml: Any, handle: Any) -> Hardware:
    """The name and the power limits of a GPU; raises nothing."""
    limits_mw = (ask(nvml, f"nvmlDeviceGet{which}", handle) for which in _LIMITS)
    limit_w, default_limit_w = (None if limit_mw is None else limit_mw * 1e-3 for limit_mw in limits_mw)
    driver = text(ask(nvml, "nvmlSystemGetDriverVersion"))
    return Hardware(text(ask(nvml, "nvmlDeviceGetName", handle)) or "NVIDIA GPU", driver, limit_w, default_limit_w)


def device_state(nvml: Any, handle: Any) -> DeviceState:
    """The current state of a GPU; raises nothing."""
    utilisation = ask(nvml, "nvmlDeviceGetUtilizationRates", handle)
    memory = ask(nvml, "nvmlDeviceGetMemoryInfo", handle)
    return DeviceState(
        None if utilisation is None else utilisation.gpu / 100,
        _float(ask(nvml, "nvmlDeviceGetTemperature", handle, getattr(nvml, "NVML_TEMPERATURE_GPU", 0))),
        _float(ask(nvml, "nvmlDeviceGetClockInfo", handle, getattr(nvml, "NVML_CLOCK_SM", 1))),
        None if memory is None else int(memory.used),
        _strangers(nvml, handle),
    )


def _strangers(nvml: Any, handle: Any) -> tuple[Process, ...]:
    found: dict[int, Process] = {}
    for function in ("nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetGraphicsRunningProcesses"):
        for process in ask(nvml, function, handle) or ():
            name = text(ask(nvml, "nvmlSystemGetProcessName", process.pid)) or name_of(process.pid)
            memory_b = getattr(process, "usedGpuMemory", None)
            found.setdefault(int(process.pid), Process(int(process.pid), name, memory_b))
    ours = family() if found else set()
    return tuple(found[pid] for pid in sorted(found) if pid not in ours and can_be_told_apart(pid))


def _float(value: Any) -> float | None:
    return None if value is None else float(value)
