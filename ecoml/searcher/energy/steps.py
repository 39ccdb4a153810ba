"""What the next steps of a search's trials are forecast to take, and whether the budget has room for them."""

from __future__ import annotations

from collections.abc import Iterable

from ecoml.endings import SearchEnd
from ecoml.ledger import Ledger
from ecoml.searcher.energy.budget import Forecast
from ecoml.searcher.reasons import budget_spent
from ecoml.training.base import Executor, Floored, Lasting
from ecoml.trial import Trial, TrialState


class Steps:
    """The steps to come.

    Args:
        executor: What trains; None for a search that is driven by `ask` and `tell`.
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
        """A trial has a new point."""
        self._forecast.learn(trial)

    def left_j(self) -> float:
        """Joules that further steps may take beside those under way."""
        return self._ledger.left_j - self._ledger.budget.reservations.total_j

    def floor_j(self, trial: Trial) -> float | None:
        """The least joules of a trial up to the end of its next step, by its arithmetic; None: not known."""
        return None if self.floored is None else self.floored.floor_j(trial.config, trial.step + 1)

    def next_j(self, trial: Trial, unknown_j: float = 0.0) -> float:
        """What a trial's next step is likely to take; the one that finds its training at its end takes nothing.

        Args:
            trial: The trial.
            unknown_j: What is said as long as nothing is known of any step.
        """
        if trial.curve and self.lasting is not None and trial.step >= self.lasting.steps(trial.config):
            return 0.0
        return self._forecast.step_j(trial, unknown_j, None if trial.curve else self.floor_j(trial))

    def again_j(self, trial: Trial) -> float:
        """What a step like a trial's last one would take."""
        return self._forecast.step_j(trial)

    def new_j(self, unknown_j: float = 0.0) -> float:
        """What the first step of a new trial is likely to take; `unknown_j` as in `next_j`."""
        return self._forecast.step_j(None, unknown_j)

    def reserve(self, trial: Trial, unknown_j: float = 0.0) -> bool:
        """Set the forecast of a trial's next step aside; whether it fits. `unknown_j` as in `next_j`."""
        return self._ledger.reserve(trial.number, self.next_j(trial, unknown_j))

    def fitting(self, trials: Iterable[Trial]) -> list[Trial]:
        """Those of some trials that are suspended, and whose next step fits into the budget."""
        suspended = [trial for trial in trials if trial.state is TrialState.SUSPENDED]
        return [trial for trial in suspended if self._ledger.budget.reservations.fits(self.next_j(trial))]

    def spent_on(self, trial: Trial) -> SearchEnd:
        """That the budget has no room for a trial's next step."""
        return budget_spent(self._ledger, self.next_j(trial))
