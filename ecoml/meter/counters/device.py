"""NVML: started once and kept open, and what it tells of a GPU."""

from __future__ import annotations

import importlib
import math
import os
from collections.abc import Callable
from typing import Any

from ecoml.meter.base import DeviceState, Hardware, Process
from ecoml.meter.counters.processes import can_be_told_apart, family, name_of

MODULE = "module"
"""Domain of a superchip whose counter covers its processor too."""

_LIMITS = ("EnforcedPowerLimit", "PowerManagementDefaultLimit")
_MEMBERS = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")
"""Where NVML puts a field's value, by its type (`nvmlValueType_t`)."""

_started: dict[int, Any] = {}
"""Process → the module whose NVML was started in it: starting it takes longer than all that is asked."""


def start_nvml(nvml: Any | None) -> tuple[Any, Callable[[], None]]:
    """NVML, started, and what ends its use; this host's own (for None) is started once and stays open.

    Raises:
        ImportError: Its module is not installed.
        Exception: What NVML raises where it cannot be started.
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
    """Whether this is this host's own NVML, started in this process."""
    return _started.get(os.getpid()) is nvml


def ask(nvml: Any, function: str, *arguments: Any) -> Any:
    """The answer of NVML to something not essential, None if it has none."""
    try:
        return getattr(nvml, function)(*arguments)
    except Exception:
        return None


def text(value: Any) -> str:
    """What NVML says, whose older versions say it in bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value or "")


def field_value(field: Any) -> float:
    """The value of a field that NVML was asked for; not a number where it has none."""
    return float(getattr(field.value, _MEMBERS[field.valueType])) if field.nvmlReturn == 0 else math.nan


def hardware(nvml: Any, handle: Any) -> Hardware:
    """What a GPU is, and what it may draw; raises nothing."""
    limits_mw = (ask(nvml, f"nvmlDeviceGet{which}", handle) for which in _LIMITS)
    limit_w, default_limit_w = (None if limit_mw is None else limit_mw * 1e-3 for limit_mw in limits_mw)
    driver = text(ask(nvml, "nvmlSystemGetDriverVersion"))
    return Hardware(text(ask(nvml, "nvmlDeviceGetName", handle)) or "NVIDIA GPU", driver, limit_w, default_limit_w)


def device_state(nvml: Any, handle: Any) -> DeviceState:
    """The present state of a GPU; raises nothing."""
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
