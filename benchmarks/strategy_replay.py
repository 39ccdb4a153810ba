"""One search on a table, by a `Searcher` to which the table reports its joules."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from peer_process import PeerProcess, search_by_process
from strategy_problems import Array, TrainingTask

from ecoml.metric import ACCURACY, Metric
from ecoml.pareto import Front, hypervolume
from ecoml.strategies import End, Strategy, create_strategy
from ecoml.testing.recorder import record_search
from ecoml.trial import Config, Measurement, Trial

MOST_TRIALS = 2000
"""Most trials of a search. If the dearest training takes 100,000 times the energy of the cheapest, a budget may last
forever.
"""

NEPS = {"neps-priorband": "priorband", "neps-mo-hyperband": "mo_hyperband"}
"""Strategies in an environment of their own, with their names in NePS."""

_LEAST_J = 1e-9  # least joules of a step: a table with rounded seconds has steps of 0 s, which no search may see


@dataclass
class Replayed:
    """The course of a search.

    Attributes:
        trials: All its trials.
        spent_j: Joules that the entire search had spent at each measurement.
        utility: The true utility at each measurement: the accuracy, or the problem's score, where more is better.
        found: The true utility of the best measurement so far, at each measurement.
        point_j: The joules of that trial so far.
        optimiser_s: CPU seconds of asking and telling.
        ended: Why the strategy ended the search; empty if the budget or the goal ended it.
    """

    trials: list[Trial] = field(default_factory=list)
    spent_j: list[float] = field(default_factory=list)
    utility: list[float] = field(default_factory=list)
    found: list[float] = field(default_factory=list)
    point_j: list[float] = field(default_factory=list)
    optimiser_s: float = 0.0
    ended: str = ""


@dataclass(frozen=True)
class Goal:
    """The results of random search after its trainings, which the other strategies are to reach.

    Attributes:
        typical: The median, over seeds, of its best utilities.
        utility: Its best utility with the same seed.
        hypervolume: Of utility and log joules, of all points of all curves, up to `reference`.
        reference: The lowest utility and the largest log joules among its points.
        budget_j: The joules of its trainings, which are the budget of every strategy.
    """

    typical: float
    utility: float
    hypervolume: float
    reference: tuple[float, float]
    budget_j: float


class Reached:
    """Follows a search, and stores the joules at which it reached each part of a goal; inf before.

    Args:
        goal: The goal.
        target_only: Whether the utilities are enough, without the hypervolume.
    """

    def __init__(self, goal: Goal, target_only: bool = False) -> None:
        self._goal = goal
        self._target_only = target_only
        self._front = Front()
        self.typical_j = math.inf
        self.target_j = math.inf
        self.hypervolume_j = math.inf

    def __call__(self, spent_j: float, found: float, utility: float, point_j: float) -> bool:
        """Take a measurement (see `Replayed`); returns whether all is reached, or the budget is spent."""
        if spent_j > self._goal.budget_j:
            return True
        if found >= self._goal.typical:
            self.typical_j = min(self.typical_j, spent_j)
        if found >= self._goal.utility:
            self.target_j = min(self.target_j, spent_j)
        if self._target_only:
            return max(self.typical_j, self.target_j) < math.inf or spent_j >= self._goal.budget_j
        if math.isinf(self.hypervolume_j) and self._front.add(utility, math.log(point_j)):
            volume = hypervolume(list(self._front), self._goal.reference)
            if volume >= self._goal.hypervolume * (1 - 1e-9):
                self.hypervolume_j = spent_j
        reached = max(self.typical_j, self.target_j, self.hypervolume_j) < math.inf
        return reached or spent_j >= self._goal.budget_j

    def row(self) -> dict[str, float | None]:
        """The columns of the results, None for a missed goal."""
        found = {"typical": self.typical_j, "target": self.target_j}
        if not self._target_only:
            found["hypervolume"] = self.hypervolume_j
        return {f"to_{part}_j": joules if joules < math.inf else None for part, joules in found.items()}


def replay(
    strategy: Strategy,
    problem: TrainingTask,
    *,
    max_trials: int | None = None,
    until: Callable[[float, float, float, float], bool] = lambda *_: False,
    early_end: bool = False,
) -> Replayed:
    """Search until this many trials, or until `until`, called with (spent_j, found, utility, point_j), ends it; with
    `early_end`, the strategy may, too.
    """
    replayed = Replayed()
    metric: Metric = getattr(problem, "metric", ACCURACY)
    exact: dict[int, Array] = {}
    without_chance: TrainingTask = getattr(problem, "exact", problem)
    best = -math.inf

    def train(config: Config) -> Iterator[Measurement]:
        for score, joules in zip(*problem.curve(config), strict=True):
            yield Measurement(float(score), max(float(joules), _LEAST_J))

    def enough(trial: Trial) -> bool:
        nonlocal best
        if trial.number not in exact:
            exact[trial.number], _ = without_chance.curve(trial.config)
        point = trial.curve[-1]
        true = metric.utility(float(exact[trial.number][point.step - 1]))
        found = true if point.utility > best else replayed.found[-1]
        best = max(best, point.utility)
        replayed.spent_j.append(point.spent_j)
        replayed.utility.append(true)
        replayed.found.append(found)
        replayed.point_j.append(point.energy_j)
        return until(point.spent_j, found, true, point.energy_j)

    limits: dict[str, Any] = {"max_trials": max_trials, "spend_all": not early_end}
    search = record_search(strategy, problem.space, train, metric=metric, enough=enough, **limits)
    replayed.trials = list(search.trials.values())
    replayed.optimiser_s = search.thinking_s
    if isinstance(end := search.decisions[-1], End):
        replayed.ended = str(end.reason)
    return replayed


def goal_of_random(problem: TrainingTask, seed: int, trainings: int, typical: float) -> Goal:
    """The results of random search with this seed after this many whole trainings, with the given `typical`."""
    search = _random(problem, seed, trainings)
    reference = (min(search.utility), math.log(max(search.point_j)))
    points = [(utility, math.log(joules)) for utility, joules in zip(search.utility, search.point_j, strict=True)]
    return Goal(typical, search.found[-1], hypervolume(points, reference), reference, search.spent_j[-1])


def typical_of_random(problem: TrainingTask, seeds: Iterable[int], trainings: int) -> float:
    """The median, over seeds, of the best utility of random search in this many trainings."""
    return statistics.median(_random(problem, seed, trainings).found[-1] for seed in seeds)


def _random(problem: TrainingTask, seed: int, trainings: int) -> Replayed:
    return replay(create_strategy("random", problem.space, seed), problem, max_trials=trainings)


def measure(
    problem: TrainingTask,
    strategy: str,
    seed: int,
    goal: Goal,
    target_only: bool = False,
    neps: Path | None = None,
    early_end: bool = False,
) -> Mapping[str, Any]:
    """One strategy, one seed: a row of the results, with its energies in joules, None for a missed goal.

    Args:
        problem: The problem.
        strategy: Its name, as `ecoml strategies` lists it, or one of `NEPS`.
        seed: The seed.
        goal: What it is to reach.
        target_only: As in `Reached`.
        neps: The interpreter of the environment with NePS.
        early_end: Whether the strategy may end the search.
    """
    reached = Reached(goal, target_only)
    process: PeerProcess | None = None
    search_by: Strategy
    if strategy in NEPS:
        assert neps is not None, "left out without it"
        script = str(Path(__file__).parent / "peer_neps.py")
        search_by, process = search_by_process(problem.space, seed, neps, script, NEPS[strategy])
    else:
        search_by = create_strategy(strategy, problem.space, seed)
    search = replay(search_by, problem, max_trials=MOST_TRIALS, until=reached, early_end=early_end)
    return {
        "typical_utility": goal.typical,
        "target_utility": goal.utility,
        "budget_j": goal.budget_j,
        **reached.row(),
        "spent_j": min(search.spent_j[-1], goal.budget_j),
        "trials": len(search.trials),
        "optimiser_s": search.optimiser_s + (process.cpu_s if process else 0.0),
        "ended": search.ended,
    }
