"""The device: which one, what it can do, and what is put on it."""

from __future__ import annotations

import time
from pathlib import Path

import torch

from ecoml.errors import UsageError
from ecoml.executor.cnn.data import Dataset
from ecoml.executor.cnn.resident import Problem, Resident
from ecoml.executor.cnn.workload import Workload
from ecoml.meter.constants import load_constants

_PEAK_SIDE = {"cpu": 768, "cuda": 8192}
_PEAK_TRIES = 4


def device_of(name: str | None) -> torch.device:
    """The device of that name; without one the first GPU, else the CPU.

    Raises:
        UsageError: It is not there, or of a kind that the training does not know.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        why = str(error).partition("\n")[0]
        raise UsageError(f"device {name!r} cannot be used here ({why:.120}); leave it out, or try 'cpu'") from None
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"device {name!r}: the training runs on cpu and cuda; leave it out, or try 'cpu'")
    return device


def problem_of(dataset: Dataset, workload: Workload) -> Problem:
    """A data set, divided and moved to the device."""
    device = device_of(workload.device)
    train, validation = dataset.divided(workload.validation_share, workload.seed)
    mean, std = train.statistics()
    channels, height, width = train.images.shape[1:]
    return Problem(
        dataset.problem,
        dataset.classes,
        (channels, height, width),
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


def peak(device: torch.device, threads: int, bf16: bool) -> tuple[float, float, str]:
    """The most FLOP per second that large matrix products show here, the watts at that, and how the two are known.

    On a CPU, CPU seconds are counted: other processes that take turns with this one do not make the device slower.
    """
    side = _PEAK_SIDE[device.type]
    torch.set_num_threads(threads)
    factor = torch.ones(side, side, dtype=torch.bfloat16 if bf16 else torch.float32, device=device)
    clock = time.perf_counter if device.type == "cuda" else lambda: time.process_time() / threads
    fastest_s = float("inf")
    with torch.inference_mode():
        for _ in range(_PEAK_TRIES):
            _wait(device)
            start_s = clock()
            factor @ factor
            _wait(device)
            fastest_s = min(fastest_s, clock() - start_s)
    power_w, power = _board_power_w(device, threads)
    return 2 * side**3 / fastest_s, power_w, f"fastest of {_PEAK_TRIES} products of {side}×{side} matrices; {power}"


def _board_power_w(device: torch.device, threads: int) -> tuple[float, str]:
    if device.type == "cpu":
        busy_w = load_constants().busy_w_per_cpu
        return busy_w * threads, f"{busy_w:g} W a busy CPU, as in the estimate of energy"
    import pynvml

    try:
        pynvml.nvmlInit()
        properties = torch.cuda.get_device_properties(device)
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{properties.uuid}".encode())
        return pynvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1000, "the board's power limit"
    except (pynvml.NVMLError, AttributeError):
        return float("nan"), "the board's power limit cannot be read"


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
