"""The same training with one detail of its step changed: recorded or not, float32 or bfloat16.

The functions change the training's internals, because it has no setting for either. `executor.py` runs each in a
process of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Self

from executor_ways import FULL, repeated


class Clock:
    """An account of CPU seconds by purpose, without a budget."""

    def __init__(self) -> None:
        self.cpu_s = {"training": 0.0, "evaluation": 0.0}
        self.accuracy = 0.0
        self._purpose = "training"
        self._since_s = 0.0

    def __enter__(self) -> Self:
        self._purpose, self._since_s = "training", time.process_time()
        return self

    def __exit__(self, *error: object) -> None:
        self.enter("training")

    def check_budget(self) -> None:
        pass

    def enter(self, purpose: object) -> None:
        now_s = time.process_time()
        self.cpu_s[self._purpose] += now_s - self._since_s
        self._purpose, self._since_s = str(purpose), now_s


class Repeating:
    """A replacement for CUDA's part of a recording on hosts without a GPU: it computes the steps again."""

    def __init__(self) -> None:
        self.bytes = 0

    def aside(self, step: Callable[[], None]) -> None:
        step()

    def strictly(self, step: Callable[[], None]) -> None:
        step()

    def record(self, step: Callable[[], None], count: int) -> Callable[[], None]:
        def play() -> None:
            for _ in range(count):
                step()

        return play

    def release(self) -> None:
        pass


def recorded_and_eager(file: Path, config: dict[str, Any], seed: int, where: dict[str, Any]) -> dict[str, Any]:
    """The same training with recorded steps, and with each kernel launched separately.

    `apart` is the largest difference between the two after `epochs`. Images per second and joules are those of the
    epochs that fill a window.
    """
    problem = _problem(file, where["device"] or "cuda", seed, 1)
    trainings = {way: training_of(problem, config | FULL, recorded=way == "recorded") for way in ("recorded", "eager")}
    for training in trainings.values():
        for _ in range(config["epochs"]):
            training.advance()
    found: dict[str, Any] = {"apart": apart(*trainings.values())}
    for way, training in trainings.items():
        took = repeated(partial(_again, training), where)
        found[way] = took | {"was_recorded": training.recorded, "unrecorded": training.unrecorded}
    return found


def _again(training: Any) -> float:
    """A further epoch; after the last one follows the second again."""
    if (found := training.advance()) is None:
        training.epoch = 1
        found = training.advance()
    accuracy: float = found.accuracy
    return accuracy


def training_of(problem: Any, config: dict[str, Any], *, recorded: bool) -> Any:
    """A training of equal batches, with recordings or without; on a CPU with their replacement."""
    from ecoml.training.base import NoAccount
    from ecoml.training.images.worker.loop import Training

    training: Any = Training(problem, 0, config, NoAccount())
    training.equal_batches = True
    if not recorded:
        training.recorder = None
    elif problem.device.type == "cpu":
        training.recorder = Repeating()
    return training


def apart(one: Any, other: Any) -> float:
    """The largest difference between two trainings, relative to the largest number of each tensor: weights, running
    statistics, and the state of the optimiser. It is 0.0 only if they are equal bit for bit.
    """
    states = ([*of.network.state_dict().values(), *of._tensors()] for of in (one, other))
    found = 0.0
    for value, expected in zip(*states, strict=True):
        if not bool((value == expected).all()):
            difference = (value.double() - expected.double()).abs().nan_to_num(posinf=1.0)
            found = max(found, float(difference.max() / expected.double().abs().max().clamp(1e-12)), 1e-300)
    return found


def both_precisions(file: Path, config: dict[str, Any], seed: int, where: dict[str, Any]) -> dict[str, Any]:
    """The same training in float32 and in bfloat16, with alternating epochs, for networks of any size."""
    from dataclasses import replace

    from ecoml.training.images.steps import step
    from ecoml.training.images.worker.loop import Training

    problem = _problem(file, where["device"] or "cpu", seed, where["threads"] or 1)
    limits: Any = step
    from_flop, limits._BF16_FROM_FLOP = limits._BF16_FROM_FLOP, 0
    clocks = {way: Clock() for way in ("float32", "bfloat16")}
    trainings = {
        way: Training(replace(problem, bf16=way == "bfloat16"), 0, config | FULL, clock)
        for way, clock in clocks.items()
    }
    for epoch in range(config["epochs"]):
        for way, clock in clocks.items():
            with clock:
                clock.accuracy = trainings[way].advance().accuracy
            if epoch == 0:  # loads libraries that are loaded on first use
                clock.cpu_s = dict.fromkeys(clock.cpu_s, 0.0)
    limits._BF16_FROM_FLOP = from_flop
    batch_flop = trainings["float32"].network.batch_flops
    return {way: clock.cpu_s | {"accuracy": clock.accuracy} for way, clock in clocks.items()} | {
        "batch_flop": batch_flop
    }


def _problem(file: Path, device: str, seed: int, threads: int) -> Any:
    from ecoml.training.images.data.loader import load
    from ecoml.training.images.worker.device import task_of
    from ecoml.training.images.worker.workload import Workload

    return task_of(load(str(file)), Workload(str(file), None, False, device, seed, threads, True, 0.2, False))
