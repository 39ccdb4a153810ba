"""The account of a search whose training reports its own joules: no meter is opened, and the optimiser is listed
separately.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ecoml.energy import EnergyByDomain, Provenance, Purpose, co2e_g, reported
from ecoml.errors import BudgetExhausted, TrainingError
from ecoml.ledger.accounts.attribution import Step
from ecoml.ledger.gram_counter import GramCounter
from ecoml.run.storage.store import Store

COMMIT_S = 0.05
"""Steps that end within this time of each other are written to disk together: a replay makes thousands a second."""


class ReportedAccount:
    """Charges the reported joules, and nothing else.

    Attributes:
        limit_j: As in `MeteredAccount`.
        spent_j: Reported joules since the search started.
        unwatched_j: The largest energy that one measurement reported.
        workers_j: 0, because this account has no shared energy.
        thinking_cpu_s: CPU seconds of the optimiser in this session; shown, never charged.
    """

    metered = False
    power_w = 0.0

    def __init__(self, store: Store, *, spent_j: float = 0.0, co2e: GramCounter | None = None) -> None:
        self.limit_j = float("inf")
        self.co2e = co2e or GramCounter()
        self.spent_j = spent_j
        self.unwatched_j = 0.0
        self.workers_j = 0.0
        self.thinking_cpu_s = 0.0
        self._store = store
        self._thinking_since: float | None = None

    @property
    def left_j(self) -> float:
        """As in `MeteredAccount`."""
        return min(self.limit_j - self.spent_j, self.co2e.left_j)

    @property
    def provenance(self) -> Provenance:
        """Reported."""
        return Provenance.REPORTED

    def refuse_other_source(self, trial: int, energy_j: float | None) -> None:
        """As in `MeteredAccount`: refuse a measurement without joules."""
        if energy_j is None:
            raise TrainingError(
                f"trial {trial} reports no energy_j, but the energy of this search must be reported;"
                ' yield ecoml.Measurement(score, energy_j=…), or leave out energy="reported"',
                spent_j=self.spent_j,
            )

    def check_budget(self, worker: int | None = None) -> None:  # noqa: ARG002 - the account's contract
        if self.left_j <= 0:
            raise BudgetExhausted

    def enter(self, purpose: Purpose, trial: int | None = None, worker: int | None = None) -> None:  # noqa: ARG002
        """Only the optimiser is distinguished, by its CPU seconds."""
        if worker is not None or (self._thinking_since is None and purpose is not Purpose.OPTIMISER):
            return
        now = time.process_time()
        if self._thinking_since is not None:
            self.thinking_cpu_s += now - self._thinking_since
        self._thinking_since = now if purpose is Purpose.OPTIMISER else None

    @contextmanager
    def end_of_step(self, trial: int, energy_j: float | None, uncertainty_j: float = 0.0) -> Iterator[Step]:
        """As in `MeteredAccount`; without joules nothing is charged."""
        energy = EnergyByDomain() if energy_j is None else reported(energy_j, uncertainty_j)
        before_j, before_g = self.spent_j, self.co2e.spent_g
        taken_j = energy_j or 0.0
        self.spent_j += taken_j
        step = Step(energy, co2e_g=co2e_g(taken_j, self.co2e.add(taken_j)))
        whose = Purpose.TRAINING, trial
        try:
            with self._store.transaction():
                yield step
                grams = self.co2e.of({whose: step.co2e_g})
                self._store.enter({whose: energy} if energy.domains else {}, grams)
                for gap in self.co2e.news():
                    self._store.add_gap(gap)
        except BaseException:
            self.spent_j, self.co2e.spent_g = before_j, before_g
            raise
        self.unwatched_j = max(self.unwatched_j, taken_j)

    def commit_late(self) -> None:
        """Write steps that end within `COMMIT_S` of each other to disk together."""
        self._store.delay(COMMIT_S)

    def share_among(self, domains: Sequence[str]) -> None:
        """Do nothing: reported energy needs no division."""

    def settle(self) -> None:
        """Do nothing: every joule is entered as it is reported."""

    def close(self) -> None:
        """Do nothing: there is no meter to close."""
