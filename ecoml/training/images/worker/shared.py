"""Runs in a shared worker: one process for all trainings of this one. It holds one run; the others are checkpoints,
which also stay in the process while memory allows.

If a worker dies or hangs, the trial it was training fails, and the next trial starts a new worker.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from ecoml.errors import StorageError, in_one_line
from ecoml.training.base import Account
from ecoml.training.images.scores import ACCURACY
from ecoml.training.images.worker.process import TrainingProcess
from ecoml.training.images.worker.workload import Workload
from ecoml.trial import Measurement, Trial


class WorkerRun:
    """One trial's training in a worker; see `ecoml.training.base.Run`.

    Args:
        worker: The worker that trains it.
        workload: Data and settings of the search.
        trial: The trial.
        account: The account whose budget it checks between two batches.
        patience_s: Seconds without a sign of life after which it is considered hung.
        score: Which of `ecoml.training.images.scores.METRICS` it measures.

    Attributes:
        number: Unique among the runs of this process.
        checkpoint: The file from which it continues, if it is suspended and no worker holds it.
        steps: Number of completed epochs.
        closed: Whether it was closed.
        remark: Receives remarks for the result.
    """

    _numbers = count()

    def __init__(
        self,
        worker: SharedWorker,
        workload: Workload,
        trial: Trial,
        account: Account,
        patience_s: float,
        score: str = ACCURACY,
    ) -> None:
        self.worker = worker
        self.workload = workload
        self.trial = trial
        self.account = account
        self.patience_s = patience_s
        self.score = score
        self.number = next(self._numbers)
        self.checkpoint: Path | None = None
        self.steps = 0
        self.closed = False
        self.remark: Callable[[str], None] | None = None

    def __next__(self) -> Measurement:
        if self.closed:
            raise StopIteration
        scores = self.worker.advance(self)
        if scores is None:
            raise StopIteration
        self.steps += 1
        return Measurement(scores[self.score], details=scores)

    def close(self) -> None:
        """Free its network and delete its checkpoint. May be called twice."""
        if not self.closed:
            self.closed = True
            self.worker.drop(self)

    def delete_checkpoint(self) -> None:
        """Delete the file, if it exists."""
        if self.checkpoint is not None:
            self.checkpoint.unlink(missing_ok=True)
            self.checkpoint = None


class SharedWorker:
    """A training process that is started when first needed, and again after it has ended.

    Thread-safe; requests take turns.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._process: TrainingProcess | None = None
        self._held: WorkerRun | None = None
        self._folders: dict[int, Path] = {}  # of checkpoints, by process: a fork must not delete its parent's

    @property
    def pid(self) -> int | None:
        """Number of the process; None while there is none."""
        process = self._process
        return process.pid if process is not None and process.running else None

    def advance(self, run: WorkerRun) -> dict[str, Any] | None:
        """Train a run for an epoch, and return its scores; None at its end.

        Raises:
            ChildProcessError: The worker died, and this run with it.
            TimeoutError: It gave no sign of life, and was ended.
            Exception: The error of the training.
        """
        with self._lock:
            self._hold(run)
            scores: dict[str, Any] | None = self._ask(run, "advance", run.workload)
        return scores

    def suspend(self, run: WorkerRun) -> None:
        """Write a checkpoint of a run if it is held, so that any worker can continue it."""
        with self._lock:
            if self._holds(run):
                self._suspend_held()

    def put(self, run: WorkerRun, checkpoint: bytes, steps: int) -> None:
        """Set a run to continue from another host's checkpoint, after this many epochs."""
        with self._lock:
            path = self._checkpoints() / f"{run.number}"
            path.write_bytes(checkpoint)
            run.checkpoint, run.steps = path, steps

    def drop(self, run: WorkerRun) -> None:
        """Free the network of a run in the process, and delete its checkpoint."""
        with self._lock:
            if self._holds(run) or (run.checkpoint is not None and self._running() is not None):
                self._held = None if self._held is run else self._held
                with contextlib.suppress(ChildProcessError, TimeoutError):
                    self._started().request("drop", run.number, patience_s=run.patience_s)
            run.delete_checkpoint()

    def save(self, run: WorkerRun, path: Path) -> None:
        """Write a run's current network, held or suspended: another search may have used the worker since.

        Raises:
            ChildProcessError: The worker died, and the network with it.
        """
        with self._lock:
            self._hold(run)
            arguments = path.absolute(), run.workload.model_name
            self._started().request("save", *arguments, account=run.account, patience_s=run.patience_s)

    def ask(self, name: str, *arguments: Any, patience_s: float | None = None) -> Any:
        """The answer to a request that concerns no run; see `TrainingProcess.request`."""
        with self._lock:
            return self._started().request(name, *arguments, patience_s=patience_s)

    def stop(self) -> None:
        """End the process, and delete the checkpoints. May be called twice."""
        with self._lock:
            self._end(kill=False)
            if (folder := self._folders.pop(os.getpid(), None)) is not None:
                shutil.rmtree(folder, ignore_errors=True)

    def _running(self) -> TrainingProcess | None:
        """The process, if there is one. If it has ended, the run that it held is lost."""
        if self._process is not None and not self._process.running:
            self._end(kill=True)
        return self._process

    def _started(self) -> TrainingProcess:
        """The process; a new one if there is none."""
        self._process = self._running() or TrainingProcess()
        return self._process

    def _ready(self, workload: Workload) -> TrainingProcess:
        """The process; if there is none, a new one that has loaded the data."""
        if self._running() is None:
            self.ask("prepare", workload)
        return self._started()

    def _holds(self, run: WorkerRun) -> bool:
        return self._running() is not None and self._held is run

    def _hold(self, run: WorkerRun) -> None:
        """Let the process hold a run; the run it held is suspended."""
        if self._holds(run):
            return
        self._suspend_held()
        _refuse_lost(run)
        self._ready(run.workload)
        self._held = run
        try:
            of_trial = run.trial.number, dict(run.trial.config)
            self._ask(run, "hold", run.workload, run.number, *of_trial, run.steps, run.checkpoint)
        finally:
            run.delete_checkpoint()

    def _ask(self, run: WorkerRun, name: str, *arguments: Any) -> Any:
        """A request of the held run, which is lost if the request fails."""
        try:
            process = self._started()
            return process.request(name, *arguments, account=run.account, patience_s=run.patience_s, remark=run.remark)
        except BaseException as error:
            self._held = None
            if isinstance(error, ChildProcessError | TimeoutError):
                self._ready(run.workload)  # the trial that ended the worker pays for the next one
            raise

    def _checkpoints(self) -> Path:
        """The folder of this process's checkpoints."""
        if os.getpid() not in self._folders:
            self._folders[os.getpid()] = Path(tempfile.mkdtemp(prefix="ecoml-suspended-"))
        return self._folders[os.getpid()]

    def _suspend_held(self) -> None:
        """Write a checkpoint of the held run, so that another one can be held."""
        held, self._held = self._held, None
        if held is None:
            return
        try:
            path = self._checkpoints() / f"{held.number}"
            self._started().request("checkpoint", path, account=held.account, patience_s=held.patience_s)
        except (ChildProcessError, TimeoutError):
            raise
        except (OSError, RuntimeError) as error:  # what torch raises where a file cannot be written
            self._held = held
            folder = self._folders.get(os.getpid(), tempfile.gettempdir())
            raise StorageError(
                f"{folder}: a suspended training cannot be stored there ({in_one_line(error):.120}); free space, or"
                " set TMPDIR to another folder, then continue with `ecoml resume`"
            ) from error
        held.checkpoint = path

    def _end(self, *, kill: bool) -> None:
        if self._process is not None:
            self._process.end(kill=kill)
        self._process = self._held = None


def _refuse_lost(run: WorkerRun) -> None:
    """Refuse a run that has started but is neither held nor suspended."""
    if run.steps and run.checkpoint is None:
        raise ChildProcessError("the worker that held this training has died since")


_workers: dict[str | None, SharedWorker] = {}
_workers_lock = threading.Lock()


def shared_worker(device: str | None = None) -> SharedWorker:
    """The worker of this process; several trainings share the data that it has loaded.

    Args:
        device: Name of the device if trials train on several at once; each device has its own worker.
    """
    with _workers_lock:
        if device not in _workers:
            _workers[device] = SharedWorker()
            atexit.register(_workers[device].stop)
        return _workers[device]
