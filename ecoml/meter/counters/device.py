"""What a GPU does at present, as NVML tells it."""

from __future__ import annotations

from typing import Any

from ecoml.meter.base import DeviceState, Process
from ecoml.meter.counters.processes import can_be_told_apart, family, name_of


def ask(nvml: Any, function: str, *arguments: Any) -> Any:
    """The answer of NVML to something not essential, None if it has none."""
    try:
        return getattr(nvml, function)(*arguments)
    except Exception:
        return None


def text(value: Any) -> str:
    """What NVML says, whose older versions say it in bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value or "")


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
