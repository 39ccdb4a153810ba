"""The agent of a host: trains what its leases say, on its own account, and stops without the driver if necessary.

It does not depend on the transport: the transport calls `take` with orders, and `next_report` for the message to send.
A step runs in its worker's thread. A step whose allowance is used up waits for more. It ends if the driver says that
there is none, or if there was no message for `lease_s`; in the latter case the account is closed as well.
"""

from __future__ import annotations

import os
import threading
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import cloudpickle

from ecoml.energy import EnergyByDomain, Purpose
from ecoml.errors import BudgetExhausted, EcomlError, UsageError, in_one_line
from ecoml.ledger.accounts.attribution import Step
from ecoml.searcher.hosts.host_account import HostAccount
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
from ecoml.searcher.hosts.trainings import LeaseAccount, Trainings
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
    ) -> None:
        self.over = self.closed = False
        self._setup = setup
        self._host = host
        self._fetch = fetch
        self._changed = threading.Condition(threading.RLock())
        self._opening = threading.Lock()
        self._spool = Spool(spool)
        self._account = HostAccount(self._spool, host, meter)
        self._orders = Orders(0)
        self._heard_s = time.monotonic()
        self._news = True
        self._leases: dict[int, Lease] = {}  # under way, by number
        self._outcomes: dict[int, Outcome] = {}
        self._begun = 0  # the number of the last lease that was begun
        self._short: set[int] = set()
        self._about: About | None = None
        self._refused = ""
        self._trainings: Trainings | None = None
        self._ending: threading.Thread | None = None
        self._shut = False

    def open(self) -> None:
        """Prepare: open the meter, and load what the training needs. Reports may be requested during this."""
        try:
            with self._opening:
                self._prepare()
        except Exception as error:
            told = str(error) if isinstance(error, EcomlError) else in_one_line(error)
            self._refused = told if told.startswith("host ") else f"host {self._host}: {told}"
        self._tell()

    def _prepare(self) -> None:
        refuse_other_versions(self._host, self._setup.versions)
        executor = unpacked(self._setup.executor, self._host, self._setup.parcels, self._fetch)
        if not self.over:
            domains = self._account.open(self._setup, executor, self._until_s)
        if not self.over:
            executor.prepare(cloudpickle.loads(self._setup.space))
            self._begin_to_train(Trainings(executor, self._host), domains)

    def _begin_to_train(self, trainings: Trainings, domains: list[str]) -> None:
        self._account.begin(trainings.count, domains)
        self._about = About(
            workers=trainings.count,
            kind=trainings.kind,
            provenance=self._account.opened.provenance,
            movable=trainings.movable,
            idle=self._account.idle,
            unmeasured=self._account.unmeasured,
            process=os.getpid(),
        )
        self._trainings = trainings

    @property
    def _until_s(self) -> float:
        """The time at which the leases expire, on the monotonic clock."""
        return self._heard_s + self._setup.lease_s

    def take(self, orders: Orders) -> None:
        """Process orders from the driver. Repeated and late orders are ignored."""
        with self._changed:
            if self.over or orders.number < self._orders.number:
                return
            if time.monotonic() > self._until_s:  # it was stopped meanwhile, and its leases have ended
                self.end()
                return
            self._heard_s = time.monotonic()
            self._account.last_until(self._until_s)
            if orders.number == self._orders.number:
                return
            self._orders = orders
            self._account.acknowledge(orders.acknowledged)
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
            self._account.limit_to(self._leases.values())
            for lease in new:  # none begins before its allowance holds
                self._ready().submit(lease.worker, self._make, lease)
            self._short &= {n for n, lease in self._leases.items() if not lease.final and not lease.recalled}
            if orders.released:
                self.end()
            self._changed.notify_all()

    def _make(self, lease: Lease) -> None:
        """Run the step of a lease, in its worker's thread."""
        account, trainings = self._account.opened, self._ready()
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
            self._account.limit_to(self._leases.values())
            self._tell()

    def check(self, number: int, worker: int | None) -> None:
        """Called by a training between two batches.

        Raises:
            BudgetExhausted: Its lease was recalled, has expired, or has no allowance left.
        """
        while True:
            lease = self._leases[number]
            if lease.recalled or self.over or time.monotonic() > self._until_s:
                raise BudgetExhausted
            try:
                self._account.opened.check_budget(worker)
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
        self._account.opened.enter(purpose, trial, worker)

    def next_report(self, timeout_s: float = BEAT_S) -> Report:
        """The next message to the driver: as soon as there is news, or after this many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._news, timeout_s)
            self._news = False
            if not self.over and time.monotonic() > self._until_s:
                self.end()
            closed = self.closed  # before the counters are read: what it says of them must hold
            statement = self._account.statement(at_rest=not self._leases)
            return Report(
                statement,
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
        with self._opening:  # preparing takes energy as well
            self._account.settle()
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
        self._account.close()
