"""The forecasts of trials' next steps, and whether they fit into the budget."""

from __future__ import annotations

from collections.abc import Iterable

from ecoml.endings import SearchEnd
from ecoml.ledger import Ledger
from ecoml.searcher.energy.budget import Forecast
from ecoml.searcher.reasons import budget_spent
from ecoml.training.base import Executor, Floored, Lasting
from ecoml.trial import Trial, TrialState


class Steps:
    """The next steps.

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
        self._forecast = Forecast()
        self._ledger = ledger

    def learn(self, trial: Trial) -> None:
        """Learn from a trial's new point."""
        self._forecast.learn(trial)

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
        if trial.curve and self.lasting is not None and trial.step >= self.lasting.steps(trial.config):
            return 0.0
        return self._forecast.step_j(trial, unknown_j, None if trial.curve else self.floor_j(trial))

    def new_j(self, unknown_j: float = 0.0) -> float:
        """Forecast joules of the first step of a new trial; `unknown_j` as in `next_j`."""
        return self._forecast.step_j(None, unknown_j)

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
