"""The device: its choice, its capabilities, the data on it, and how far the host runs ahead of it."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ecoml.errors import UsageError
from ecoml.format import plural
from ecoml.meter.counters.constants import load_constants
from ecoml.training.images.data.dataset import Dataset
from ecoml.training.images.data.resident import Resident, TrainingTask
from ecoml.training.images.network.memory import free_host_bytes
from ecoml.training.images.steps.recording import recorded_bytes
from ecoml.training.images.worker.workload import Workload

_PEAK_SIDE = {"cpu": 768, "cuda": 8192}
_PEAK_TRIES = 4
_PEAK_S = {"cpu": 0.0, "cuda": 0.2}
"""Shortest time in seconds for which products are computed: a GPU's clock takes this long to rise."""


_ASK_EVERY_S = 10e-3
_QUEUE_S = 3e-3
_MOST_QUEUED = 64

_cuda: Any = torch.cuda  # untyped in some versions


def device_of(name: str | None) -> torch.device:
    """The device of this name; without a name the first GPU, else the CPU. A GPU gets its number, and becomes CUDA's
    current device.

    Streams, events and recordings belong to CUDA's current device, whatever device the tensors are on.

    Raises:
        UsageError: The device does not exist, or the training does not support its kind.
    """
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        if device.type == "cuda":
            _refuse_absent(name, device.index or 0)
            device = torch.device("cuda", device.index or 0)
            torch.cuda.set_device(device)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        why = str(error).partition("\n")[0]
        raise UsageError(f"device {name!r} cannot be used here ({why:.120}); leave it out, or try 'cpu'") from None
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"device {name!r}: the training runs on cpu and cuda; leave it out, or try 'cpu'")
    return device


def _refuse_absent(name: str, number: int) -> None:
    """Say in one line that there is no such GPU; torch's messages are about drivers, builds and ordinals."""
    seen = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if number >= seen:
        why = f"PyTorch sees {plural(seen, 'GPU')} only" if seen else "PyTorch sees no NVIDIA GPU"
        raise UsageError(f"device {name!r} cannot be used here ({why}); leave it out, or try 'cpu'")


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
    """Set whether operations with varying sums are refused."""
    if torch.are_deterministic_algorithms_enabled() != on:
        torch.use_deterministic_algorithms(on)
    torch.backends.cudnn.benchmark = False  # it would choose kernels by the clock: another run, another curve
    torch.backends.cudnn.deterministic = on


def free_bytes(device: torch.device) -> int | None:
    """Bytes that a training may still take; None if unknown. On a GPU they include free memory in torch's cache."""
    if device.type == "cpu":
        return free_host_bytes()
    free: int = torch.cuda.mem_get_info(device)[0]
    cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return free + max(0, cached - recorded_bytes())


def peak(device: torch.device, threads: int, bf16: bool) -> tuple[float, float]:
    """The highest FLOP per second of large matrix products, and the power in watts; NaN if unknown.

    On a CPU it counts CPU seconds, so that other processes do not make the device look slower.
    """
    side = _PEAK_SIDE[device.type]
    torch.set_num_threads(threads)
    # Random numbers: products of equal ones flip fewer bits, draw less power, and so let the clock rise higher.
    factor = torch.randn(side, side, dtype=torch.bfloat16 if bf16 else torch.float32, device=device)
    clock = time.perf_counter if device.type == "cuda" else lambda: time.process_time() / threads
    took_s: list[float] = []
    with torch.inference_mode():
        while len(took_s) < _PEAK_TRIES or sum(took_s) < _PEAK_S[device.type]:
            _synchronise(device)
            start_s = clock()
            factor @ factor
            _synchronise(device)
            took_s.append(clock() - start_s)
    return 2 * side**3 / min(took_s), _peak_power_w(device, threads)


def _peak_power_w(device: torch.device, threads: int) -> float:
    """A GPU's power limit; on a CPU the power of busy CPUs that the estimate assumes."""
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


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def finish(device: torch.device) -> None:
    """Wait, without spinning, until the device has finished all its work."""
    if device.type == "cuda":
        event = _blocking_event()
        event.record()
        event.synchronize()


class Pace:
    """Limits how far the host runs ahead of a GPU, and how often it checks the budget, so that the GPU never waits.

    Args:
        device: The device. On a CPU nothing is queued, and the budget is checked before each batch.
        clock: Returns seconds.
        event: Makes an event that is recorded after the queued work, and can be waited for.
    """

    def __init__(
        self,
        device: torch.device,
        clock: Callable[[], float] = time.monotonic,
        event: Callable[[], Any] | None = None,
    ) -> None:
        self._cuda = device.type == "cuda"
        self._clock = clock
        self._event = event or _blocking_event
        self._queued: deque[Any] = deque()
        self._most = 2
        self._asked_s = -math.inf
        self._waited_s: float | None = None

    def due(self) -> bool:
        """Whether to check the budget: every 10 ms."""
        now_s = self._clock()
        if self._cuda and now_s < self._asked_s + _ASK_EVERY_S:
            return False
        self._asked_s = now_s
        return True

    def wait(self) -> None:
        """Call this after queuing work: if more than 3 ms of work is queued, it waits until half of it is done."""
        if not self._cuda:
            return
        event = self._event()
        event.record()
        self._queued.append(event)
        if len(self._queued) < self._most:
            return
        done = (len(self._queued) + 1) // 2
        for _ in range(done):
            event = self._queued.popleft()
        event.synchronize()
        now_s = self._clock()
        if self._waited_s is not None and now_s > self._waited_s:
            self._most = min(max(2, round(_QUEUE_S * done / (now_s - self._waited_s))), _MOST_QUEUED)
        self._waited_s = now_s


def _blocking_event() -> Any:
    return _cuda.Event(blocking=True)
