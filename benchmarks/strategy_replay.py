"""One search on a table, through `ask` and `tell`: what a `Searcher` does, without a meter, a ledger or a disk.

`tests/test_benchmark_strategies.py` holds that a `Searcher` makes the same trials.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from strategy_problems import Array, TrainingTask

from ecoml.pareto import Front, hypervolume
from ecoml.strategies import Continue, End, Strategy, create_strategy
from ecoml.testing.strategies import point
from ecoml.trial import Trial, TrialState

MOST_TRIALS = 2000
"""Of a search: where the dearest training takes 100,000 times what the cheapest does, a budget may never end."""


@dataclass
class Replayed:
    """What came of a search.

    Attributes:
        trials: All its trials.
        spent_j: Joules that the whole search had spent at each measurement.
        score: The accuracy there, without chance.
        found: Likewise, of the most accurate measurement by then.
        point_j: The joules of that trial by then.
        optimiser_s: CPU seconds of asking and telling.
        ended: Why the strategy ended the search; empty where the budget or the goal did.
    """

    trials: list[Trial] = field(default_factory=list)
    spent_j: list[float] = field(default_factory=list)
    score: list[float] = field(default_factory=list)
    found: list[float] = field(default_factory=list)
    point_j: list[float] = field(default_factory=list)
    optimiser_s: float = 0.0
    ended: str = ""


@dataclass(frozen=True)
class Goal:
    """What random search had after its trainings; the other strategies are to reach it.

    Attributes:
        typical: The median, over seeds, of what it found.
        score: What it found with the same seed.
        hypervolume: Of accuracy and log joules, of all points of all curves, up to `reference`.
        reference: The lowest accuracy and the largest log joules among its points.
        budget_j: What its trainings took: the budget of every strategy.
    """

    typical: float
    score: float
    hypervolume: float
    reference: tuple[float, float]
    budget_j: float


class Reached:
    """Follows a search; the joules at which it had reached each part of a goal, inf before.

    Args:
        goal: What is to be reached.
        target_only: Whether the accuracies are enough; the hypervolume is not looked at.
    """

    def __init__(self, goal: Goal, target_only: bool = False) -> None:
        self._goal = goal
        self._target_only = target_only
        self._front = Front()
        self.typical_j = math.inf
        self.accuracy_j = math.inf
        self.hypervolume_j = math.inf

    def __call__(self, spent_j: float, found: float, score: float, point_j: float) -> bool:
        """A further measurement (see `Replayed`); whether all is reached now, or the budget is spent."""
        if spent_j > self._goal.budget_j:
            return True
        if found >= self._goal.typical:
            self.typical_j = min(self.typical_j, spent_j)
        if found >= self._goal.score:
            self.accuracy_j = min(self.accuracy_j, spent_j)
        if self._target_only:
            return max(self.typical_j, self.accuracy_j) < math.inf
        if math.isinf(self.hypervolume_j) and self._front.add(score, math.log(point_j)):
            volume = hypervolume(list(self._front), self._goal.reference)
            if volume >= self._goal.hypervolume * (1 - 1e-9):
                self.hypervolume_j = spent_j
        return max(self.typical_j, self.accuracy_j, self.hypervolume_j) < math.inf

    def row(self) -> dict[str, float | None]:
        """As columns of the results, None where it was missed."""
        found = {"typical": self.typical_j, "target": self.accuracy_j}
        if not self._target_only:
            found["hypervolume"] = self.hypervolume_j
        return {f"to_{part}_j": joules if joules < math.inf else None for part, joules in found.items()}


def replay(
    strategy: Strategy,
    problem: TrainingTask,
    *,
    budget_j: float = math.inf,
    max_trials: int | None = None,
    until: Callable[[float, float, float, float], bool] = lambda *_: False,
) -> Replayed:
    """Search until the budget, so many trials, or `until`, called with (spent_j, found, accuracy, point_j), ends it."""
    search = Replayed()
    curves: dict[int, tuple[Array, Array]] = {}
    exact: dict[int, Array] = {}
    spent_j, best, found = 0.0, -math.inf, math.nan

    def tell(trial: Trial) -> None:
        before = time.thread_time()
        strategy.tell(trial)
        search.optimiser_s += time.thread_time() - before

    while spent_j < budget_j:
        before = time.thread_time()
        decision = strategy.ask()
        search.optimiser_s += time.thread_time() - before
        if isinstance(decision, End):
            search.ended = str(decision.reason)
            break
        if isinstance(decision, Continue):
            trial = search.trials[decision.number]
            trial.state = TrialState.RUNNING
            tell(trial)
        elif max_trials is not None and len(search.trials) >= max_trials:
            break
        else:
            trial = Trial(len(search.trials), dict(decision.config))
            search.trials.append(trial)
            curves[trial.number] = problem.curve(trial.config)
            without_chance: TrainingTask = getattr(problem, "exact", problem)
            exact[trial.number], _ = without_chance.curve(trial.config)
            tell(trial)
        score, step_j = curves[trial.number]
        taken = 0
        while decision.steps is None or taken < decision.steps:
            if trial.step == len(score):  # as a generator: its end shows when it is asked for more
                trial.state = TrialState.FINISHED
                break
            joules, share = float(step_j[trial.step]), float(score[trial.step])
            spent_j += joules
            taken += 1
            trial.curve.append(point(trial.step + 1, share, trial.energy_j + joules))
            true = float(exact[trial.number][trial.step - 1])
            if share > best:
                best, found = share, true
            search.spent_j.append(spent_j)
            search.score.append(true)
            search.found.append(found)
            search.point_j.append(trial.energy_j)
            tell(trial)
            if until(spent_j, found, true, trial.energy_j):
                return search
        if trial.state is TrialState.RUNNING:
            trial.state = TrialState.SUSPENDED
        tell(trial)
    return search


def goal_of_random(problem: TrainingTask, seed: int, trainings: int, typical: float) -> Goal:
    """What random search with this seed has after so many whole trainings; `typical` is known already."""
    search = _random(problem, seed, trainings)
    reference = (min(search.score), math.log(max(search.point_j)))
    points = [(score, math.log(joules)) for score, joules in zip(search.score, search.point_j, strict=True)]
    return Goal(typical, search.found[-1], hypervolume(points, reference), reference, search.spent_j[-1])


def typical_of_random(problem: TrainingTask, seeds: Iterable[int], trainings: int) -> float:
    """The median, over seeds, of the accuracy that random search finds in so many trainings."""
    return statistics.median(_random(problem, seed, trainings).found[-1] for seed in seeds)


def _random(problem: TrainingTask, seed: int, trainings: int) -> Replayed:
    return replay(create_strategy("random", problem.space, seed), problem, max_trials=trainings)


def measure(
    problem: TrainingTask, strategy: str, seed: int, goal: Goal, target_only: bool = False
) -> Mapping[str, Any]:
    """One strategy, one seed: a row of the results, its energies in joules and None where the goal was missed."""
    reached = Reached(goal, target_only)
    search = replay(
        *(create_strategy(strategy, problem.space, seed), problem),
        budget_j=goal.budget_j,
        max_trials=MOST_TRIALS,
        until=reached,
    )
    return {
        "typical_accuracy": goal.typical,
        "target_accuracy": goal.score,
        "budget_j": goal.budget_j,
        **reached.row(),
        "spent_j": min(search.spent_j[-1], goal.budget_j),
        "trials": len(search.trials),
        "optimiser_s": search.optimiser_s,
        "ended": search.ended,
    }
