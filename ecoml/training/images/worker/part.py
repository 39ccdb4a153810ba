"""One of several GPUs that the built-in training uses at once, with a worker of its own."""

from __future__ import annotations

import re
from dataclasses import replace

from ecoml.errors import UsageError
from ecoml.training.base import Account, Run
from ecoml.training.images.worker.process import WorkerRun, shared_worker
from ecoml.training.images.worker.workload import Prepared, Workload
from ecoml.trial import Trial


class ImageWorker:
    """Trains one trial at a time on its device; fulfils `ecoml.training.base.LabelledImages`.

    Args:
        workload: What is trained on, wherever.
        device: As torch names it, `cuda:1`.
        patience_s: As in `CnnTraining`.
    """

    def __init__(self, workload: Workload, device: str, patience_s: float) -> None:
        self.workload = replace(workload, device=device)
        self.worker = shared_worker(device)
        self._patience_s = patience_s

    def prepare(self) -> Prepared:
        """Have the data loaded and moved to the device."""
        return self.worker.prepare(self.workload)

    def start(self, trial: Trial, account: Account) -> Run:
        """A run of `trial.config` on this device."""
        return WorkerRun(self.worker, self.workload, trial, account, self._patience_s)

    def suspend(self, run: Run) -> None:
        """Put a suspended run into a file."""
        assert isinstance(run, WorkerRun), "workers are given their own runs"
        run.worker.leave(run)

    def take_over(self, run: Run, account: Account) -> None:
        """Go on here with a run that was put into a file."""
        assert isinstance(run, WorkerRun), "workers are given their own runs"
        run.worker, run.workload, run.account = self.worker, self.workload, account


def devices_of(device: str | None) -> tuple[str, ...]:
    """Several devices by their names, of one setting; none where it names no more than one.

    Raises:
        UsageError: They are not GPUs, or one is named twice.
    """
    if device is None or "," not in device:
        return ()
    names = tuple(name.strip() for name in device.split(","))
    if wrong := [name for name in names if not re.fullmatch(r"cuda:\d+", name)]:
        raise UsageError(f"device {device!r}: {wrong[0]!r} is no GPU by its number; give several as `cuda:0,cuda:1`")
    if len({gpu_of(name) for name in names}) < len(names):
        raise UsageError(f"device {device!r} names a GPU twice; each trains one trial at a time")
    return names


def gpu_of(device: str) -> int:
    """CUDA's number of `cuda:1`."""
    return int(device.partition(":")[2])
