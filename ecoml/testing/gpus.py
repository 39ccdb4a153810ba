"""A fake NVML over simulated counters."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

DRIVER = "580.95.05"

_DEFAULT_W = 700.0
_FIELDS = {
    83: ("nvmlDeviceGetTotalEnergyConsumption", 3, "ullVal"),
    186: ("nvmlDeviceGetPowerUsage", 1, "uiVal"),
}
"""Field → function that returns its value, the value's type, and the attribute that holds it."""


def fake_nvml(gpus: list[SimpleNamespace]) -> SimpleNamespace:
    """The functions of the module `pynvml` that ecoml uses, for GPUs made by `SimulatedHost.add_gpu`."""

    def value(gpu: SimpleNamespace, known: bool, figure: float) -> int:
        if gpu.counter.failing:
            raise RuntimeError("GPU is lost")
        if not known:
            raise RuntimeError("Not Supported")
        return int(figure)

    def told(key: str) -> Callable[..., Any]:
        return lambda gpu, *_: value(gpu, key in gpu.state, gpu.state.get(key, 0))

    def share(gpu: SimpleNamespace) -> SimpleNamespace:
        return SimpleNamespace(gpu=value(gpu, "utilisation" in gpu.state, 100 * gpu.state.get("utilisation", 0)))

    def field_values(gpu: SimpleNamespace, fields: list[tuple[int, int]]) -> list[SimpleNamespace]:
        if not gpu.shows_fields:
            raise RuntimeError("Function Not Found")
        return [field_value(gpu, *field) for field in fields]

    def field_value(gpu: SimpleNamespace, field: int, scope: int) -> SimpleNamespace:
        ask, kind, member = _FIELDS[field]
        try:
            if scope and not gpu.module:
                raise RuntimeError("Not Supported")
            found = getattr(nvml, ask)(gpu)
        except Exception:
            return SimpleNamespace(nvmlReturn=3, valueType=0, value=SimpleNamespace(dVal=0.0))
        return SimpleNamespace(nvmlReturn=0, valueType=kind, value=SimpleNamespace(**{member: found}))

    nvml = SimpleNamespace(
        nvmlInit=lambda: None,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetCount=lambda: len(gpus),
        nvmlDeviceGetHandleByIndex=lambda index: gpus[index],
        nvmlDeviceGetIndex=gpus.index,
        nvmlDeviceGetName=lambda gpu: gpu.name,
        nvmlDeviceGetUUID=lambda gpu: gpu.uuid,
        nvmlDeviceGetTotalEnergyConsumption=lambda gpu: value(gpu, gpu.counts, gpu.counter.raw_j * 1e3 + 1e-3),
        nvmlDeviceGetPowerUsage=lambda gpu: value(gpu, gpu.shows_power, gpu.counter.now_w * 1e3),
        nvmlDeviceGetEnforcedPowerLimit=lambda gpu: value(gpu, gpu.limit_w is not None, (gpu.limit_w or 0) * 1e3),
        nvmlDeviceGetPowerManagementDefaultLimit=lambda gpu: value(gpu, gpu.limit_w is not None, 1e3 * _DEFAULT_W),
        nvmlSystemGetDriverVersion=lambda: DRIVER,
        nvmlDeviceGetFieldValues=field_values,
        nvmlDeviceGetUtilizationRates=share,
        nvmlDeviceGetTemperature=told("temperature_c"),
        nvmlDeviceGetClockInfo=told("clock_mhz"),
        nvmlDeviceGetMemoryInfo=lambda gpu: SimpleNamespace(used=told("memory_used_b")(gpu)),
        nvmlDeviceGetComputeRunningProcesses=lambda gpu: [
            SimpleNamespace(pid=pid, usedGpuMemory=memory_b) for pid, memory_b in gpu.processes.items()
        ],
    )
    return nvml
