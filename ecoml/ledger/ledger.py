"""Ledger: the energy of one search, with its run folder, store, account and budget."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from ecoml.carbon.grid import Grid
from ecoml.endings import SearchEnd
from ecoml.energy import Energy, Provenance, Purpose, weaker
from ecoml.errors import BudgetExhausted, StorageError
from ecoml.ledger.accounts.attribution import Step
from ecoml.ledger.accounts.opening import open_account
from ecoml.ledger.accounts.worker_account import WorkerAccount
from ecoml.ledger.budget import Budget
from ecoml.ledger.gram_counter import GramCounter
from ecoml.ledger.hosts import HostAccounts
from ecoml.ledger.metering import Metering
from ecoml.meter.base import Window
from ecoml.meter.required import what_is_unmeasured
from ecoml.metric import Metric
from ecoml.run.account import DRIVER
from ecoml.run.folder import RunFolder
from ecoml.run.storage.snapshot import Snapshot
from ecoml.run.storage.store import Store
from ecoml.trial import Measurement, Trial, Usage, next_point

NOTED_EVERY_S = 1.0
"""Shortest time between two writes of the reservations to disk during a search."""

LONGEST_UNCOMMITTED_S = 1.0
"""Longest time that the energy of many hosts waits to be written to disk; no host is told anything before."""

_ROUNDING = 1e-12
"""Relative error of sums of joules: budget and overshoot bound together are never less than the sum of the entries."""


class Ledger:
    """The energy spent by purpose, reserved, and left. There is one writer.

    Opening it settles what an earlier session left: joules in flight become entries, open trials are stopped.

    Args:
        folder: The run folder.
        budget_j: The energy budget.
        metric: The metric of the scores.
        metering: The session's metering; None: the training reports its energy.
        trace: Whether to store power over time.
        lease_s: Seconds without a message after which agents on other hosts stop; 0.0: there are none.
        grid: The grid's intensity, for CO2e; None: no CO2e is computed.
        budget_g: The CO2e budget, in grams; None: there is none.

    Attributes:
        budget_j: The energy budget.
        budget: The energy that may be spent.
        hosts: The energy of other hosts.
        unmeasured: Why the energy is not measured, one sentence with its remedy each.
    """

    def __init__(
        self,
        folder: RunFolder,
        budget_j: float,
        metric: Metric,
        metering: Metering | None,
        *,
        trace: bool = False,
        lease_s: float = 0.0,
        grid: Grid | None = None,
        budget_g: float | None = None,
    ) -> None:
        store = Store(folder.ledger, create=False)
        if store.recover():
            store.add_gap("the process was killed during a step: its energy since the last heartbeat is not counted")
        self.budget_j = budget_j
        self._closed = False
        self._noted_s = -math.inf
        self._folder = folder
        self._store = store
        self._metric = metric
        self._metering = metering
        before = store.snapshot(metric)
        self._thinking_before_s = before.settings.get("thinking_cpu_s", 0.0)
        co2e = GramCounter(grid, before.co2e.co2e_g)
        self.hosts = HostAccounts(store, lease_s, co2e)
        others_j = self.hosts.spent_j
        self._account = open_account(store, metering, before.spent_j - others_j, trace=trace, co2e=co2e)
        self.unmeasured: tuple[str, ...] = ()
        if metering is not None:
            self.unmeasured = what_is_unmeasured(metering.meter)
            self._store.set("unmeasured", self.unmeasured)
        self._store.set("grid", None if grid is None else grid.name)
        self._store.set("budget_g", budget_g, None if grid is None else grid.provenance)
        self._account.settle()  # getting ready is overhead, and no step between two checks
        ready_j = self.spent_j - before.spent_j
        self._store.set("getting_ready_j", ready_j, self.provenance)
        self._store.set("got_ready_j", before.settings.get("got_ready_j", 0.0) + ready_j, self.provenance)
        self._account.unwatched_j = before.settings.get("overshoot_bound_j", 0.0)
        self._store.set("budget_j", budget_j)
        self._store.set("ended", None)
        self._store.set("beliefs", [])
        self.budget = Budget(
            *(self._account, self.hosts, budget_j, budget_g), ample=lease_s > 0, tried=bool(before.progress)
        )

    @property
    def path(self) -> Path:
        """The run folder."""
        return self._folder.path

    @property
    def metered(self) -> bool:
        """Whether energy is metered (or reported by the training)."""
        return self._account.metered

    @property
    def spent_j(self) -> float:
        """Joules spent so far."""
        return self._account.spent_j + self.hosts.spent_j

    @property
    def by_host_j(self) -> dict[str, float]:
        """Joules by host, if there are several; `driver` is this one."""
        others = self.hosts.by_host_j
        return {DRIVER: self._account.spent_j, **others} if others else {}

    @property
    def host_j(self) -> float:
        """Joules so far that belong to no worker alone."""
        return self._account.spent_j - self._account.workers_j

    @property
    def provenance(self) -> Provenance:
        """The provenance of the current figures."""
        own = self._account.provenance
        return weaker(own, self.hosts.provenance) if self.hosts.spent_j else own

    @property
    def left_j(self) -> float:
        """Joules that steps may still take."""
        return self.budget.left_j

    @property
    def spent_g(self) -> float:
        """Grams of CO2e of the energy so far."""
        return self._account.co2e.spent_g

    @property
    def overshoot_bound_j(self) -> float:
        """The largest energy between two checks of the budget, on each host."""
        return self._account.unwatched_j + self.hosts.unwatched_j

    def commit_late(self) -> None:
        """Let steps of a replay that end in quick succession be written to disk together."""
        self._account.commit_late()

    def commit_together(self) -> None:
        """Let all entries wait for `commit`: steps of many hosts are written to disk together."""
        self._store.delay(LONGEST_UNCOMMITTED_S)

    def check(self) -> None:
        """Read the driver's own energy, if it is time to."""
        with suppress(BudgetExhausted):  # what is left is looked at before anything is started
            self._account.check_budget()

    def commit(self) -> None:
        """Write waiting entries to disk, and check that they, with all that may still be spent, are within the budget.

        Raises:
            StorageError: The run folder cannot be written.
        """
        self.check()
        self._store.flush()
        self.budget.check_promises()

    def share_among(self, domains: Sequence[str]) -> None:
        """From now on several trials run at once, each on the device of one of these domains."""
        self._account.share_among(domains)

    def account_of(self, worker: int | None) -> WorkerAccount:
        """A worker's account; None: that of the only one."""
        return WorkerAccount(self._account, worker)

    def enter(self, purpose: Purpose, trial: int | None = None) -> None:
        """Count joules as `purpose`, for `trial`, from now on."""
        self._account.enter(purpose, trial)

    def reserve(self, trial: int, forecast_j: float) -> bool:
        """Reserve joules for a trial's next step; False, without a reservation, if they do not fit."""
        if not self.budget.reserve(trial, forecast_j):
            return False
        if time.monotonic() - self._noted_s >= NOTED_EVERY_S:
            self._note_bounds()
        return True

    def started(self, trial: Trial) -> None:
        """Enter a new trial."""
        self._store.add_trial(trial)

    def changed(self, trial: Trial, traceback: str | None = None) -> None:
        """Enter a trial's new state."""
        self._store.set_state(trial, traceback)

    def charge(self, trial: Trial, measurement: Measurement, floor_j: float | None = None) -> None:
        """Charge a step and add its point to the trial's curve.

        Raises:
            TrainingError: It reports energy although energy is metered, or the other way round.
        """
        self._account.refuse_other_source(trial.number, measurement.energy_j)
        told = self.hosts.told(trial.number)
        with self._end_of_step(trial.number, measurement.energy_j, measurement.uncertainty_j) as step:
            taken = step.energy.total
            point = next_point(
                *(trial.curve, measurement.score, taken, self._metric),
                evaluation_j=step.evaluation_j,
                spent_j=self.spent_j,
                floor_j=floor_j if told is None else told.floor_j,
                details=measurement.details,
                host="" if told is None else told.kind,
            )
            self._store.add_measurement(trial.number, point, taken, self._account.co2e.figure(step.co2e_g))
        trial.curve.append(point)

    def charge_without_point(self, trial: Trial, energy_j: float | None = None) -> None:
        """Charge a step without a score (it failed, was interrupted, or was the end)."""
        with self._end_of_step(trial.number, None if self.metered else energy_j) as step:
            taken = step.energy.total
        if taken.energy_j > 0:
            whole_j = taken.uncertainty_j + (trial.tail.uncertainty_j if trial.tail else 0.0)
            before_j = trial.tail.energy_j if trial.tail else 0.0
            trial.tail = Energy(before_j + taken.energy_j, whole_j, taken.provenance)

    def paused(self, seconds: float, energy_j: float) -> None:
        """The search has waited for a cleaner grid, in total for this long, and idling took this energy."""
        with self._store.transaction():
            self._store.set("paused_s", seconds)
            self._store.set("paused_j", energy_j, self.provenance)

    def _end_of_step(
        self, trial: int, energy_j: float | None, uncertainty_j: float = 0.0
    ) -> AbstractContextManager[Step]:
        if trial in self.hosts:
            return self.hosts.end_of_step(trial)
        return self._account.end_of_step(trial, energy_j, uncertainty_j)

    def add_test(self, trial: Trial, score: float, details: Mapping[str, Any]) -> None:
        """Enter the test result of a front trial."""
        self._store.add_test(trial.number, trial.step, score, details)

    def add_usage(self, trial: Trial, usage: Usage) -> None:
        """Enter what predictions with the model of a front trial cost."""
        self._store.add_usage(trial.number, trial.step, usage)

    def window(self) -> Window:
        """A separate window on the metered energy, which charges nothing.

        Raises:
            AssertionError: Nothing is metered.
        """
        assert self._metering is not None, "reported joules have no window"
        return self._metering.meter.window()

    @property
    def power_w(self) -> float:
        """The highest power over a piece of at least 50 ms; 0 if nothing is metered."""
        return self._account.power_w

    @property
    def update_s(self) -> float:
        """Seconds between two updates of the slowest counter; 0 if they are fast, or not counters."""
        sources = () if self._metering is None else self._metering.meter.sources
        return max((source.period_s or 0.0 for source in sources if source.used), default=0.0)

    def know_host(self, host: str, idle: Mapping[str, Energy], unmeasured: Sequence[str]) -> None:
        """The idle power of another host, and why its energy is not measured."""
        self.unmeasured = tuple(dict.fromkeys((*self.unmeasured, *unmeasured)))
        with self._store.transaction():
            self._store.set_idle({f"{host}/{domain}": part for domain, part in idle.items()})
            self._store.set("unmeasured", self.unmeasured)

    def keep_beliefs(self, beliefs: Sequence[tuple[int, int, float]]) -> None:
        """Enter the expected true utilities of points of the front: number, step, utility."""
        self._store.set("beliefs", beliefs)

    def note(self, text: str) -> None:
        """Store a sentence that the result shows together with its gaps."""
        self._store.add_gap(text)

    def settle(self) -> None:
        """Enter all joules so far."""
        self._account.settle()

    def snapshot(self) -> Snapshot:
        """The complete content of the ledger."""
        return self._store.snapshot(self._metric)

    def end(self, end: SearchEnd) -> None:
        """End the search and its account."""
        self._account.close()
        # From the last check that was passed to the end nothing was checked: an overshoot is a part of that.
        self._account.unwatched_j = max(self._account.unwatched_j, self.spent_j * (1 + _ROUNDING) - self.budget_j)
        with self._store.transaction():
            self._store.set("ended", end.to_dict())
            self.budget.steps.clear()
            self._note_bounds()

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    def close(self) -> None:
        """Close account, store and folder. May be called twice."""
        if not self._closed:
            self._closed = True
            try:
                with suppress(StorageError):
                    self._account.close()
            finally:
                self._store.close()
                self._folder.close()

    def delete(self) -> None:
        """Close, and delete the run folder."""
        self.close()
        self._folder.delete()

    def _note_bounds(self) -> None:
        """Write the reservations and the overshoot bound to disk: they are for people, so not at every step."""
        self._noted_s = time.monotonic()
        with self._store.transaction():
            self._store.set("reserved_j", self.budget.steps.total_j(), self.provenance)
            self._store.set("overshoot_bound_j", self.overshoot_bound_j, self.provenance)
            self._store.set("closing_j", self.budget.closing_j, self.provenance)
            self._store.set("doubt_j", self.hosts.doubt_j, self.provenance)
            if not self.metered:
                self._store.set("thinking_cpu_s", self._thinking_before_s + self._account.thinking_cpu_s)
