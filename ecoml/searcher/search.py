"""What a search remembers, and what becomes of its trials: decide, begin, take, record, change, end.

`Loop` says when; here is what then happens. Strategies see the trials that run as such.
"""

from __future__ import annotations

import logging
import math
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ecoml.endings import EndReason, FailureKind, SearchEnd, StopReason, TrialEnd
from ecoml.energy import Purpose
from ecoml.errors import BudgetExhausted, HostLost, SearchFailed, StorageError, TrainingError, in_one_line
from ecoml.format import describe_trial_end
from ecoml.ledger import Ledger
from ecoml.pareto import Front
from ecoml.run.recommendation import ROUNDING, beliefs_of, frugal, near_ties, recommend, tolerance_of
from ecoml.run.result import front_of
from ecoml.searcher.beliefs import believe
from ecoml.searcher.budget import Forecast
from ecoml.searcher.interrupts import Interrupts
from ecoml.searcher.models import FrontModels
from ecoml.searcher.reasons import budget_spent, failure_of, too_dear, too_dear_to_use, what_is_wrong
from ecoml.searcher.settings import SearchSettings
from ecoml.searcher.size_limit import SizeLimit
from ecoml.searcher.use_limit import UseLimit
from ecoml.strategies import Continue, End, Start, Strategy
from ecoml.strategies.base import Goal, Learns, Pursues, ask_feasible
from ecoml.training.base import Executor, Floored, Hinted, Lasting, Remarks, Run
from ecoml.trial import Config, Measurement, Trial, TrialState

FAILED_IN_A_ROW = 20
"""After so many failed trials in a row the search ends: something other than the configurations is wrong."""

_NUMPY: Any = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}
"""How numpy treats what is no number while a strategy computes: as it does by itself, whatever the caller has set."""

FAILED_ALIKE = 3
"""So many that fail alike are enough, as long as nothing at all has been measured."""

Listener = Callable[[Trial], None]

Outcome = Callable[[], Measurement]
"""Gives what a step came to: its measurement, or raises what the run raised."""

log = logging.getLogger("ecoml")


def _go_on() -> None:
    pass


class Search:
    """One search while it goes on.

    Args:
        settings: All that decides how it goes.
        strategy: What proposes.
        executor: What trains; None for a search that is driven by `ask` and `tell`.
        ledger: The energy account.
        interrupts: Where it may be interrupted.
        size: Which networks are small enough.

    Attributes:
        trials: Every trial so far, in order.
        current: The trial that was touched last.
        ended: Why the search is over; None while it runs.
        listeners: Called whenever something has become of a trial.
        runs: Of the trials that are under way or suspended, by their numbers.
        reached: Whether a measurement has reached the target.
        cut: Why a training ends that is refused a further batch.
        lasting: The executor, if it knows how long its trials are; else None.
        floored: The executor, if it knows the arithmetic of its trials; else None.
        wait: Called between steps; waits while the search is to pause.
    """

    def __init__(
        self,
        settings: SearchSettings,
        strategy: Strategy,
        executor: Executor | None,
        ledger: Ledger,
        interrupts: Interrupts,
        size: SizeLimit,
    ) -> None:
        self.settings = settings
        self.ledger = ledger
        self.size = size
        self.interruptible = interrupts.allowed
        self.trials: list[Trial] = []
        self.current: Trial | None = None
        self.ended: SearchEnd | None = None
        self.listeners: list[Listener] = []
        self.runs: dict[int, Run] = {}
        self.reached = False
        self.cut = EndReason.BUDGET
        self.wait: Callable[[], None] = _go_on
        self._limits, self._metric = settings.limits, settings.metric
        self._strategy = strategy
        self._open: set[int] = set()
        self._front = Front()
        self._models = FrontModels(executor, ledger, interrupts, settings.metric)
        self._forecast = Forecast()
        self.lasting = executor if isinstance(executor, Lasting) else None
        self.floored = executor if isinstance(executor, Floored) else None
        self._executor = executor
        self._use = UseLimit(settings.limits, executor)
        self._failed: list[TrialEnd] = []  # of the trials since the last measurement
        self._inform()

    def _inform(self) -> None:
        """Tell the strategy what the search is for, and what an earlier run found."""
        self.ledger.enter(Purpose.OPTIMISER)
        if isinstance(self._strategy, Pursues):
            steps = None if self.lasting is None else self.lasting.steps
            floor_j = None if self.floored is None else self.floored.floor_j
            hint = self._executor.cost_hint if isinstance(self._executor, Hinted) else None
            goal = Goal(self._limits, self._metric, self._is_within, self._left_j, steps, floor_j, hint)
            self._strategy.pursue(goal)
        if self.settings.warm_start is not None and isinstance(self._strategy, Learns):
            self._strategy.learn(self.settings.warm_start.trials)
        self.ledger.enter(Purpose.OVERHEAD)

    def restore(self, trials: list[Trial]) -> None:
        """Take up the trials of an earlier session, and tell the strategy of them."""
        self.trials = trials
        for trial in trials:
            self._use.learn(trial)
            for point in trial.curve:
                if self._limits.allows_j(point.energy_j) and self._limits.allows_use(trial.usage):
                    self._front.add(point.utility, point.energy_j)
                    self.reached |= self._metric.reaches(point.score, self._limits.target)
            if trial.curve:
                self._forecast.learn(trial.at(1))
            self._strategy.tell(trial)
        self._models.keep_back(self.front)

    @property
    def front(self) -> tuple[Trial, ...]:
        """The front by now."""
        return front_of(self.trials, self._limits)

    def decide(self) -> Start | Continue | SearchEnd:
        """What to do next, or why the search is over."""
        if end := self._over():
            return end
        before_j = self.ledger.host_j
        self.ledger.enter(Purpose.OPTIMISER)
        with self.interruptible, np.errstate(**_NUMPY):
            decision = ask_feasible(self._strategy, self._may_start)
        self.ledger.enter(Purpose.OVERHEAD)
        self._forecast.thinking_j = self.ledger.host_j - before_j
        match decision:
            case End(StopReason() as reason, details):
                source: dict[str, Any] = {"provenance": self.ledger.provenance.value} if details else {}
                if reason is StopReason.BUDGET_SPENT and self.ledger.left_by_co2e:
                    source["co2e_g"] = self.ledger.spent_g
                return SearchEnd(reason, {**details, **source, **self.size.details})
            case End(message):
                return SearchEnd(StopReason.STRATEGY, {"message": message, **self.size.details})
            case Start() if self._has_all_trials:
                return SearchEnd(StopReason.MAX_TRIALS, {"trials": len(self.trials)})
            case Start():
                pass
            case Continue(number):
                if number not in self._open or self.trials[number].state is TrialState.RUNNING:
                    suspended = sorted(n for n in self._open if self.trials[n].state is TrialState.SUSPENDED)
                    raise SearchFailed(
                        f"the strategy wants to go on with trial {number}; suspended are {suspended or 'none'}"
                    )
            case _:
                raise SearchFailed(f"the strategy's ask() gave {decision!r:.80}; it must give Start, Continue or End")
        return self._that_fits(decision)

    def _that_fits(self, decision: Start | Continue) -> Start | Continue | SearchEnd:
        """The decision; where the budget has no room for it, to go on with the best training for which it has."""
        if isinstance(decision, Start):
            trial = Trial(len(self.trials), decision.config)
        else:
            trial = self.trials[decision.number]
        if self.ledger.reserved_j or self.ledger.can_afford(next_j := self._step_j(trial)):
            return decision
        best = max(self._suspended_that_fit(), key=lambda trial: trial.curve[-1].utility, default=None)
        return budget_spent(self.ledger, next_j) if best is None else Continue(best.number)

    def _suspended_that_fit(self) -> list[Trial]:
        opened = [self.trials[number] for number in sorted(self._open)]
        suspended = [trial for trial in opened if trial.state is TrialState.SUSPENDED]
        return [trial for trial in suspended if self.ledger.can_afford(self._step_j(trial))]

    @property
    def can_go_on(self) -> bool:
        """Whether the budget has room for a step of a suspended trial."""
        return bool(self._suspended_that_fit())

    def _left_j(self) -> float:
        return self.ledger.left_j - self.ledger.reserved_j

    def begin(self, decision: Start) -> Trial:
        """A new trial, not yet advanced."""
        trial = Trial(len(self.trials), dict(decision.config))
        self.trials.append(trial)
        self._open.add(trial.number)
        self.ledger.started(trial)
        self.current = trial
        self._tell(trial)
        return trial

    def reserve(self, trial: Trial, unknown_j: float = 0.0) -> bool:
        """Set the forecast of the trial's next step aside; whether it fits.

        Args:
            trial: The trial.
            unknown_j: The forecast as long as nothing is known of any step.
        """
        self.wait()
        return self.ledger.reserve(trial.number, self._step_j(trial, unknown_j))

    def _step_j(self, trial: Trial, unknown_j: float = 0.0) -> float:
        """What a trial's next step is likely to take; the one that finds its training at its end takes nothing."""
        if trial.curve and self.lasting is not None and trial.step >= self.lasting.steps(trial.config):
            return 0.0
        return self._forecast.step_j(trial, unknown_j, None if trial.curve else self._floor_j(trial))

    def has_room(self, unknown_j: float) -> bool:
        """Whether the first step of a new trial fits beside all that is under way; `unknown_j` as in `reserve`."""
        return self.ledger.can_afford(self._forecast.step_j(None, unknown_j))

    def take(self, trial: Trial, outcome: Outcome) -> bool:
        """Record what a step came to, a measurement or an error; whether the run can go on."""
        try:
            with self.interruptible:
                measurement = outcome()
        except StopIteration:
            if not trial.curve:
                self.fail(trial, FailureKind.NO_MEASUREMENT)
                return False
            self.ledger.charge_without_point(trial)
            self.change(trial, TrialState.FINISHED, TrialEnd(EndReason.FINISHED))
            return False
        except BudgetExhausted:
            self.ledger.charge_without_point(trial)
            self.change(trial, TrialState.STOPPED, TrialEnd(self.cut))
            return False
        except HostLost as lost:  # which says nothing about its configuration
            self.ledger.charge_without_point(trial)
            self.change(trial, TrialState.STOPPED, TrialEnd(EndReason.HOST_LOST, {"host": lost.host}))
            return False
        except TrainingError as error:
            self.fail(trial, FailureKind.ERROR, message=str(error))
            if self._nothing_measured:
                raise
            return False
        except StorageError:  # there is no room to go on, for this trial or for any other
            self.ledger.charge_without_point(trial)
            raise
        except (Exception, SystemExit) as error:
            self._fail(trial, failure_of(error), traceback.format_exc())
            return False
        except BaseException:
            self.ledger.charge_without_point(trial)
            self.change(trial, TrialState.STOPPED, TrialEnd(EndReason.INTERRUPTED))
            raise
        return self.record(trial, measurement)

    def record(self, trial: Trial, measurement: Measurement) -> bool:
        """Charge a measurement, keep its model if it is on the front, tell the strategy. Whether it was usable."""
        if (score := self._metric.rounded(measurement.score)) != measurement.score:
            measurement = replace(measurement, score=score)
        if (wrong := what_is_wrong(self._metric, measurement)) is not None:
            first = self._nothing_measured
            self._fail(trial, wrong, energy_j=measurement.energy_j)
            if first and wrong.reason is not FailureKind.DIVERGED:
                why = describe_trial_end(wrong, self._metric)
                raise TrainingError(f"trial {trial.number}: {why}", spent_j=self.ledger.spent_j)
            return False
        self.ledger.charge(trial, measurement, self._floor_j(trial))
        self._failed.clear()
        point = trial.curve[-1]
        if self.settings.warm_start is not None:
            self.settings.warm_start.refuse_mixture(point.energy.provenance)
        self._forecast.learn(trial)
        if self._limits.of_use and trial.usage is None and not self._try_in_use(trial):
            return False
        if self._limits.allows_j(point.energy_j) and self._limits.allows_use(trial.usage):
            self.reached |= self._metric.reaches(point.score, self._limits.target)
            on_front = self._front.add(point.utility, point.energy_j)
            if self._models.kept and (on_front or self._ties_with_best(trial)) and not self._keep_model(trial):
                return False
        self._tell(trial)
        if trial.usage is not None and not self._limits.allows_use(trial.usage):
            self.change(trial, TrialState.STOPPED, too_dear_to_use(self._limits, trial.usage))
            return False
        if (end := too_dear(self._limits, point, self._forecast.step_j(trial))) is not None:
            self.change(trial, TrialState.STOPPED, end)
            return False
        return True

    def _ties(self) -> list[Trial]:
        return near_ties(self.trials, self.front, self._limits, self._metric)

    @property
    def _tolerance(self) -> float:
        return tolerance_of(*self._front.ends, self._metric) if self._front else 0.0

    def _ties_with_best(self, trial: Trial) -> bool:
        if not self._front or trial.curve[-1].utility < self._front.ends[1] - self._tolerance - ROUNDING:
            return False
        return any((tie.number, tie.step) == (trial.number, trial.step) for tie in self._ties())

    def _try_in_use(self, trial: Trial) -> bool:
        """Try what the network of a trial takes to use; whether it is still there."""
        try:
            self._models.try_at_once(self.runs.get(trial.number), trial)
        except (ChildProcessError, TimeoutError) as error:
            self.fail(trial, FailureKind.WORKER_LOST, message=in_one_line(error))
            return False
        self._use.learn(trial)
        return True

    def _keep_model(self, trial: Trial) -> bool:
        """Keep the model of a trial that has joined the front, or ties with its best; whether it is still there."""
        try:
            front = self.front
            ties = near_ties(self.trials, front, self._limits, self._metric)
            self._models.keep(self.runs.get(trial.number), trial, [*front, *ties])
        except (ChildProcessError, TimeoutError) as error:  # what held the weights is gone, and they with it
            self.fail(trial, FailureKind.WORKER_LOST, message=in_one_line(error))
            return False
        self._models.keep_back(front)
        return True

    def fail(self, trial: Trial, kind: FailureKind, trace: str | None = None, **details: Any) -> None:
        """A trial has failed: its joules are charged, its points stand, the search goes on."""
        self._fail(trial, TrialEnd(kind, details), trace)

    def _fail(self, trial: Trial, end: TrialEnd, trace: str | None = None, *, energy_j: float | None = None) -> None:
        usable = energy_j is not None and math.isfinite(energy_j) and energy_j > 0
        self.ledger.charge_without_point(trial, energy_j if usable else None)
        self._failed.append(end)
        self.change(trial, TrialState.FAILED, end, trace)

    def change(self, trial: Trial, state: TrialState, end: TrialEnd | None = None, trace: str | None = None) -> None:
        """A trial has a new state."""
        self.ledger.enter(Purpose.OVERHEAD)
        trial.state, trial.end = state, end
        if state is not TrialState.RUNNING:
            self.ledger.release(trial.number)
        if state.ended:
            self._open.discard(trial.number)
            self._close(trial.number)
        self.ledger.changed(trial, trace)
        log.debug("trial %d: %s after %d measurements", trial.number, state.value, trial.step)
        self._tell(trial)

    def end(self, end: SearchEnd, *, test: bool = True) -> None:
        """Close what is open, test the front, and enter why the search is over."""
        for number in sorted(self._open):
            self.change(self.trials[number], TrialState.STOPPED, TrialEnd(EndReason.SEARCH_ENDED))
        if test:
            self.ledger.enter(Purpose.OPTIMISER)
            ties = self._ties()
            beliefs = believe(self.settings.space, self.trials, ties, self._metric)
            self.ledger.enter(Purpose.OVERHEAD)
            self.ledger.keep_beliefs(beliefs)
            first = recommend(ties, beliefs_of(beliefs)), frugal(ties, self._tolerance, beliefs_of(beliefs))
            chosen = [trial for trial in first if trial is not None]
            self._models.test(chosen, self.front)
            self._models.use(chosen, self.front)
        if isinstance(self._executor, Remarks):
            for remark in self._executor.remarks():
                self.ledger.note(remark)
        self.ended = end
        self.ledger.end(end)

    def close(self) -> None:
        """Close all runs."""
        for number in list(self.runs):
            self._close(number)

    def _close(self, number: int) -> None:
        """Close a trial's run, if it has one; an error of its clean-up is noted, and ends nothing."""
        if (run := self.runs.pop(number, None)) is None:
            return
        try:
            run.close()
        except Exception as error:
            log.warning("trial %d: closing its training raised %s", number, in_one_line(error))
            if not self.ledger.closed:
                self.ledger.note(f"trial {number}: closing its training raised {in_one_line(error)}")

    def _over(self) -> SearchEnd | None:
        if self.reached:
            return SearchEnd(StopReason.TARGET_REACHED, {"target": self._limits.target})
        if failed := self._failures_in_a_row:
            return SearchEnd(StopReason.FAILURES, {"trials": len(failed), "last": failed[-1].to_dict()})
        if self._has_all_trials and not self._open:
            return SearchEnd(StopReason.MAX_TRIALS, {"trials": len(self.trials)})
        next_j = 0.0 if self._open else self._forecast.thinking_j + self._forecast.step_j(None)
        return None if self.ledger.can_afford(next_j) else budget_spent(self.ledger, next_j)

    def spent_on(self, trial: Trial) -> SearchEnd:
        """That the budget has no room for a trial's next step."""
        return budget_spent(self.ledger, self._step_j(trial))

    def _may_start(self, config: Config) -> bool:
        self.settings.space.validate(config)
        return self._is_within(config)

    def _is_within(self, config: Config) -> bool:
        return self.size(config) and self._use(config)

    @property
    def _has_all_trials(self) -> bool:
        most = self._limits.max_trials
        return most is not None and len(self.trials) >= most

    @property
    def _failures_in_a_row(self) -> list[TrialEnd]:
        """The last failures, if they are too many to go on."""
        last = self._failed[-FAILED_ALIKE:]
        alike = len(last) == FAILED_ALIKE and all(end == last[0] for end in last) and self._nothing_measured
        return last if alike else self._failed if len(self._failed) >= FAILED_IN_A_ROW else []

    @property
    def _nothing_measured(self) -> bool:
        """Whether there is no measurement yet: what goes wrong now goes wrong for every trial."""
        return not any(trial.curve for trial in self.trials)

    def _floor_j(self, trial: Trial) -> float | None:
        return None if self.floored is None else self.floored.floor_j(trial.config, trial.step + 1)

    def _tell(self, trial: Trial) -> None:
        self.ledger.enter(Purpose.OPTIMISER)
        with np.errstate(**_NUMPY):
            self._strategy.tell(trial)
        self.ledger.enter(Purpose.OVERHEAD)
        for listener in tuple(self.listeners):
            listener(trial)
