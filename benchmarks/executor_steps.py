"""The same training with one detail of its step changed: recorded or not, float32 or bfloat16.

They reach into the training, which has no setting for either; in a process of their own, as `executor.py` runs them.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Self

from executor_ways import FULL, Free, Measured


class Clock(Free):
    """An account of CPU seconds by purpose, of what happens while it is entered."""

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

    def enter(self, purpose: object) -> None:
        now_s = time.process_time()
        self.cpu_s[self._purpose] += now_s - self._since_s
        self._purpose, self._since_s = str(purpose), now_s


def recorded_and_eager(file: Path, config: dict[str, Any], seed: int, where: dict[str, Any]) -> dict[str, Any]:
    """The same training with the step as a CUDA graph and with each kernel launched, without its first epoch."""
    from ecoml.training.images.worker import loop as of_ecoml

    problem = _problem(file, where["device"] or "cuda", seed, 1)
    loop: Any = of_ecoml
    record, found = loop.recorded, {}
    for way in ("recorded", "eager"):
        loop.recorded = record if way == "recorded" else lambda *_: None
        training = loop.Training(problem, 0, config | FULL, Free())
        training.advance()
        with Measured(where["device"] or "cuda") as measured:
            for _ in range(config["epochs"] - 1):
                measured.accuracy = training.advance().accuracy
        was_recorded = all(play is not None for _, play in training._steps.values())
        found[way] = measured.result | {"was_recorded": was_recorded}
    loop.recorded = record
    return found


def both_precisions(file: Path, config: dict[str, Any], seed: int, where: dict[str, Any]) -> dict[str, Any]:
    """The same training in float32 and in bfloat16, epoch by epoch in turns, however small the network is."""
    from dataclasses import replace

    from ecoml.training.images.worker import step
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
            if epoch == 0:  # loads what is loaded on first use
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
