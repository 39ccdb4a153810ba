"""The device: which one, what it can do, and what is put on it."""

from __future__ import annotations

import time
from pathlib import Path

import torch

from ecoml.errors import UsageError
from ecoml.meter.counters.constants import load_constants
from ecoml.training.images.data.dataset import Dataset
from ecoml.training.images.data.resident import Resident, TrainingTask
from ecoml.training.images.worker.workload import Workload

_PEAK_SIDE = {"cpu": 768, "cuda": 8192}
_PEAK_TRIES = 4
_PEAK_S = {"cpu": 0.0, "cuda": 0.2}
"""Seconds for which products are computed at least: a GPU's clock takes that long to rise."""


def device_of(name: str | None) -> torch.device:
    """The device of that name; without one the first GPU, else the CPU. A GPU has its number, and becomes CUDA's own.

    Streams, events and recordings belong to CUDA's current device, whatever the tensors are on.

    Raises:
        UsageError: It is not there, or of a kind that the training does not know.
    """
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        if device.type == "cuda":
            device = torch.device("cuda", device.index or 0)
            torch.cuda.set_device(device)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        why = str(error).partition("\n")[0]
        raise UsageError(f"device {name!r} cannot be used here ({why:.120}); leave it out, or try 'cpu'") from None
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"device {name!r}: the training runs on cpu and cuda; leave it out, or try 'cpu'")
    return device


def task_of(dataset: Dataset, workload: Workload) -> TrainingTask:
    """A data set, divided and moved to the device."""
    device = device_of(workload.device)
    train, validation = dataset.divided(workload.validation_share, workload.seed)
    mean, std = train.statistics()
    channels, height, width = train.images.shape[1:]
    return TrainingTask(
        dataset.name,
        dataset.classes,
        (channels, height, width),
        dataset.reading.form,
        mean,
        std,
        Resident.of(train, device),
        Resident.of(validation, device),
        device,
        workload.threads,
        not workload.threads_given,
        workload.seed,
        has_bf16(device),
    )


def has_bf16(device: torch.device, root: Path = Path("/")) -> bool:
    """Whether the hardware itself computes in bfloat16: AVX512-BF16 or AMX on a CPU, compute capability 8 on a GPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    try:
        lines = (root / "proc/cpuinfo").read_text().splitlines()
    except OSError:
        return False
    flags = next((line.split(":", 1)[1].split() for line in lines if line.startswith("flags")), [])
    return "avx512_bf16" in flags or "amx_bf16" in flags


def set_determinism(on: bool) -> None:
    """Whether operations that give other sums each time are refused."""
    if torch.are_deterministic_algorithms_enabled() != on:
        torch.use_deterministic_algorithms(on)
    torch.backends.cudnn.benchmark = False  # it would choose kernels by the clock: another run, another curve
    torch.backends.cudnn.deterministic = on


def free_device_bytes(device: torch.device) -> int:
    """Bytes of a GPU's memory that a training may still take: what is free, and what earlier ones left in the cache."""
    free: int = torch.cuda.mem_get_info(device)[0]
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def peak(device: torch.device, threads: int, bf16: bool) -> tuple[float, float]:
    """The most FLOP per second that large matrix products show here, and the watts at that; NaN if they are not known.

    On a CPU, CPU seconds are counted: other processes that take turns with this one do not make the device slower.
    """
    side = _PEAK_SIDE[device.type]
    torch.set_num_threads(threads)
    factor = torch.ones(side, side, dtype=torch.bfloat16 if bf16 else torch.float32, device=device)
    clock = time.perf_counter if device.type == "cuda" else lambda: time.process_time() / threads
    took_s: list[float] = []
    with torch.inference_mode():
        while len(took_s) < _PEAK_TRIES or sum(took_s) < _PEAK_S[device.type]:
            _wait(device)
            start_s = clock()
            factor @ factor
            _wait(device)
            took_s.append(clock() - start_s)
    return 2 * side**3 / min(took_s), _peak_power_w(device, threads)


def _peak_power_w(device: torch.device, threads: int) -> float:
    """A GPU's power limit; on a CPU what the estimate of energy takes for busy ones."""
    if device.type == "cpu":
        return load_constants().busy_w_per_cpu * threads
    import pynvml

    try:
        pynvml.nvmlInit()
        properties = torch.cuda.get_device_properties(device)
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{properties.uuid}".encode())
        limit_w: float = pynvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1000
    except (pynvml.NVMLError, AttributeError):
        return float("nan")
    return limit_w


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
