"""The agent of a host: trains what its leases say, on its own account, and stops without the driver if necessary.

It does not depend on the transport: the transport calls `take` with orders, and `next_report` for the message to send.
A step runs in its worker's thread. A step whose allowance is used up waits for more. It ends if the driver says that
there is none, or if there was no message for `lease_s`; in the latter case the account is closed as well.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import cloudpickle

from ecoml.energy import Energy, EnergyByDomain, Provenance, Purpose
from ecoml.errors import BudgetExhausted, EcomlError, UsageError, in_one_line
from ecoml.ledger.accounts.attribution import Step
from ecoml.ledger.accounts.metered import MeteredAccount
from ecoml.ledger.accounts.reported import ReportedAccount
from ecoml.ledger.readings import Reading
from ecoml.meter.required import refuse_unmeasured, what_is_unmeasured
from ecoml.searcher.energy.metering import meter_for, open_metering
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
from ecoml.searcher.hosts.parcels import Fetch, nothing_to_fetch, unpacked
from ecoml.searcher.hosts.spool import Spool
from ecoml.searcher.hosts.trainings import Trainings
from ecoml.training.base import Executor, Pooled
from ecoml.trial import Measurement

if TYPE_CHECKING:
    from ecoml.meter.base import Meter


class Agent:
    """One process of a host's agent.

    Args:
        setup: The driver's setup.
        spool: The file of the host's account.
        host: The host's name.
        fetch: Returns what the training needs and this host does not have.
        meter: Your own meter; default: this host's.
        clock: Returns seconds.

    Attributes:
        over: Whether it takes no further lease.
        closed: Whether its account is closed and on disk.
    """

    def __init__(
        self,
        setup: Setup,
        spool: Path,
        host: str,
        *,
        fetch: Fetch = nothing_to_fetch,
        meter: Meter | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.over = self.closed = False
        self._setup = setup
        self._host = host
        self._fetch = fetch
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
        self._about: About | None = None
        self._refused = ""
        self._account: MeteredAccount | ReportedAccount | None = None
        self._idle: Mapping[str, Energy] = {}
        self._trainings: Trainings | None = None
        self._ending: threading.Thread | None = None
        self._shut = False

    def open(self) -> None:
        """Prepare: open the meter, and load what the training needs. Reports may be requested during this."""
        try:
            refuse_other_versions(self._host, self._setup.versions)
            executor = unpacked(self._setup.executor, self._host, self._setup.parcels, self._fetch)
            domains = self._open_account(executor)
            executor.prepare(cloudpickle.loads(self._setup.space))
            self._begin_to_train(Trainings(executor, self._host), domains)
        except Exception as error:
            told = str(error) if isinstance(error, EcomlError) else in_one_line(error)
            self._refused = told if told.startswith("host ") else f"host {self._host}: {told}"
        self._tell()

    def _open_account(self, executor: Executor) -> list[str]:
        """Open the account; returns the meter's domain of each of several workers."""
        if self._setup.reported:
            self._account = ReportedAccount(self._spool)
            return []
        self._meter = meter = self._meter or meter_for(executor)
        if self._setup.require_measured:
            refuse_unmeasured(meter)
        metering = open_metering(meter, self._setup.budget_j, None)
        account = MeteredAccount(self._spool, metering.window, clock=self._clock)
        account.until_s = self._until_s
        self._account, self._idle = account, metering.idle.by_domain
        gpus = executor.gpus() if isinstance(executor, Pooled) else ()
        if len(gpus) < 2:
            return []
        from ecoml.meter.counters.ordinals import domains_of

        return list(domains_of(gpus, meter.sources))

    def _begin_to_train(self, trainings: Trainings, domains: list[str]) -> None:
        account = self._account
        assert account is not None, "it was opened before"
        if trainings.count > 1:
            account.share_among(domains)
        meter = self._meter if isinstance(account, MeteredAccount) else None
        account.settle()
        account.unwatched_j = 0.0  # getting ready is no step between two looks
        self._about = About(
            workers=trainings.count,
            kind=trainings.kind,
            provenance=account.provenance if meter is not None else Provenance.REPORTED,
            movable=trainings.movable,
            idle=self._idle,
            unmeasured=what_is_unmeasured(meter) if meter is not None else (),
            process=os.getpid(),
        )
        self._trainings = trainings

    @property
    def _until_s(self) -> float:
        """The time at which the leases expire, on the agent's clock."""
        return self._heard_s + self._setup.lease_s

    def take(self, orders: Orders) -> None:
        """Process orders from the driver. Repeated and late orders are ignored."""
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
            ready = self._trainings is not None
            new = [lease for lease in orders.leases if ready and lease.number > self._begun]
            for lease in new:
                self._begun = lease.number
                self._spool.know(lease.trial, lease.config)
                self._leases[lease.number] = lease
            open_leases = {lease.number: lease for lease in orders.leases}
            for number, lease in self._leases.items():
                self._leases[number] = open_leases.get(number, replace(lease, recalled=True))
            self._outcomes = {number: kept for number, kept in self._outcomes.items() if number in open_leases}
            used = {lease.trial for lease in self._leases.values()} | orders.keeps
            used |= {lease.trial for lease in orders.leases}
            if self._trainings is not None:
                for trial in [trial for trial in self._trainings.trials if trial not in used]:
                    self._trainings.drop(trial)
            self._set_limit()
            for lease in new:  # none begins before its allowance holds
                self._ready().submit(lease.worker, self._make, lease)
            self._short &= {n for n, lease in self._leases.items() if not lease.final and not lease.recalled}
            if orders.released:
                self.end()
            self._changed.notify_all()

    def _acknowledge(self, orders: Orders) -> None:
        for sequence in [number for number in self._versions if number <= orders.acknowledged]:
            self._acknowledged = max(self._acknowledged, self._versions.pop(sequence))

    def _set_limit(self) -> None:
        """Set the limit of the host's account to what its leases allow beyond what they have taken."""
        account = self._account
        if isinstance(account, MeteredAccount):
            left = [max(0.0, lease.allowance_j - account.step_j(lease.trial)) for lease in self._leases.values()]
            account.limit(account.spent_j + sum(left))

    def _make(self, lease: Lease) -> None:
        """Run the step of a lease, in its worker's thread."""
        account, trainings = self._account, self._ready()
        assert account is not None, "leases arrive after the opening"
        worker = trainings.worker_of(lease)
        measurement, raised, trace = None, None, ""
        try:
            account.enter(Purpose.TRAINING, lease.trial, worker)
            try:
                measurement = next(trainings.run(lease, LeaseAccount(self, lease.number, worker)))
            except BaseException as error:
                raised, trace = error, traceback.format_exc()
            energy_j = measurement.energy_j if measurement is not None else None
            usable = energy_j is not None and 0 < energy_j < float("inf")
            half_j = measurement.uncertainty_j if measurement is not None else 0.0
            with account.end_of_step(lease.trial, energy_j if usable else None, half_j) as step:
                pass
        except EcomlError:  # its disk is full: a host that cannot keep an account is none
            self.end()
        else:
            self._settle(lease, measurement, raised, trace, step)

    def _settle(
        self, lease: Lease, measurement: Measurement | None, raised: BaseException | None, trace: str, step: Step
    ) -> None:
        floor_j = self._ready().floor_j(lease.config, lease.step + 1) if raised is None else None
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

    def check(self, number: int, worker: int | None) -> None:
        """Called by a training between two batches.

        Raises:
            BudgetExhausted: Its lease was recalled, has expired, or has no allowance left.
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
        """Request a larger allowance, and wait for the driver's answer."""
        with self._changed:
            before = self._leases[number]
            self._short.add(number)
            self._tell()
            self._changed.wait_for(lambda: self.over or self._leases[number] != before, self._setup.lease_s)
            self._short.discard(number)

    def enter(self, purpose: Purpose, trial: int | None, worker: int | None) -> None:
        """As in any account."""
        assert self._account is not None, "it is open while leases are under way"
        self._account.enter(purpose, trial, worker)

    def next_report(self, timeout_s: float = BEAT_S) -> Report:
        """The next message to the driver: as soon as there is news, or after this many seconds."""
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
        """As `Trainings.checkpoint`."""
        return self._ready().checkpoint(trial)

    def save(self, trial: int) -> bytes:
        """As `Trainings.save`."""
        return self._ready().save(trial)

    def _ready(self) -> Trainings:
        if self._trainings is None:
            raise UsageError(f"host {self._host} is not ready")
        return self._trainings

    def end(self) -> None:
        """Take no further lease, and settle the account. Running steps end at their next check."""
        with self._changed:
            if not self.over:
                self.over = True
                self._ending = threading.Thread(target=self._settle_account, name="ecoml-end")
                self._ending.start()
                self._changed.notify_all()

    def _settle_account(self) -> None:
        with suppress(EcomlError):
            if self._account is not None:
                self._account.close()
        self.closed = True
        self._tell()

    def close(self) -> None:
        """Close everything. May be called twice."""
        if self._shut:
            return
        self._shut = True
        with self._changed:
            self.over = True
            self._changed.notify_all()
        if self._ending is not None:
            self._ending.join()
        if self._trainings is not None:
            self._trainings.close()
        if self._account is not None:
            with suppress(EcomlError):
                self._account.close()
        if self._meter is not None:
            self._meter.close()
        self._spool.close()


class LeaseAccount:
    """A training's view of its host's account; implements `ecoml.training.base.Account`.

    Attributes:
        lease: The number of the current lease.
        worker: The worker; None: the only one.
    """

    def __init__(self, agent: Agent, lease: int, worker: int | None) -> None:
        self.lease = lease
        self.worker = worker
        self._agent = agent

    def check_budget(self) -> None:
        """Raise `BudgetExhausted` if the lease has no allowance left."""
        self._agent.check(self.lease, self.worker)

    def enter(self, purpose: Purpose) -> None:
        """Count joules as `purpose` from now on."""
        self._agent.enter(purpose, None, self.worker)
