"""The forecasts of trials' next steps, and whether they fit into the budget."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from ecoml.endings import SearchEnd
from ecoml.ledger import Ledger
from ecoml.searcher.reasons import budget_spent
from ecoml.strategies.base import BY_ARITHMETIC
from ecoml.training.base import Executor, Floored, Lasting
from ecoml.trial import Point, Trial, TrialState

_RECENT = 32


class Steps:
    """Forecasts the energy of steps from earlier steps of this search.

    Args:
        executor: The executor; None for a search driven by `ask` and `tell`.
        ledger: The energy account.

    Attributes:
        lasting: The executor, if it knows how long its trials are; else None.
        floored: The executor, if it knows the arithmetic of its trials; else None.
    """

    def __init__(self, executor: Executor | None, ledger: Ledger) -> None:
        self.lasting = executor if isinstance(executor, Lasting) else None
        self.floored = executor if isinstance(executor, Floored) else None
        self._ledger = ledger
        self._first_steps: list[Point] = []

    def learn(self, trial: Trial) -> None:
        """Learn from a trial's new point."""
        if trial.step == 1:
            self._first_steps.append(trial.curve[0])

    def left_j(self) -> float:
        """Joules that further steps may take, in addition to the running ones."""
        return self._ledger.left_j - self._ledger.budget.steps.total_j()

    def floor_j(self, trial: Trial) -> float | None:
        """The least joules of a trial up to the end of its next step, by its arithmetic; None: unknown."""
        return None if self.floored is None else self.floored.floor_j(trial.config, trial.step + 1)

    def next_j(self, trial: Trial, unknown_j: float = 0.0) -> float:
        """Forecast joules of a trial's next step; 0 if its training is complete.

        Args:
            trial: The trial.
            unknown_j: The forecast while no step is known.
        """
        if not trial.curve:
            return self.new_j(unknown_j, self.floor_j(trial))
        if self.lasting is not None and trial.step >= self.lasting.steps(trial.config):
            return 0.0
        return trial.curve[-1].energy_j - (trial.curve[-2].energy_j if trial.step > 1 else 0.0)

    def new_j(self, unknown_j: float = 0.0, floor_j: float | None = None) -> float:
        """Forecast joules of the first step of a new trial.

        Args:
            unknown_j: The forecast while no step is known.
            floor_j: The least joules of that step, by its arithmetic; None: unknown.
        """
        known = self._first_steps[-_RECENT:]
        if not known:
            return unknown_j
        return median(
            point.energy_j * (floor_j / point.floor_j) ** BY_ARITHMETIC if floor_j and point.floor_j else point.energy_j
            for point in known
        )

    def reserve(self, trial: Trial, unknown_j: float = 0.0) -> bool:
        """Reserve the forecast of a trial's next step; returns whether it fits. `unknown_j` as in `next_j`."""
        return self._ledger.reserve(trial.number, self.next_j(trial, unknown_j))

    def fitting(self, trials: Iterable[Trial]) -> list[Trial]:
        """The suspended trials among these whose next step fits into the budget."""
        suspended = [trial for trial in trials if trial.state is TrialState.SUSPENDED]
        return [trial for trial in suspended if self._ledger.budget.fits(self.next_j(trial))]

    def spent_on(self, trial: Trial) -> SearchEnd:
        """The end of a search whose budget has no room for a trial's next step."""
        return budget_spent(self._ledger, self.next_j(trial))
