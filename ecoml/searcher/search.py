"""The state of a search, and the operations on its trials: begin, reserve, take, record, change, end.

`Loop` calls these operations, for what `Decisions` decides. Strategies see running trials as running.
"""

from __future__ import annotations

import logging
import math
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ecoml.endings import EndReason, FailureKind, SearchEnd, TrialEnd
from ecoml.energy import Purpose
from ecoml.errors import BudgetExhausted, HostLost, OwnBudgetExhausted, StorageError, TrainingError, in_one_line
from ecoml.format import describe_trial_end
from ecoml.ledger import Ledger
from ecoml.searcher.decisions import Decisions
from ecoml.searcher.energy.steps import Steps
from ecoml.searcher.failures import Failures
from ecoml.searcher.front.found import Found
from ecoml.searcher.interrupts import Interrupts
from ecoml.searcher.optimiser import Optimiser
from ecoml.searcher.reasons import failure_of, too_dear, too_dear_to_use, what_is_wrong
from ecoml.searcher.setup.network_limits import SizeLimit
from ecoml.searcher.setup.settings import SearchSettings
from ecoml.strategies import Start, Strategy
from ecoml.training.base import Executor, Remarks, Run
from ecoml.trial import Measurement, Trial, TrialState

Listener = Callable[[Trial], None]

Outcome = Callable[[], Measurement]
"""Returns the measurement of a step, or raises the error of its run."""

log = logging.getLogger("ecoml")


def _go_on() -> None:
    pass


class Search:
    """One search while it runs.

    Args:
        settings: The settings of the search.
        strategy: The strategy.
        executor: The executor; None for a search driven by `ask` and `tell`.
        ledger: The energy account.
        interrupts: The places where it may be interrupted.
        size: The size limit of networks.

    Attributes:
        trials: All trials so far, in order.
        current: The trial that changed last.
        ended: Why the search ended; None while it runs.
        listeners: Called whenever a trial has changed.
        runs: Runs of running and suspended trials, by their numbers.
        cut: The reason for a training that is refused a further batch.
        steps: The forecasts of the next steps.
        decisions: What is done next.
        wait: Called between steps; waits while the search must pause.
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
        self.interruptible = interrupts.allowed
        self.trials: list[Trial] = []
        self.current: Trial | None = None
        self.ended: SearchEnd | None = None
        self.listeners: list[Listener] = []
        self.runs: dict[int, Run] = {}
        self.cut = EndReason.BUDGET
        self.wait: Callable[[], None] = _go_on
        self._limits, self._metric = settings.limits, settings.metric
        self.steps = Steps(executor, ledger)
        self._optimiser = Optimiser(strategy, ledger, self.interruptible)
        self._unended: dict[int, Trial] = {}
        self._found = Found(settings, self.trials, executor, ledger, interrupts)
        self._failures = Failures(self.trials)
        self._executor = executor
        self.decisions = Decisions(
            *(settings, executor, ledger, self._optimiser, size, self.steps, self._found, self._failures),
            *(self.trials, self._unended),
        )

    def restore(self, trials: list[Trial]) -> None:
        """Restore the trials of an earlier session, and tell the strategy about them."""
        self.trials.extend(trials)
        for trial in trials:
            self.decisions.learn_use(trial)
            if trial.curve:
                self.steps.learn(trial.at(1))
        self._optimiser.restore(trials)
        self._found.restore(trials)

    @property
    def reached(self) -> bool:
        """Whether a measurement has reached the target."""
        return self._found.reached

    @property
    def front(self) -> tuple[Trial, ...]:
        """The current front."""
        return self._found.front

    def begin(self, decision: Start) -> Trial:
        """A new trial that has not been advanced."""
        trial = Trial(len(self.trials), dict(decision.config))
        self.trials.append(trial)
        self._unended[trial.number] = trial
        self.ledger.started(trial)
        self.current = trial
        self._tell(trial)
        return trial

    def reserve(self, trial: Trial, unknown_j: float = 0.0) -> bool:
        """Reserve the forecast of the trial's next step; returns whether it fits.

        Args:
            trial: The trial.
            unknown_j: The forecast while no step is known.
        """
        self.wait()
        return self.steps.reserve(trial, unknown_j)

    def take(self, trial: Trial, outcome: Outcome) -> bool:
        """Record the outcome of a step, a measurement or an error; returns whether the run can continue."""
        try:
            with self.interruptible:
                measurement = outcome()
        except (StopIteration, OwnBudgetExhausted) as ended:  # by itself, or at an `energy_budget` within the training
            if not trial.curve:
                own = isinstance(ended, OwnBudgetExhausted)
                end = (
                    TrialEnd(FailureKind.ERROR, {"message": str(ended)})
                    if own
                    else TrialEnd(FailureKind.NO_MEASUREMENT)
                )
                self._fail(trial, end)
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
            if self._failures.nothing_measured:
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
        going_on = self.record(trial, measurement)
        if going_on and measurement.last:
            self.change(trial, TrialState.FINISHED, TrialEnd(EndReason.FINISHED))
        return going_on and not measurement.last

    def record(self, trial: Trial, measurement: Measurement) -> bool:
        """Charge a measurement, save its model if it is on the front, tell the strategy. Returns whether it was
        usable.
        """
        if (score := self._metric.rounded(measurement.score)) != measurement.score:
            measurement = replace(measurement, score=score)
        if (wrong := what_is_wrong(self._metric, measurement)) is not None:
            first = self._failures.nothing_measured
            self._fail(trial, wrong, energy_j=measurement.energy_j)
            if first and wrong.reason is not FailureKind.DIVERGED:
                why = describe_trial_end(wrong, self._metric)
                raise TrainingError(f"trial {trial.number}: {why}", spent_j=self.ledger.spent_j)
            return False
        self.ledger.charge(trial, measurement, self.steps.floor_j(trial))
        self._failures.clear()
        point = trial.curve[-1]
        if self.settings.warm_start is not None:
            self.settings.warm_start.refuse_mixture(point.energy.provenance)
        self.steps.learn(trial)
        run = self.runs.get(trial.number)
        try:
            if self._limits.of_use and trial.usage is None:
                self._found.try_in_use(run, trial)
                self.decisions.learn_use(trial)
            self._found.keep(run, trial, on_front=self._found.add(trial, point))
        except (ChildProcessError, TimeoutError) as error:  # what held the weights is gone, and they with it
            self.fail(trial, FailureKind.WORKER_LOST, message=in_one_line(error))
            return False
        self._tell(trial)
        if trial.usage is not None and not self._limits.allows_use(trial.cost_of_use):
            self.change(trial, TrialState.STOPPED, too_dear_to_use(self._limits, trial.usage))
            return False
        if (end := too_dear(self._limits, trial.curve)) is not None:
            self.change(trial, TrialState.STOPPED, end)
            return False
        return True

    def fail(self, trial: Trial, kind: FailureKind, trace: str | None = None, **details: Any) -> None:
        """A trial has failed: its joules are charged, its points remain, the search continues."""
        self._fail(trial, TrialEnd(kind, details), trace)

    def _fail(self, trial: Trial, end: TrialEnd, trace: str | None = None, *, energy_j: float | None = None) -> None:
        usable = energy_j is not None and math.isfinite(energy_j) and energy_j > 0
        self.ledger.charge_without_point(trial, energy_j if usable else None)
        self._failures.add(end)
        self.change(trial, TrialState.FAILED, end, trace)

    def change(self, trial: Trial, state: TrialState, end: TrialEnd | None = None, trace: str | None = None) -> None:
        """A trial has a new state."""
        self.ledger.enter(Purpose.OVERHEAD)
        trial.state, trial.end = state, end
        if state is not TrialState.RUNNING:
            self.ledger.budget.steps.release(trial.number)
        if state.ended:
            self._unended.pop(trial.number, None)
            self._close(trial.number)
        self.ledger.changed(trial, trace)
        log.debug("trial %d: %s after %d measurements", trial.number, state.value, trial.step)
        self._tell(trial)

    def end(self, end: SearchEnd, *, test: bool = True) -> None:
        """Close what is open, test the front, and store why the search ended."""
        for trial in list(self._unended.values()):
            self.change(trial, TrialState.STOPPED, TrialEnd(EndReason.SEARCH_ENDED))
        if test:
            self._found.settle()
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

    def _tell(self, trial: Trial) -> None:
        self._optimiser.tell(trial)
        for listener in tuple(self.listeners):
            listener(trial)
