"""Ledger: one search's energy. Run folder, store, account and budget as one noun."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from ecoml.energy import Provenance, Purpose
from ecoml.errors import StorageError, TrainingError
from ecoml.meter.required import what_is_unmeasured
from ecoml.run.account import MeteredAccount
from ecoml.run.folder import RunFolder
from ecoml.run.lane import Lane
from ecoml.run.meter_thread import Watch
from ecoml.run.metering import Metering
from ecoml.run.reported import ReportedAccount
from ecoml.run.store import Snapshot, Store
from ecoml.trial import Measurement, Trial, next_point

CLOSING_SHARE = 0.25
"""At most this share of the budget is kept back for testing the front and closing down."""

NOTED_EVERY_S = 1.0
"""So often, at most, what is reserved is put on disk while the search goes on."""

ROUNDING = 1e-9
"""Ten steps of a tenth of the budget fit into it, although their sum in floating point may not."""


class NeedsMeter(Exception):  # noqa: N818 - a signal to the searcher, not an error
    """The first measurement brought no energy, although no meter was opened."""


class Ledger:
    """What was spent, on what, what is reserved, what is left. One writer.

    Opening it settles what an earlier sitting left: joules in flight become entries, open trials are stopped.

    Args:
        folder: The run folder.
        budget_j: The ceiling on everything.
        open_metering: Opens the meter and its window, when they are needed.
        metered: Whether joules come from the meter; otherwise the training is expected to bring them.
        trace: Whether to keep power over time.

    Attributes:
        budget_j: The ceiling on everything.
        closing_j: Kept back for testing the front and closing down.
        unmeasured: What keeps the energy from being measured, one sentence with its remedy each.
    """

    def __init__(
        self,
        folder: RunFolder,
        budget_j: float,
        open_metering: Callable[[], Metering],
        *,
        metered: bool,
        trace: bool = False,
    ) -> None:
        store = Store(folder.ledger, create=False)
        if store.recover():
            store.add_gap("the process was killed in a step: its joules since the last heartbeat went unseen")
        self.budget_j = budget_j
        self._reserved_j: dict[int | None, float] = {}  # by lane
        self.unmeasured: tuple[str, ...] = ()
        self._closed = False
        self._noted_s = -math.inf
        self._folder = folder
        self._store = store
        self._open_metering = open_metering
        self._trace = trace
        before = store.snapshot()
        self._provisional = not before.progress
        self._tried = bool(before.progress)
        self._thinking_before_s = before.settings.get("thinking_cpu_s", 0.0)
        self._account: MeteredAccount | ReportedAccount = (
            self._metered_account(before.spent_j) if metered else ReportedAccount(store, spent_j=before.spent_j)
        )
        self._account.settle()  # getting ready is overhead, and no step between two looks
        self._store.set("getting_ready_j", self._account.spent_j - before.spent_j, self.provenance)
        self._account.unwatched_j = before.settings.get("overshoot_bound_j", 0.0)
        self._store.set("budget_j", budget_j)
        self._store.set("ended", "")
        self.keep_back(0.0)

    @property
    def path(self) -> Path:
        """The run folder."""
        return self._folder.path

    @property
    def metered(self) -> bool:
        """Whether joules come from a meter (or from the caller)."""
        return isinstance(self._account, MeteredAccount)

    @property
    def provisional(self) -> bool:
        """Whether nothing was measured yet, so that where the joules come from may still change."""
        return self._provisional

    @property
    def spent_j(self) -> float:
        """Joules spent so far."""
        return self._account.spent_j

    @property
    def host_j(self) -> float:
        """Joules spent so far outside of lanes."""
        return self._account.spent_j - self._account.lanes_j

    @property
    def provenance(self) -> Provenance:
        """What the present figures are worth."""
        return self._account.provenance

    @property
    def left_j(self) -> float:
        """Joules that steps may still take."""
        return self._account.limit_j - self._account.spent_j

    @property
    def overshoot_bound_j(self) -> float:
        """The most that was spent between two looks at the budget."""
        return self._account.unwatched_j

    def keep_back(self, closing_j: float) -> None:
        """Keep joules back for the end: those of testing, and a second at the highest power seen."""
        if isinstance(self._account, MeteredAccount):
            closing_j += self._account.power_w
        self.closing_j = min(closing_j, CLOSING_SHARE * self.budget_j)
        self._account.limit_j = self.budget_j - self.closing_j

    def check_budget(self) -> None:
        """Raise `BudgetExhausted` if nothing is left. Costs microseconds."""
        if not (self._provisional and not self.metered):
            self._account.check_budget()

    def open_lanes(self, domains: Sequence[str]) -> None:
        """From here on several trials run at once, each on the device of one of these domains."""
        self._account.open_lanes(domains)

    def lane(self, number: int) -> Lane:
        """What the training in a lane sees of this ledger."""
        return Lane(lambda: self._account, number)

    def enter(self, purpose: Purpose, trial: int | None = None) -> None:
        """From here on joules count as `purpose`, for `trial`."""
        self._account.enter(purpose, trial)

    @property
    def reserved_j(self) -> float:
        """Forecasts of the steps that are under way."""
        return math.fsum(self._reserved_j.values())

    def can_afford(self, forecast_j: float, lane: int | None = None) -> bool:
        """Whether a step of `forecast_j` fits beside those in other lanes. A search's very first is always tried."""
        held_j = math.fsum(j for other, j in self._reserved_j.items() if other is not None and other != lane)
        left_j = self.left_j - held_j
        return not self._tried or (left_j > ROUNDING * self.budget_j and forecast_j <= left_j * (1 + ROUNDING))

    def reserve(self, forecast_j: float, lane: int | None = None) -> bool:
        """Set joules aside for a step; False, and nothing is set aside, if they are not there."""
        if not self.can_afford(forecast_j, lane):
            return False
        self._tried = True
        self._reserved_j[lane] = forecast_j
        if time.monotonic() - self._noted_s >= NOTED_EVERY_S:
            self._note_bounds()
        return True

    def release(self, lane: int) -> None:
        """Nothing is under way in a lane."""
        self._reserved_j.pop(lane, None)

    def attach(self) -> None:
        """Begin to meter a search whose first measurement brought no energy."""
        self._store.add_gap("the first step ran once without a meter: its joules are missing from the account")
        self._account = self._metered_account(self.spent_j)
        self.keep_back(0.0)

    def started(self, trial: Trial) -> None:
        """Enter a new trial."""
        self._store.add_trial(trial)

    def changed(self, trial: Trial, traceback: str | None = None) -> None:
        """Enter a trial's new state."""
        self._store.set_state(trial, traceback)

    def charge(self, trial: Trial, measurement: Measurement) -> None:
        """Charge a step and add its point to the trial's curve.

        Raises:
            NeedsMeter: The first measurement brings no energy, and there is no meter.
            TrainingError: It brings energy and others did not, or the other way round.
        """
        self._settle_source(trial, measurement.energy_j is not None)
        charge = self._account.charge(trial.number, trial.step + 1, measurement)
        trial.curve.append(next_point(trial.curve, measurement.score, charge.energy, charge.evaluation_j))

    def charge_without_point(self, trial: Trial, energy_j: float | None = None) -> None:
        """Charge what a step took that gave no accuracy (it failed, was cut, or came to its end)."""
        if energy_j is not None:
            self._settle_source(trial, brings_energy=True)
        charge = self._account.charge_only(trial.number, energy_j)
        if charge is not None and charge.energy.energy_j > 0:
            trial.tail_j += charge.energy.energy_j
            trial.tail_uncertainty_j += charge.energy.uncertainty_j
            trial.tail_provenance = charge.energy.provenance

    def add_test(self, trial: Trial, score: float) -> None:
        """Enter a test accuracy of a front trial."""
        self._store.add_test(trial.number, trial.step, score)

    def note(self, text: str) -> None:
        """Keep a sentence that the result shows with its gaps."""
        self._store.add_gap(text)

    def settle(self) -> None:
        """Enter all joules so far."""
        self._account.settle()

    def snapshot(self) -> Snapshot:
        """All that the ledger holds."""
        return self._store.snapshot()

    def end(self, reason: str) -> None:
        """The search is over, and so is its account."""
        self._account.close()
        with self._store.transaction():
            self._store.set("ended", reason)
            self._reserved_j.clear()
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
        """Close, and take the run folder away again."""
        self.close()
        self._folder.delete()

    def _metered_account(self, spent_j: float) -> MeteredAccount:
        metering = self._open_metering()
        self.unmeasured = what_is_unmeasured(metering.meter)
        watch = Watch(metering.meter, self._store, metering.opened_s, trace=self._trace)
        account = MeteredAccount(self._store, metering.window, spent_j=spent_j, opened_s=metering.opened_s, watch=watch)
        with self._store.transaction():
            self._store.set_idle(metering.idle.by_domain)
            self._store.set("idle_note", metering.idle.note)
            self._store.set("unmeasured", self.unmeasured)
        return account

    def _note_bounds(self) -> None:
        """Put on disk what is reserved and what an overshoot is bounded by: for people, so not at every step."""
        self._noted_s = time.monotonic()
        with self._store.transaction():
            self._store.set("reserved_j", self.reserved_j, self.provenance)
            self._store.set("overshoot_bound_j", self.overshoot_bound_j, self.provenance)
            self._store.set("closing_j", self.closing_j, self.provenance)
            if isinstance(self._account, ReportedAccount):
                self._store.set("thinking_cpu_s", self._thinking_before_s + self._account.thinking_cpu_s)

    def _settle_source(self, trial: Trial, brings_energy: bool) -> None:
        if brings_energy == (not self.metered):
            self._provisional = False
            return
        if not self._provisional:
            told, missing = ("brings energy_j", "none did") if brings_energy else ("brings no energy_j", "others did")
            raise TrainingError(
                f"trial {trial.number}: this measurement {told} and {missing} before; bring the energy always or never",
                spent_j=self.spent_j,
            )
        if isinstance(self._account, ReportedAccount):
            raise NeedsMeter
        self._account.abandon()
        self._account = ReportedAccount(self._store)
        self.keep_back(0.0)
        self._provisional = False
