"""Kernels of a small network's step on a GPU, and what makes them faster: the figures of `docs/results/gpu.md`.

    python benchmarks/gpu_kernels.py --data-dir DIR                 # all parts; FashionMNIST's files are in DIR
    python benchmarks/gpu_kernels.py --data-dir DIR --parts step,together

    nvml         microseconds of each of NVML's calls
    depthwise    first and later calls of a depthwise convolution, with cuDNN's and with PyTorch's own kernels
    kernels      epochs, time and joules of a step with PyTorch's kernels alone, and with ours
    first        microseconds of the first convolution, forward and backward, with cuDNN and as a matrix product
    step         kernels of a recorded step, by time
    together     time and joules of a step if 1 to 8 recorded trainings run at once, each on a stream of its own

It needs a GPU; `gpu_host.md` lists the requirements. On an H100 all parts take two minutes.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gpu_parts
import torch
from gpu_finding import Where
from torch import Tensor
from torch.nn import functional

from ecoml.training.base import NoAccount

WINDOW_S = 2.0
_WIDTHS = (16, 64, 128)

_cuda: Any = torch.cuda  # untyped in some versions


def main() -> None:
    """Run the parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="fashion-mnist")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--parts", default=",".join(_PARTS), help="some parts, separated by commas")
    given = parser.parse_args()
    where = Where(given.data, str(given.data_dir.resolve()), Path(), "cuda:0", quick=False)
    print(f"{torch.cuda.get_device_name(0)}, torch {torch.__version__}, CUDA {torch.version.cuda}")
    for part in given.parts.split(","):
        print(f"\n== {part}", flush=True)
        _PARTS[part](where)


def nvml(_: Where) -> None:
    """Microseconds of NVML's calls."""
    import pynvml

    handle = _board()
    calls: dict[str, Callable[[], Any]] = {
        "energy counter": lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle),
        "energy and power in one": lambda: pynvml.nvmlDeviceGetFieldValues(handle, [(83, 0), (186, 0)]),
        "instantaneous power": lambda: pynvml.nvmlDeviceGetFieldValues(handle, [(186, 0)]),
        "processes": lambda: pynvml.nvmlDeviceGetComputeRunningProcesses(handle),
    }
    for name, call in calls.items():
        took_s = [_seconds(call) for _ in range(15)]
        print(f"{name:<26}{1e6 * statistics.median(took_s):8.0f} µs, at most {1e6 * max(took_s):.0f} µs")


def depthwise(_: Where) -> None:
    """Depthwise convolutions of 1,024 images, forward and backward: the first call for a shape, and later calls."""
    for channels, side, kernel in ((64, 28, 3), (128, 14, 3), (96, 7, 5), (40, 28, 5)):
        weight = torch.randn(channels, 1, kernel, kernel, device="cuda", dtype=torch.bfloat16, requires_grad=True)
        for name, layout in (("channels_last (cuDNN)", torch.channels_last), ("NCHW", torch.contiguous_format)):
            images = torch.randn(1024, channels, side, side, device="cuda", dtype=torch.bfloat16)
            images = images.contiguous(memory_format=layout).requires_grad_()

            def once(images: Tensor = images, weight: Tensor = weight, kernel: int = kernel) -> None:
                found = functional.conv2d(images, weight, padding=kernel // 2, groups=images.shape[1])
                torch.autograd.backward((found.sum(),))

            first_s = _seconds(once)
            later_s = statistics.median(_seconds(once) for _ in range(20))
            shape = f"{channels} channels, {side}×{side}, kernel {kernel}"
            print(f"{shape:<32}{name:<24}first {1e3 * first_s:7.1f} ms, then {1e6 * later_s:6.0f} µs", flush=True)


def kernels(where: Where) -> None:
    """Trainings with PyTorch's kernels alone, and with ours."""
    from ecoml.training.images.network import network

    chosen = network.kernels_of
    task = gpu_parts.task_of(where)
    try:
        for width in _WIDTHS:
            for block in ("plain", "residual"):
                for name, choice in (("PyTorch's", lambda _: None), ("ours", chosen)):
                    network.kernels_of = choice  # type: ignore[assignment]  # to compare
                    training = _training(where, task, 0, width, block=block)
                    seconds, accuracy = [], 0.0
                    for _ in range(6):
                        began_s = time.perf_counter()
                        accuracy = training.advance().accuracy
                        seconds.append(time.perf_counter() - began_s)
                    epoch_s = statistics.median(seconds[1:])
                    step_s, step_j = _per_step([training])
                    print(
                        f"width {width}, {block}, {name}: epoch {1e3 * epoch_s:.0f} ms, {accuracy:.2%};"
                        f" step {1e6 * step_s:.0f} µs, {1e3 * step_j:.0f} mJ",
                        flush=True,
                    )
                    training.release()
    finally:
        network.kernels_of = chosen


def first(_: Where) -> None:
    """The first convolution of 512 images, forward and backward."""
    from ecoml.training.images.kernels.columns import convolved

    for channels, side, kernel in ((1, 28, 3), (1, 28, 5), (3, 32, 3), (3, 32, 5)):
        images = torch.randn(512, channels, side, side, device="cuda").contiguous(memory_format=torch.channels_last)
        for outputs in (16, 64, 128):
            weight = torch.randn(outputs, channels, kernel, kernel, device="cuda")
            weight = weight.contiguous(memory_format=torch.channels_last).requires_grad_()
            gradient = torch.randn(512, outputs, side, side, device="cuda", dtype=torch.bfloat16)
            gradient = gradient.contiguous(memory_format=torch.channels_last)
            ways_to: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
                "cuDNN": lambda images, weight, padding=kernel // 2: functional.conv2d(images, weight, padding=padding),
                "matrix product": convolved,
            }
            took_us = []
            for way in ways_to.values():

                def once(
                    way: Any = way, images: Tensor = images, weight: Tensor = weight, gradient: Tensor = gradient
                ) -> None:
                    with torch.autocast("cuda", torch.bfloat16):
                        found = way(images, weight)
                    torch.autograd.grad(found, [weight], gradient)

                took_us.append(_kernels_us(once))
            figures = ", ".join(f"{name} {us:.0f} µs" for name, us in zip(ways_to, took_us, strict=True))
            print(f"{channels}×{side}×{side}, kernel {kernel}, {outputs} outputs: {figures}", flush=True)


def _kernels_us(call: Callable[[], Any]) -> float:
    """Microseconds of a call's kernels."""
    from torch.profiler import ProfilerActivity, profile

    for _ in range(3):
        call()
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CUDA]) as found:
        for _ in range(10):
            call()
        torch.cuda.synchronize()
    return sum(row.self_device_time_total for row in found.key_averages()) / 10


def step(where: Where) -> None:
    """The kernels of a recorded step, by time."""
    from torch.profiler import ProfilerActivity, profile

    task = gpu_parts.task_of(where)
    for width in _WIDTHS:
        training = _training(where, task, 0, width)
        training.advance()
        play, count, position = _recording(training)
        position.next.zero_()
        torch.cuda.synchronize()
        with profile(activities=[ProfilerActivity.CUDA]) as found:
            for _ in range(5):
                play()
            torch.cuda.synchronize()
        rows = sorted(found.key_averages(), key=lambda row: -row.self_device_time_total)
        all_us = sum(row.self_device_time_total for row in rows)
        print(f"width {width}: {all_us / 5 / count:.0f} µs of kernels a step")
        for row in rows[:8]:
            print(f"  {row.self_device_time_total / all_us:6.1%}  {row.count // (5 * count):3} times  {row.key[:80]}")
        training.release()


def together(where: Where) -> None:
    """Several recorded trainings at once."""
    task = gpu_parts.task_of(where)
    for width in _WIDTHS:
        trainings = [_training(where, task, number, width) for number in range(8)]
        for training in trainings:
            training.advance()
        for count in (1, 2, 4, 8):
            step_s, step_j = _per_step(trainings[:count])
            print(
                f"width {width}, {count} at once: {1e6 * step_s:.0f} µs and {1e3 * step_j:.0f} mJ a step,"
                f" {step_j / step_s:.0f} W",
                flush=True,
            )
        for training in trainings:
            training.release()


def _training(where: Where, task: Any, number: int, width: int, **more: Any) -> Any:
    from ecoml.training.images.worker.loop import Training

    config = gpu_parts.config_of(where, width=width, epochs=1000, schedule="constant", learning_rate=0.01, **more)
    return Training(task, number, config, NoAccount())


def _recording(training: Any) -> tuple[Callable[[], None], int, Any]:
    """A recording of a training, the number of its steps, and the position that the steps read."""
    steps = next(iter(training._steps.values()))
    count = max(steps.player._recordings)
    return steps.player._recordings[count], count, steps.position


def _per_step(trainings: list[Any]) -> tuple[float, float]:
    """Seconds and joules of a recorded step, for trainings that run at once."""
    streams = [_cuda.Stream() for _ in trainings]
    taken, (began_s, began_j) = 0, _at_an_update()
    while time.perf_counter() < began_s + WINDOW_S:
        for training, stream in zip(trainings, streams, strict=True):
            play, count, position = _recording(training)
            with torch.cuda.stream(stream):
                position.next.zero_()
                for _ in range(10):
                    play()
            taken += 10 * count
        torch.cuda.synchronize()
    ended_s, ended_j = _at_an_update()
    return (ended_s - began_s) / taken, (ended_j - began_j) / taken


def _at_an_update() -> tuple[float, float]:
    """Time and joules right after an update of the energy counter."""
    import pynvml

    handle = _board()
    before = now = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    while now == before:
        now = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    return time.perf_counter(), now * 1e-3


def _board() -> Any:
    import pynvml

    pynvml.nvmlInit()
    return pynvml.nvmlDeviceGetHandleByIndex(0)


def _seconds(call: Callable[[], Any]) -> float:
    torch.cuda.synchronize()
    began_s = time.perf_counter()
    call()
    torch.cuda.synchronize()
    return time.perf_counter() - began_s


_PARTS: dict[str, Callable[[Where], None]] = {
    "nvml": nvml,
    "depthwise": depthwise,
    "kernels": kernels,
    "first": first,
    "step": step,
    "together": together,
}


if __name__ == "__main__":
    main()
