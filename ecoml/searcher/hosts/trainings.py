"""The trainings of a host: its executor, its workers with one thread each, and the runs that they hold."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ecoml.energy import Purpose
from ecoml.errors import UsageError
from ecoml.searcher.hosts.messages import Lease
from ecoml.searcher.workers import OnlyWorker
from ecoml.training.base import Executor, Floored, Movable, Pooled, Run, Tested, Worker
from ecoml.trial import Config, Trial


class Allowances(Protocol):
    """What a training asks of its host."""

    def check(self, lease: int, worker: int | None) -> None:
        """Raise `BudgetExhausted` if the lease has no allowance left."""

    def enter(self, purpose: Purpose, trial: int | None, worker: int | None) -> None:
        """Count joules as `purpose` from now on."""


class LeaseAccount:
    """A training's view of its host's account; implements `ecoml.training.base.Account`.

    Args:
        host: The host.

    Attributes:
        lease: The number of the current lease.
        worker: The worker; None: the only one.
    """

    def __init__(self, host: Allowances, lease: int, worker: int | None) -> None:
        self.lease = lease
        self.worker = worker
        self._host = host

    def check_budget(self) -> None:
        """Raise `BudgetExhausted` if the lease has no allowance left."""
        self._host.check(self.lease, self.worker)

    def enter(self, purpose: Purpose) -> None:
        """Count joules as `purpose` from now on."""
        self._host.enter(purpose, None, self.worker)


@dataclass(slots=True)
class _Held:
    """A run that is held here, its trial, its account, and its worker's number."""

    run: Run
    trial: Trial
    account: LeaseAccount
    worker: int


class Trainings:
    """The trainings on a host.

    Args:
        executor: The executor, after `prepare`.
        host: The host's name.

    Attributes:
        count: Number of trials that are trained at the same time.
        movable: Whether they can continue on another host.
    """

    def __init__(self, executor: Executor, host: str) -> None:
        pooled = list(executor.workers()) if isinstance(executor, Pooled) else []
        workers: list[Worker] = pooled if len(pooled) > 1 else [OnlyWorker(executor)]
        self.count = len(workers)
        self.movable = isinstance(executor, Movable)
        self._executor = executor
        self._host = host
        self._workers = [(worker, ThreadPoolExecutor(1, "ecoml-worker")) for worker in workers]
        self._held: dict[int, _Held] = {}  # by trial

    @property
    def kind(self) -> str:
        """The class of this host: the device it trains on."""
        if isinstance(self._executor, Pooled) and (gpus := self._executor.gpus()):
            import torch

            if torch.cuda.is_available():
                return str(torch.cuda.get_device_name(gpus[0]))
        from ecoml.run.folder import describe_host

        return str(describe_host()["cpu"] or platform.machine())

    @property
    def trials(self) -> list[int]:
        """Trials with a run here."""
        return list(self._held)

    def worker_of(self, lease: Lease) -> int | None:
        """The worker's number in an account; None: there is only one worker."""
        return lease.worker if self.count > 1 else None

    def submit(self, worker: int, do: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Run a function in a worker's thread."""
        return self._workers[worker][1].submit(do, *arguments)

    def run(self, lease: Lease, account: LeaseAccount) -> Run:
        """The run of a lease's trial, on its worker, in whose thread this is called.

        Raises:
            ChildProcessError: It has started, and no process holds it.
        """
        worker, held = self._workers[lease.worker][0], self._held.get(lease.trial)
        trial = Trial(lease.trial, lease.config)
        if lease.checkpoint is not None:
            assert isinstance(self._executor, Movable), "only those of movable trials are sent"
            if held is not None:  # it has been on another host since
                _close(held.run)
            run = self._executor.restore(trial, account, lease.checkpoint, lease.step)
            worker.take_over(run, account)
        elif held is not None:
            run = held.run
            worker.take_over(run, account)
            held.account.lease, held.account.worker = account.lease, account.worker  # for runs that keep their own
            account = held.account
        elif lease.step:
            raise ChildProcessError(f"the agent of host {self._host} that held this training has died since")
        else:
            run = worker.start(trial, account)
        self._held[lease.trial] = _Held(run, trial, account, lease.worker)
        return run

    def floor_j(self, config: Config, step: int) -> float | None:
        """The least energy of a trial's arithmetic up to a step; None if unknown."""
        return self._executor.floor_j(config, step) if isinstance(self._executor, Floored) else None

    def drop(self, trial: int) -> None:
        """Free the run of a trial, once its worker is idle."""
        held = self._held.pop(trial)
        self.submit(held.worker, _close, held.run)

    def checkpoint(self, trial: int) -> bytes:
        """The checkpoint of a trial that was suspended here, for another host.

        Raises:
            UsageError: It is not here, or cannot move.
        """
        held, executor = self._find(trial), self._executor
        if not isinstance(executor, Movable):
            raise UsageError(f"host {self._host}: trial {trial} cannot continue on another host")
        return bytes(self.submit(held.worker, executor.checkpoint, held.run).result())

    def save(self, trial: int) -> bytes:
        """The current weights of a trial that is held here, as a file's content.

        Raises:
            UsageError: It is not here, or has no weights.
        """
        held, executor = self._find(trial), self._executor
        if not isinstance(executor, Tested):
            raise UsageError(f"host {self._host}: trial {trial} has no weights to save")

        def save() -> bytes:
            with tempfile.TemporaryDirectory(prefix="ecoml-") as folder:
                path = Path(folder) / "model.safetensors"
                executor.save(held.run, held.trial, path)
                return path.read_bytes()

        return bytes(self.submit(held.worker, save).result())

    def _find(self, trial: int) -> _Held:
        held = self._held.get(trial)
        if held is None:
            raise UsageError(f"host {self._host}: trial {trial} is not held there")
        return held

    def close(self) -> None:
        """Free all runs, without waiting for a running step."""
        for _, pool in self._workers:
            pool.shutdown(wait=False, cancel_futures=True)
        for held in self._held.values():
            _close(held.run)
        self._held.clear()


def _close(run: Run) -> None:
    with suppress(Exception):
        run.close()
