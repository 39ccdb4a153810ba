"""Search: the one loop, from decision to measurement, and what it has to remember.

    decide → begin → advance → record → tell the strategy → decide …

`Searcher` opens what this needs (executor, meter, run folder) and is what users see.
"""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable

from ecoml.energy import Purpose, format_energy
from ecoml.errors import BudgetExhausted, SearchFailed, TrainingError, in_one_line
from ecoml.pareto import Front
from ecoml.run import Ledger, NeedsMeter
from ecoml.run.budget import Forecast
from ecoml.run.result import front_of, within
from ecoml.searcher.front_models import FrontModels
from ecoml.searcher.interrupts import Interrupts
from ecoml.searcher.settings import Settings
from ecoml.searcher.warm_start import about_warm_start
from ecoml.strategies import Continue, End, Start, Strategy
from ecoml.strategies.base import Goal, Learns, Pursues, ask_feasible
from ecoml.training.base import Executor, Run
from ecoml.training.size import SizeLimit
from ecoml.trial import Config, Measurement, Point, Trial, TrialState

FAILED_IN_A_ROW = 20
"""After so many failed trials in a row the search ends: something other than the configurations is wrong."""

SPENT = "the energy budget is spent"

Listener = Callable[[Trial], None]


class Loop:
    """The state of one search.

    Attributes:
        trials: Every trial so far, in order.
        ledger: The energy account.
        current: The trial that was touched last.
        ended: Why the search is over; empty while it runs.
        step_name: What a step of a curve is, for people.
        size: Which networks are small enough.
        notes: What people should know before it goes on, one sentence each.
        runs: Of the trials that are under way or suspended, by their numbers.
        reached: Whether a measurement has reached the target.
        cut: Why a step ends where `check_budget` lets it go no further.
    """

    def __init__(
        self,
        plan: Settings,
        strategy: Strategy,
        executor: Executor | None,
        ledger: Ledger,
        interrupts: Interrupts,
        size: SizeLimit,
    ) -> None:
        self.plan = plan
        self._interruptible = interrupts.allowed
        self.trials: list[Trial] = []
        self.ledger = ledger
        self.current: Trial | None = None
        self.ended = ""
        self.step_name: str = getattr(executor, "step_name", "step")
        self.listeners: list[Listener] = []
        self._strategy = strategy
        self._executor = executor
        self._open: set[int] = set()
        self.runs: dict[int, Run] = {}
        self._front = Front()
        self._models = FrontModels(executor, ledger, interrupts)
        self._forecast = Forecast()
        self._failed_in_a_row = 0
        self.reached = False
        self.cut = "the budget ended"
        self.size = size
        self.notes: list[str] = []
        self._inform()

    def _inform(self) -> None:
        """Tell the strategy what the search is for, and what an earlier run found."""
        plan = self.plan
        self.ledger.enter(Purpose.OPTIMISER)
        if isinstance(self._strategy, Pursues):
            self._strategy.pursue(Goal(plan.target, plan.spend_all, plan.max_energy_per_training_j, self.size))
        if plan.warm_start is not None:
            learnt = isinstance(self._strategy, Learns)
            if isinstance(self._strategy, Learns):
                self._strategy.learn(plan.warm_start.trials)
            self.notes.append(about_warm_start({**plan.warm_start.to_settings(), "learnt": learnt}, plan.strategy_name))
        self.ledger.enter(Purpose.OVERHEAD)

    def restore(self, trials: list[Trial]) -> None:
        """Take up the trials of an earlier sitting, and tell the strategy of them."""
        self.trials = trials
        for trial in trials:
            for point in trial.curve:
                if self._counts(point):
                    self._front.add(point.score, point.energy_j)
                    self.reached |= self._is_target(point.score)
            if trial.curve:
                self._forecast.learn(trial.at(1))
            self._strategy.tell(trial)
        self._models.keep_back(self.front)

    @property
    def front(self) -> tuple[Trial, ...]:
        """The front by now."""
        return front_of(self.trials, self.plan.max_energy_per_training_j)

    def decide(self) -> Start | Continue | str:
        """What to do next, or why the search is over."""
        if reason := self._over():
            return reason
        before_j = self.ledger.host_j
        self.ledger.enter(Purpose.OPTIMISER)
        with self._interruptible:
            decision = ask_feasible(self._strategy, self._may_start)
        self.ledger.enter(Purpose.OVERHEAD)
        self._forecast.thinking_j = self.ledger.host_j - before_j
        match decision:
            case End(reason):
                return self.size.explain(reason)
            case Start() if self._at_most_reached():
                return f"{self.plan.max_trials} trials were made"
            case Start():
                pass
            case Continue(number):
                if number not in self._open:
                    raise SearchFailed(
                        f"the strategy wants to go on with trial {number}; suspended are {sorted(self._open) or 'none'}"
                    )
            case _:
                raise SearchFailed(f"the strategy's ask() gave {decision!r:.80}; it must give Start, Continue or End")
        return decision

    def begin(self, decision: Start) -> Trial:
        """A new trial, not yet advanced."""
        trial = Trial(len(self.trials), dict(decision.config))
        self.trials.append(trial)
        self._open.add(trial.number)
        self.ledger.started(trial)
        self.current = trial
        self._tell(trial)
        return trial

    def advance(self, trial: Trial, steps: int | None) -> str | None:
        """Advance a trial by `steps` measurements (None: to its end). A reason to end the search, or None."""
        assert self._executor is not None, "only a searcher with a training advances trials"
        self.current = trial
        if trial.number not in self.runs:
            self.runs[trial.number] = self._executor.start(trial, self.ledger)
        if trial.state is not TrialState.RUNNING:
            self.change(trial, TrialState.RUNNING)
        taken = 0
        while steps is None or taken < steps:
            if not self.reserve(trial):
                self.change(trial, TrialState.STOPPED, self.cut)
                return self.spent_on(trial)
            if not self._step(trial):
                break
            taken += 1
            if self.reached:
                self.change(trial, TrialState.STOPPED, "the target was reached")
                return self._over()
        if not trial.state.ended:
            self.change(trial, TrialState.SUSPENDED)
        return None

    def reserve(self, trial: Trial, lane: int | None = None) -> bool:
        """Set the forecast of the trial's next step aside; whether it fits."""
        return self.ledger.reserve(self._forecast.step_j(trial), lane)

    def _step(self, trial: Trial) -> bool:
        """One measurement; whether the run can go on."""
        self.ledger.enter(Purpose.TRAINING, trial.number)
        return self.take(trial, self.runs[trial.number].__next__)

    def take(self, trial: Trial, measure: Callable[[], Measurement]) -> bool:
        """Record what a step gives, a measurement or an error; whether the run can go on."""
        try:
            with self._interruptible:
                measurement = measure()
        except StopIteration:
            self.ledger.charge_without_point(trial)
            self.change(trial, TrialState.FINISHED)
            return False
        except BudgetExhausted:
            self.ledger.charge_without_point(trial)
            self.change(trial, TrialState.STOPPED, self.cut)
            return False
        except TrainingError as error:
            self.fail(trial, str(error))
            if self.ledger.provisional:
                raise
            return False
        except (Exception, SystemExit) as error:
            self.fail(trial, in_one_line(error), traceback.format_exc())
            return False
        except BaseException:
            self.ledger.charge_without_point(trial)
            self.change(trial, TrialState.STOPPED, "interrupted")
            raise
        try:
            return self.record(trial, measurement)
        except NeedsMeter:
            self.ledger.attach()
            self.runs.pop(trial.number).close()
            assert self._executor is not None
            self.runs[trial.number] = self._executor.start(trial, self.ledger)
            return self._step(trial)

    def record(self, trial: Trial, measurement: Measurement) -> bool:
        """Charge a measurement, keep its model if it is on the front, tell the strategy. Whether it was usable."""
        if wrong := _what_is_wrong(measurement):
            first = self.ledger.provisional
            self.fail(trial, wrong, energy_j=measurement.energy_j)
            if first and not math.isnan(measurement.score):
                raise TrainingError(f"trial {trial.number}: {wrong}", spent_j=self.ledger.spent_j)
            return False
        self.ledger.charge(trial, measurement)
        self._failed_in_a_row = 0
        point = trial.curve[-1]
        if self.plan.warm_start is not None:
            self.plan.warm_start.refuse_mixture(point.provenance)
        self._forecast.learn(trial)
        if self._counts(point):
            self.reached |= self._is_target(point.score)
            if self._front.add(point.score, point.energy_j):
                try:
                    self._models.keep(self.runs.get(trial.number), trial, self.front)
                except (ChildProcessError, TimeoutError) as error:  # what held the weights is gone, and they with it
                    self.fail(trial, in_one_line(error))
                    return False
                self._models.keep_back(self.front)
        self._tell(trial)
        if why := self._too_dear(trial):
            self.change(trial, TrialState.STOPPED, why)
            return False
        return True

    def fail(self, trial: Trial, why: str, details: str | None = None, *, energy_j: float | None = None) -> None:
        """A trial has failed: its joules are charged, its points stand, the search goes on."""
        usable = energy_j is not None and math.isfinite(energy_j) and energy_j > 0
        self.ledger.charge_without_point(trial, energy_j if usable else None)
        self._failed_in_a_row += 1
        self.change(trial, TrialState.FAILED, why, details)

    def change(self, trial: Trial, state: TrialState, why: str | None = None, details: str | None = None) -> None:
        """A trial has a new state."""
        self.ledger.enter(Purpose.OVERHEAD)
        trial.state, trial.failure = state, why
        if state.ended:
            self._open.discard(trial.number)
            if (run := self.runs.pop(trial.number, None)) is not None:
                run.close()
        self.ledger.changed(trial, details)
        self._tell(trial)

    def end(self, reason: str, *, test: bool = True) -> None:
        """Close what is open, test the front, and enter why the search is over."""
        for number in sorted(self._open):
            self.change(self.trials[number], TrialState.STOPPED, "the search ended")
        if test:
            self._models.test(self.front)
        self.ended = reason
        self.ledger.end(reason)

    def close(self) -> None:
        """Close all runs."""
        for run in self.runs.values():
            run.close()
        self.runs.clear()

    def _over(self) -> str | None:
        if self.reached and self.plan.target is not None:
            return f"the target accuracy of {self.plan.target:.2%} was reached"
        if self._failed_in_a_row >= FAILED_IN_A_ROW:
            last = next(trial.failure for trial in reversed(self.trials) if trial.state is TrialState.FAILED)
            return f"{FAILED_IN_A_ROW} trials in a row failed, the last one: {last}"
        if self._at_most_reached() and not self._open:
            return f"{self.plan.max_trials} trials were made"
        next_j = 0.0 if self._open else self._forecast.thinking_j + self._forecast.step_j(None)
        return None if self.ledger.can_afford(next_j) else self._spent(next_j)

    def _spent(self, next_j: float) -> str:
        left_j = self.ledger.left_j
        if left_j <= 0 or next_j <= 0:
            return SPENT
        return (
            f"{SPENT}: a further step takes about {format_energy(next_j)} ({self.ledger.provenance}), and"
            f" {format_energy(left_j)} are left for it"
        )

    def spent_on(self, trial: Trial) -> str:
        """That the budget has no room for a further step of a trial."""
        return self._spent(self._forecast.step_j(trial))

    def wait(self, until: Callable[[], object]) -> None:
        """Wait where an interruption may come."""
        with self._interruptible:
            until()

    def _may_start(self, config: Config) -> bool:
        self.plan.space.validate(config)
        return self.size(config)

    def _counts(self, point: Point) -> bool:
        """Whether a training may end here: it took no more than a training may."""
        return within(point.energy_j, self.plan.max_energy_per_training_j)

    def _too_dear(self, trial: Trial) -> str | None:
        """Why a trial must not go on, if the next step would make it dearer than a training may be."""
        most_j, step_j = self.plan.max_energy_per_training_j, self._forecast.step_j(trial)
        if most_j is None or within(trial.energy_j + step_j, most_j):
            return None
        took = f"{format_energy(trial.energy_j)} ({trial.provenance})"
        if within(trial.energy_j, most_j):
            return f"a further step would exceed the {format_energy(most_j)} that a training may take: it took {took}"
        return f"it took {took}, more than the {format_energy(most_j)} that a training may take"

    def _at_most_reached(self) -> bool:
        return self.plan.max_trials is not None and len(self.trials) >= self.plan.max_trials

    def _is_target(self, score: float) -> bool:
        return self.plan.target is not None and score >= self.plan.target

    def _tell(self, trial: Trial) -> None:
        self.ledger.enter(Purpose.OPTIMISER)
        self._strategy.tell(trial)
        self.ledger.enter(Purpose.OVERHEAD)
        for listener in self.listeners:
            listener(trial)


def _what_is_wrong(measurement: Measurement) -> str | None:
    score, energy_j = measurement.score, measurement.energy_j
    if math.isnan(score):
        return "the accuracy is not a number: the training diverged"
    if not 0 <= score <= 1:
        return f"the accuracy is {score:g}; give the share of correct predictions, in [0, 1]"
    if energy_j is not None and not (math.isfinite(energy_j) and energy_j > 0):
        return f"energy_j is {energy_j}; give the joules since the measurement before, a positive number"
    return None
