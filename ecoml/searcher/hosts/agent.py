"""The agent of a host: trains what its leases say, on an account of its own, and stops by itself.

It knows nothing of how messages come and go: whoever carries them calls `take` with orders, and `next_report` for what
to send. A step runs in its worker's thread. One whose allowance is used up waits until more is given, and ends where
the driver says that there is none, or nobody has said anything for `lease_s`: then the account is closed as well.
"""

from __future__ import annotations

import itertools
import os
import platform
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloudpickle

from ecoml.energy import Energy, EnergyByDomain, Provenance, Purpose
from ecoml.errors import BudgetExhausted, EcomlError, UsageError, in_one_line
from ecoml.ledger.attribution import Step
from ecoml.ledger.metered import MeteredAccount
from ecoml.ledger.readings import Reading
from ecoml.ledger.reported import ReportedAccount
from ecoml.meter.required import refuse_unmeasured, what_is_unmeasured
from ecoml.searcher.hosts.messages import (
    BEAT_S,
    About,
    Lease,
    Orders,
    Outcome,
    Report,
    Setup,
    pickled,
    refuse_other_versions,
)
from ecoml.searcher.hosts.spool import Spool
from ecoml.searcher.metering import meter_for, open_metering
from ecoml.searcher.workers import OnlyWorker
from ecoml.training.base import Executor, Floored, Movable, Pooled, Run, Tested, Worker
from ecoml.trial import Measurement, Trial

if TYPE_CHECKING:
    from ecoml.meter.base import Meter


@dataclass(slots=True)
class _Held:
    """A run that is held here, its trial, what it sees of the account, and its worker's number."""

    run: Run
    trial: Trial
    account: LeaseAccount
    worker: int


class Agent:
    """One incarnation of a host's agent.

    Args:
        setup: What the driver starts it with.
        spool: The file of the host's account.
        host: The host's name.
        meter: A meter of one's own; by default that of this host.
        clock: Gives seconds.

    Attributes:
        over: Whether it takes no further lease.
        closed: Whether its account is closed as well, and on disk.
    """

    def __init__(
        self,
        setup: Setup,
        spool: Path,
        host: str,
        *,
        meter: Meter | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.over = self.closed = False
        self._setup = setup
        self._host = host
        self._clock = clock
        self._meter = meter
        self._changed = threading.Condition(threading.RLock())
        self._spool = Spool(spool)
        self._sequence = itertools.count(1)
        self._versions: dict[int, int] = {}  # of the spool's counters, by the report that told them
        self._acknowledged = 0  # of them
        self._orders = Orders(0)
        self._heard_s = clock()
        self._news = True
        self._leases: dict[int, Lease] = {}  # under way, by number
        self._outcomes: dict[int, Outcome] = {}
        self._begun = 0  # the number of the last lease that was begun
        self._short: set[int] = set()
        self._runs: dict[int, _Held] = {}  # by trial
        self._about: About | None = None
        self._refused = ""
        self._account: MeteredAccount | ReportedAccount | None = None
        self._idle: Mapping[str, Energy] = {}
        self._workers: list[tuple[Worker, ThreadPoolExecutor]] = []

    def open(self) -> None:
        """Get ready: open the meter, load what the training needs. Reports may be asked for meanwhile."""
        try:
            refuse_other_versions(self._host, self._setup.versions)
            self._executor: Executor = cloudpickle.loads(self._setup.executor)
            domains = self._open_account()
            self._executor.prepare(cloudpickle.loads(self._setup.space))
            self._open_workers(domains)
        except Exception as error:
            told = str(error) if isinstance(error, EcomlError) else in_one_line(error)
            self._refused = told if told.startswith("host ") else f"host {self._host}: {told}"
        self._tell()

    def _open_account(self) -> list[str]:
        """The account, and the meter's domain of each of several workers."""
        if self._setup.reported:
            self._account = ReportedAccount(self._spool)
            return []
        self._meter = meter = self._meter or meter_for(self._executor)
        if self._setup.require_measured:
            refuse_unmeasured(meter)
        metering = open_metering(meter, self._setup.budget_j, None)
        account = MeteredAccount(self._spool, metering.window, clock=self._clock)
        account.until_s = self._until_s
        self._account, self._idle = account, metering.idle.by_domain
        gpus = self._executor.gpus() if isinstance(self._executor, Pooled) else ()
        if len(gpus) < 2:
            return []
        from ecoml.meter.counters.ordinals import domains_of

        return list(domains_of(gpus, meter.sources))

    def _open_workers(self, domains: list[str]) -> None:
        executor, account = self._executor, self._account
        assert account is not None, "it was opened before"
        pooled = list(executor.workers()) if isinstance(executor, Pooled) else []
        workers: list[Worker] = pooled if len(pooled) > 1 else [OnlyWorker(executor)]
        if len(workers) > 1:
            account.share_among(domains)
        self._workers = [(worker, ThreadPoolExecutor(1, "ecoml-worker")) for worker in workers]
        meter = self._meter if isinstance(account, MeteredAccount) else None
        account.settle()
        account.unwatched_j = 0.0  # getting ready is no step between two looks
        self._about = About(
            workers=len(workers),
            kind=_kind(executor),
            provenance=account.provenance if meter is not None else Provenance.REPORTED,
            movable=isinstance(executor, Movable),
            idle=self._idle,
            unmeasured=what_is_unmeasured(meter) if meter is not None else (),
            process=os.getpid(),
        )

    @property
    def _until_s(self) -> float:
        """When the leases end by themselves, on the agent's clock."""
        return self._heard_s + self._setup.lease_s

    def take(self, orders: Orders) -> None:
        """Word from the driver. Orders that come again change nothing, and those that come late do not count."""
        with self._changed:
            if self.over or orders.number < self._orders.number:
                return
            if self._clock() > self._until_s:  # it was stopped meanwhile, and its leases have ended
                self.end()
                return
            self._heard_s = self._clock()
            if isinstance(self._account, MeteredAccount):
                self._account.until_s = self._until_s
            if orders.number == self._orders.number:
                return
            self._orders = orders
            self._acknowledge(orders)
            for lease in orders.leases:
                if lease.number > self._begun and lease.worker < len(self._workers):
                    self._begin(lease)
            open_leases = {lease.number: lease for lease in orders.leases}
            for number, lease in self._leases.items():
                self._leases[number] = open_leases.get(number, replace(lease, recalled=True))
            self._outcomes = {number: kept for number, kept in self._outcomes.items() if number in open_leases}
            used = {lease.trial for lease in self._leases.values()} | orders.keeps
            used |= {lease.trial for lease in orders.leases}
            for trial in [trial for trial in self._runs if trial not in used]:
                self._drop(trial)
            self._set_limit()
            self._short &= {n for n, lease in self._leases.items() if not lease.final and not lease.recalled}
            if orders.released:
                self.end()
            self._changed.notify_all()

    def _acknowledge(self, orders: Orders) -> None:
        for sequence in [number for number in self._versions if number <= orders.acknowledged]:
            self._acknowledged = max(self._acknowledged, self._versions.pop(sequence))

    def _begin(self, lease: Lease) -> None:
        self._begun = lease.number
        self._spool.know(lease.trial, lease.config)
        self._leases[lease.number] = lease
        self._workers[lease.worker][1].submit(self._make, lease)

    def _drop(self, trial: int) -> None:
        held = self._runs.pop(trial)
        self._workers[held.worker][1].submit(_close, held.run)

    def _set_limit(self) -> None:
        """The host may spend what its leases allow, beyond what they have taken."""
        account = self._account
        if isinstance(account, MeteredAccount):
            left = [max(0.0, lease.allowance_j - account.step_j(lease.trial)) for lease in self._leases.values()]
            account.limit(account.spent_j + sum(left))

    def _make(self, lease: Lease) -> None:
        """Make the step of a lease, in its worker's thread."""
        account = self._account
        assert account is not None, "leases come when it is open"
        worker_number = lease.worker if len(self._workers) > 1 else None
        account.enter(Purpose.TRAINING, lease.trial, worker_number)
        measurement, raised, trace = None, None, ""
        try:
            measurement = next(self._run(lease))
        except BaseException as error:
            raised, trace = error, traceback.format_exc()
        energy_j = measurement.energy_j if measurement is not None else None
        usable = energy_j is not None and 0 < energy_j < float("inf")
        half_j = measurement.uncertainty_j if measurement is not None else 0.0
        with account.end_of_step(lease.trial, energy_j if usable else None, half_j) as step:
            pass
        self._settle(lease, measurement, raised, trace, step)

    def _settle(
        self, lease: Lease, measurement: Measurement | None, raised: BaseException | None, trace: str, step: Step
    ) -> None:
        floored = self._executor if isinstance(self._executor, Floored) else None
        floor_j = floored.floor_j(lease.config, lease.step + 1) if floored is not None and raised is None else None
        bare = replace(step, energy=EnergyByDomain(step.energy.domains))
        with self._changed:
            del self._leases[lease.number]
            self._short.discard(lease.number)
            if raised is None:
                outcome = Outcome(lease.number, lease.trial, measurement, bare, floor_j=floor_j)
            else:
                expected = isinstance(raised, StopIteration | BudgetExhausted)
                error = (pickled(raised), in_one_line(raised), "" if expected else trace)
                outcome = Outcome(lease.number, lease.trial, None, bare, *error)
            self._outcomes[lease.number] = outcome
            self._set_limit()
            self._tell()

    def _run(self, lease: Lease) -> Run:
        """The run of a lease's trial, on its worker."""
        worker, _ = self._workers[lease.worker]
        account = LeaseAccount(self, lease.number, lease.worker if len(self._workers) > 1 else None)
        trial, held = Trial(lease.trial, lease.config), self._runs.get(lease.trial)
        if lease.checkpoint is not None:
            assert isinstance(self._executor, Movable), "only those of movable trials are sent"
            if held is not None:  # it has been on another host since
                _close(held.run)
            run = self._executor.restore(trial, account, lease.checkpoint, lease.step)
        elif held is not None:
            run = held.run
            worker.take_over(run, account)
            held.account.lease, held.account.worker = account.lease, account.worker  # for runs that keep their own
        elif lease.step:
            raise ChildProcessError(f"the agent of host {self._host} that held this training has died since")
        else:
            run = worker.start(trial, account)
        with self._changed:
            self._runs[lease.trial] = _Held(
                run, trial, held.account if held and run is held.run else account, lease.worker
            )
        return run

    def check(self, number: int, worker: int | None) -> None:
        """Called by a training between two batches.

        Raises:
            BudgetExhausted: Its lease is recalled, has run out, or allows nothing more.
        """
        while True:
            lease = self._leases[number]
            if lease.recalled or self.over or self._clock() > self._until_s:
                raise BudgetExhausted
            try:
                assert self._account is not None, "it is open while leases are under way"
                self._account.check_budget(worker)
            except BudgetExhausted:
                if lease.final:
                    raise
                self._wait_for_more(number)
            else:
                return

    def _wait_for_more(self, number: int) -> None:
        """Ask for a larger allowance, and wait for the driver's word."""
        with self._changed:
            before = self._leases[number]
            self._short.add(number)
            self._tell()
            self._changed.wait_for(lambda: self.over or self._leases[number] != before, self._setup.lease_s)
            self._short.discard(number)

    def enter(self, purpose: Purpose, trial: int | None, worker: int | None) -> None:
        """As of any account."""
        assert self._account is not None, "it is open while leases are under way"
        self._account.enter(purpose, trial, worker)

    def next_report(self, timeout_s: float = BEAT_S) -> Report:
        """What to tell the driver: as soon as there is news, or after so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._news, timeout_s)
            self._news = False
            if not self.over and self._clock() > self._until_s:
                self.end()
            closed = self.closed  # before the counters are read: what it says of them must hold
            account = self._account
            if account is not None and not self._leases:
                with suppress(BudgetExhausted):  # while nothing is under way, each beat is a look
                    account.check_budget()
            version, counters = self._spool.counters(self._acknowledged)
            sequence = next(self._sequence)
            self._versions[sequence] = version
            reading = Reading(
                *(self._host, self._spool.id, self._spool.incarnation, sequence, counters, self._spool.seen()),
                power_w=account.power_w if isinstance(account, MeteredAccount) else 0.0,
                unwatched_j=account.unwatched_j if account is not None else 0.0,
                gaps=self._spool.gaps(),
            )
            return Report(
                reading,
                self._orders.number,
                tuple(self._leases),
                tuple(self._outcomes.values()),
                tuple(self._short),
                self._about,
                self._refused,
                closed,
            )

    def _tell(self) -> None:
        with self._changed:
            self._news = True
            self._changed.notify_all()

    def checkpoint(self, trial: int) -> bytes:
        """A trial that was left here, for another host to go on with.

        Raises:
            UsageError: It is not here, or cannot move.
        """
        held, executor = self._held(trial), self._executor
        if not isinstance(executor, Movable):
            raise UsageError(f"host {self._host}: trial {trial} cannot go on elsewhere")
        return self._in_worker(held.worker, lambda: executor.checkpoint(held.run))

    def save(self, trial: int) -> bytes:
        """The present weights of a trial that is held here, as a file's content.

        Raises:
            UsageError: It is not here, or has none.
        """
        held, executor = self._held(trial), self._executor
        if not isinstance(executor, Tested):
            raise UsageError(f"host {self._host}: trial {trial} has no weights to keep")

        def save() -> bytes:
            with tempfile.TemporaryDirectory(prefix="ecoml-") as folder:
                path = Path(folder) / "model.safetensors"
                executor.save(held.run, held.trial, path)
                return path.read_bytes()

        return self._in_worker(held.worker, save)

    def _held(self, trial: int) -> _Held:
        with self._changed:
            if trial not in self._runs:
                raise UsageError(f"host {self._host}: trial {trial} is not held there")
            return self._runs[trial]

    def _in_worker(self, number: int, make: Callable[[], bytes]) -> bytes:
        future: Future[bytes] = self._workers[number][1].submit(make)
        return future.result()

    def end(self) -> None:
        """No further lease; what was spent is settled. Steps under way end at their next look."""
        with self._changed:
            if not self.over:
                self.over = True
                threading.Thread(target=self._settle_account, name="ecoml-end").start()
                self._changed.notify_all()

    def _settle_account(self) -> None:
        with suppress(EcomlError):
            if self._account is not None:
                self._account.close()
        self.closed = True
        self._tell()

    def close(self) -> None:
        """End all of it. May be called twice."""
        with self._changed:
            self.over = True
            self._changed.notify_all()
        for _, pool in self._workers:
            pool.shutdown(wait=False, cancel_futures=True)
        for held in self._runs.values():
            _close(held.run)
        self._runs.clear()
        if self._account is not None:
            with suppress(EcomlError):
                self._account.close()
        if self._meter is not None:
            self._meter.close()
        self._spool.close()


class LeaseAccount:
    """What a training sees of its host's account; fulfils `ecoml.training.base.Account`.

    Attributes:
        lease: The number of the lease under way.
        worker: Where it trains; None: on the only worker.
    """

    def __init__(self, agent: Agent, lease: int, worker: int | None) -> None:
        self.lease = lease
        self.worker = worker
        self._agent = agent

    def check_budget(self) -> None:
        """Raise `BudgetExhausted` if the lease allows nothing more."""
        self._agent.check(self.lease, self.worker)

    def enter(self, purpose: Purpose) -> None:
        """From here on joules count as `purpose`."""
        self._agent.enter(purpose, None, self.worker)


def _kind(executor: Executor) -> str:
    """The class of this host: what it trains on."""
    if isinstance(executor, Pooled) and executor.gpus():
        import torch

        if torch.cuda.is_available():
            return str(torch.cuda.get_device_name(executor.gpus()[0]))
    from ecoml.run.folder import describe_host

    return str(describe_host()["cpu"] or platform.machine())


def _close(run: Any) -> None:
    with suppress(Exception):
        run.close()
