"""The account of a search whose training brings its own joules: no meter is opened, and thinking is kept apart."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from ecoml.energy import Energy, EnergyByDomain, Provenance, Purpose, reported
from ecoml.errors import BudgetExhausted
from ecoml.run.store import Store
from ecoml.trial import Measurement


@dataclass(frozen=True, slots=True)
class Charge:
    """What a step was charged.

    Attributes:
        energy: All of it.
        evaluation_j: The evaluation's part.
    """

    energy: Energy
    evaluation_j: float = 0.0


class ReportedAccount:
    """Charges what the caller's training reports, and nothing else.

    Attributes:
        limit_j: As in `MeteredAccount`.
        spent_j: Reported joules since the search began.
        unwatched_j: The most that one measurement reported.
        lanes_j: None of them: nothing else draws on this account.
        thinking_cpu_s: CPU seconds of the optimiser in this sitting; shown, never charged.
    """

    def __init__(self, store: Store, *, spent_j: float = 0.0) -> None:
        self.limit_j = float("inf")
        self.spent_j = spent_j
        self.unwatched_j = 0.0
        self.lanes_j = 0.0
        self.thinking_cpu_s = 0.0
        self._store = store
        self._thinking_since: float | None = None

    @property
    def provenance(self) -> Provenance:
        """The caller's."""
        return Provenance.REPORTED

    def check_budget(self, lane: int | None = None) -> None:  # noqa: ARG002 - the account's contract
        if self.spent_j >= self.limit_j:
            raise BudgetExhausted

    def enter(self, purpose: Purpose, trial: int | None = None, lane: int | None = None) -> None:  # noqa: ARG002
        """Only thinking is told apart, by its CPU seconds."""
        if lane is not None:
            return
        now = time.process_time()
        if self._thinking_since is not None:
            self.thinking_cpu_s += now - self._thinking_since
        self._thinking_since = now if purpose is Purpose.OPTIMISER else None

    def charge(self, trial: int, step: int, measurement: Measurement) -> Charge:
        assert measurement.energy_j is not None, "the searcher sends only measurements with energy here"
        energy = reported(measurement.energy_j, measurement.uncertainty_j)
        self._count(energy)
        with self._store.transaction():
            self._store.add_measurement(trial, step, measurement, Provenance.REPORTED, 0.0, self.spent_j)
            self._store.enter({(Purpose.TRAINING, trial): energy})
        return Charge(energy.together)

    def charge_only(self, trial: int, energy_j: float | None = None) -> Charge | None:
        """Charge a step that reported energy but no accuracy one could use; None if it reported none."""
        if energy_j is None:
            return None
        energy = reported(energy_j)
        self._count(energy)
        self._store.enter({(Purpose.TRAINING, trial): energy})
        return Charge(energy.together)

    def _count(self, energy: EnergyByDomain) -> None:
        self.spent_j += energy.energy_j
        self.unwatched_j = max(self.unwatched_j, energy.energy_j)

    def open_lanes(self, domains: Sequence[str]) -> None:
        """What is reported needs no dividing."""

    def settle(self) -> None:
        """Every joule is entered as it is reported."""

    def close(self) -> None:
        """There is no meter to let go of."""
