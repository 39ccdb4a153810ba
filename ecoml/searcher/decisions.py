"""What a search does next: the strategy's decision, within the limits and the budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ecoml.endings import SearchEnd, StopReason
from ecoml.errors import SearchFailed
from ecoml.ledger import Ledger
from ecoml.searcher.energy.steps import Steps
from ecoml.searcher.failures import Failures
from ecoml.searcher.front.found import Found
from ecoml.searcher.optimiser import Optimiser
from ecoml.searcher.reasons import budget_spent
from ecoml.searcher.setup.network_limits import SizeLimit, UseLimit
from ecoml.searcher.setup.settings import SearchSettings
from ecoml.strategies import Continue, End, Start
from ecoml.strategies.base import Goal
from ecoml.training.base import Executor, Hinted
from ecoml.trial import Config, Trial, TrialState


class Decisions:
    """Decides what is done next; changes nothing but the strategy, which is told the goal at once.

    Args:
        settings: The settings of the search.
        executor: The executor; None for a search driven by `ask` and `tell`.
        ledger: The energy account.
        optimiser: The strategy.
        size: The size limit of networks.
        steps: The forecasts of the next steps.
        found: Knows whether the target is reached.
        failures: The failures since the last measurement.
        trials: All trials so far, in order; the sequence grows.
        unended: Those that have not ended, by their numbers; it changes with them.
    """

    def __init__(
        self,
        settings: SearchSettings,
        executor: Executor | None,
        ledger: Ledger,
        optimiser: Optimiser,
        size: SizeLimit,
        steps: Steps,
        found: Found,
        failures: Failures,
        trials: Sequence[Trial],
        unended: Mapping[int, Trial],
    ) -> None:
        self._space, self._limits = settings.space, settings.limits
        self._ledger, self._budget = ledger, ledger.budget
        self._optimiser = optimiser
        self._size, self._use = size, UseLimit(settings.limits, executor)
        self._steps = steps
        self._found, self._failures = found, failures
        self._trials, self._unended = trials, unended
        lasting, floored = steps.lasting, steps.floored
        goal = Goal(
            *(settings.limits, settings.metric, self._is_within, steps.left_j),
            steps=None if lasting is None else lasting.steps,
            floor_j=None if floored is None else floored.floor_j,
            cost_hint=executor.cost_hint if isinstance(executor, Hinted) else None,
        )
        optimiser.inform(goal, settings.warm_start)

    def learn_use(self, trial: Trial) -> None:
        """Learn from the measured cost of a trial's predictions, if it has one."""
        self._use.learn(trial)

    def next(self) -> Start | Continue | SearchEnd:
        """The next decision, or why the search ends.

        Raises:
            SearchFailed: The strategy's decision cannot be followed.
        """
        if end := self._over():
            return end
        decision = self._optimiser.ask(self._may_start)
        if isinstance(decision, Start | Continue) and decision.steps is not None and decision.steps < 1:
            raise SearchFailed(
                f"the strategy's ask() returned steps={decision.steps!r}; give 1 or more, or None for a whole training"
            )
        match decision:
            case End(StopReason() as reason, details):
                source: dict[str, Any] = {"provenance": self._ledger.provenance.value} if details else {}
                if reason is StopReason.BUDGET_SPENT and self._ledger.budget.left_by_co2e:
                    source["co2e_g"] = self._ledger.spent_g
                return SearchEnd(reason, {**details, **source, **self._size.details})
            case End(message):
                return SearchEnd(StopReason.STRATEGY, {"message": message, **self._size.details})
            case Start() if self._has_all_trials:
                return SearchEnd(StopReason.MAX_TRIALS, {"trials": len(self._trials)})
            case Start():
                trial = Trial(len(self._trials), decision.config)
            case Continue(number):
                trial = self._suspended(number)
            case _:
                raise SearchFailed(
                    f"the strategy's ask() returned {decision!r:.80}; it must return Start, Continue or End"
                )
        return self._that_fits(decision, trial)

    def _suspended(self, number: int) -> Trial:
        """The trial of this number, which the strategy wants to continue."""
        trial = self._unended.get(number)
        if trial is not None and trial.state is not TrialState.RUNNING:
            return trial
        suspended = [n for n, trial in self._unended.items() if trial.state is TrialState.SUSPENDED]
        raise SearchFailed(f"the strategy wants to continue trial {number}; suspended are {suspended or 'none'}")

    def _that_fits(self, decision: Start | Continue, trial: Trial) -> Start | Continue | SearchEnd:
        """The decision; if it does not fit into the budget, the decision to continue the best training that does."""
        if self._budget.steps.total_j() or self._budget.fits(next_j := self._steps.next_j(trial)):
            return decision
        best = max(self._suspended_that_fit(), key=lambda trial: trial.curve[-1].utility, default=None)
        return budget_spent(self._ledger, next_j) if best is None else Continue(best.number)

    def _suspended_that_fit(self) -> list[Trial]:
        return self._steps.fitting(self._unended.values())

    @property
    def can_go_on(self) -> bool:
        """Whether the budget has room for a step of a suspended trial."""
        return bool(self._suspended_that_fit())

    def _over(self) -> SearchEnd | None:
        if self._found.reached:
            return SearchEnd(StopReason.TARGET_REACHED, {"target": self._limits.target})
        if (end := self._failures.end()) is not None:
            return end
        if self._has_all_trials and not self._unended:
            return SearchEnd(StopReason.MAX_TRIALS, {"trials": len(self._trials)})
        next_j = 0.0 if self._unended else self._optimiser.thinking_j + self._steps.new_j()
        return None if self._budget.fits(next_j) else budget_spent(self._ledger, next_j)

    @property
    def _has_all_trials(self) -> bool:
        most = self._limits.max_trials
        return most is not None and len(self._trials) >= most

    def _may_start(self, config: Config) -> bool:
        self._space.validate(config)
        return self._is_within(config)

    def _is_within(self, config: Config) -> bool:
        return self._size(config) and self._use(config)
