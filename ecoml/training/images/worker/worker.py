"""The worker of one device, and the devices that a setting names."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ecoml.energy import Energy
from ecoml.errors import UsageError
from ecoml.meter.base import Window
from ecoml.training.base import Account, Run
from ecoml.training.images.scores import ACCURACY
from ecoml.training.images.worker.shared import SharedWorker, WorkerRun
from ecoml.training.images.worker.workload import Workload
from ecoml.trial import Inference, Trial, Usage

USE_BATCHES = (1, 64)
"""Batch sizes for the cost of predictions: that of a service, and that of bulk predictions."""


class ImageWorker:
    """Trains one trial at a time on its device; implements `ecoml.training.base.Worker`.

    Args:
        workload: Data, settings and device.
        process: The process that trains; other executors may share it.
        patience_s: As in `CnnTraining`.

    Attributes:
        score: Which of `ecoml.training.images.scores.METRICS` its runs measure.
        remarks: Remarks on its runs for the result, each sentence once.
    """

    def __init__(self, workload: Workload, process: SharedWorker, patience_s: float) -> None:
        self.workload = workload
        self.process = process
        self.score = ACCURACY
        self.remarks: dict[str, None] = {}
        self._patience_s = patience_s

    def start(self, trial: Trial, account: Account) -> Run:
        """A run of `trial.config` on this device."""
        run = WorkerRun(self.process, self.workload, trial, account, self._patience_s, self.score)
        run.remark = self.remarks.setdefault
        return run

    def suspend(self, run: Run) -> None:
        """Write a checkpoint of a suspended run."""
        assert isinstance(run, WorkerRun), "workers are given their own runs"
        run.worker.suspend(run)

    def take_over(self, run: Run, account: Account) -> None:
        """Continue a run that has a checkpoint on this device."""
        assert isinstance(run, WorkerRun), "workers are given their own runs"
        run.worker, run.workload, run.account = self.process, self.workload, account

    def use(self, path: Path, seconds: float, window: Callable[[], Window]) -> Usage:
        """The cost of predictions with a model file, in full precision, on validation images.

        Args:
            path: The file.
            seconds: How long each batch size is measured, at least one batch.
            window: Opens a window of the meter.
        """
        parameters, flop = self.process.ask("ready_to_use", self.workload, path.absolute())
        inferences = {}
        for batch_size in USE_BATCHES:
            predict = partial(self.process.ask, "predict", self.workload, batch_size)
            predict(0.0)  # what a library does on first use is no part of it
            with window() as opened:
                images, latency_s = predict(seconds)
            whole = Energy(opened.energy_j, opened.uncertainty_j, opened.provenance)
            inferences[batch_size] = Inference(batch_size, images, latency_s, whole.times(1 / images))
        return Usage(parameters, path.stat().st_size, flop, inferences)


def devices_of(device: str | None) -> tuple[str, ...]:
    """The names of several devices in one setting; empty if it names only one.

    Raises:
        UsageError: A device is not a GPU, or one is named twice.
    """
    if device is None or "," not in device:
        return ()
    names = tuple(name.strip() for name in device.split(","))
    if wrong := [name for name in names if not re.fullmatch(r"cuda:\d+", name)]:
        raise UsageError(f"device {device!r}: {wrong[0]!r} is not a GPU with a number; give several as `cuda:0,cuda:1`")
    if len(set(gpus_of(names))) < len(names):
        raise UsageError(f"device {device!r} names a GPU twice; each trains one trial at a time")
    return names


def gpus_of(devices: Sequence[str]) -> tuple[int, ...]:
    """CUDA's number of each GPU among these devices: 1 for `cuda:1`, 0 for `cuda`, none for `cpu`."""
    parts = [device.partition(":") for device in devices]
    return tuple(int(number) if number.isdigit() else 0 for kind, _, number in parts if kind == "cuda")


def taken_remarks(workers: Sequence[ImageWorker]) -> tuple[str, ...]:
    """The workers' remarks for the result, each sentence once; the workers then forget them."""
    found = dict.fromkeys(sentence for worker in workers for sentence in worker.remarks)
    for worker in workers:
        worker.remarks.clear()
    return tuple(found)
