"""Asynchronous successive halving with two objectives (MO-ASHA).

A new configuration is trained for `least` steps: the first rung. Of the trials that have reached a rung, the best
1/`factor` are trained `factor` times as long: the next rung, until the training ends. The best are those on the front
of (utility, joules) at that rung, then those on the front of the rest, and so on; within the last front, those that are
far from the ones already taken come first.

Li et al., A system for massively parallel hyperparameter tuning (2020): rungs and promotion. Schmucker et al.,
Multi-objective asynchronous successive halving (2021): ranking by fronts, and the ε-net in them.

Since one trial is trained at a time, the next decision is a function of the trials told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray

from ecoml.errors import UsageError
from ecoml.pareto import front_indices
from ecoml.space import Space
from ecoml.strategies.base import Continue, Decision, Start
from ecoml.strategies.random import RandomSearch
from ecoml.trial import Trial, TrialState


class Halving:
    """Promotes the best third of each rung; starts a random configuration if no promotion is due.

    Args:
        space: The space to search.
        seed: ≥ 0; it determines the sequence of new configurations.
        least: Steps of the first rung.
        factor: How many times longer, and more selective, each rung is than the one before.
        default_first: Whether the first configuration is the space's default, if there is one.

    Raises:
        UsageError: A rung is not longer than the one before, or has no step.
    """

    def __init__(
        self,
        space: Space,
        seed: int,
        least: Annotated[int, Ge(1)] = 1,
        factor: Annotated[int, Ge(2)] = 3,
        *,
        default_first: bool = True,
    ) -> None:
        if least < 1 or factor < 2:
            raise UsageError(f"halving needs at least 1 step and a factor of 2, not {least} and {factor}")
        self._design = RandomSearch(space, seed, default_first=default_first)
        self._least = least
        self._factor = factor
        self._trials: dict[int, Trial] = {}
        self._best: dict[int, tuple[int, list[int]]] = {}  # rung → trials that have reached it, the best of them

    def tell(self, trial: Trial) -> None:
        """Store the trial's current state."""
        self._design.tell(trial)
        self._trials[trial.number] = trial

    def ask(self) -> Decision:
        """The highest promotion that is due, else a new configuration; `End` when there is none."""
        trials = [self._trials[number] for number in sorted(self._trials)]
        decision: Decision | None = None
        rung = self._least
        while reached := [trial for trial in trials if trial.step >= rung]:
            if (trial := self._due(reached, rung)) is not None:
                decision = Continue(trial.number, self._factor * rung - trial.step)
            rung *= self._factor
        if decision is not None:
            return decision
        new = self._design.ask()
        return Start(new.config, self._least) if isinstance(new, Start) else new

    def _due(self, reached: Sequence[Trial], rung: int) -> Trial | None:
        """The best trial that waits at a rung and is among the best 1/factor of all that have reached it."""
        if rung not in self._best or self._best[rung][0] != len(reached):
            points = [trial.curve[rung - 1] for trial in reached]
            score, energy_j = np.array([p.utility for p in points]), np.array([p.energy_j for p in points])
            best = ranking(score, energy_j, len(reached) // self._factor)
            self._best[rung] = len(reached), [reached[i].number for i in best]
        for number in self._best[rung][1]:
            trial = self._trials[number]
            if trial.state is TrialState.SUSPENDED and trial.step < self._factor * rung:
                return trial
        return None


def ranking(score: NDArray[np.float64], energy_j: NDArray[np.float64], count: int) -> list[int]:
    """Indices of the best `count` of (n,) utilities and joules: front by front, spread out within the last front."""
    order: list[int] = []
    rest = np.arange(len(score))
    while len(order) < count and len(rest):
        front = front_indices(score[rest], energy_j[rest])
        if not len(front):  # nothing finite is left
            break
        whole = len(order) + len(front) <= count
        order += rest[front[::-1]].tolist() if whole else _spread_out(rest[front], score, energy_j)
        rest = np.delete(rest, front)
    return order[:count]


def _spread_out(front: NDArray[np.intp], score: NDArray[np.float64], energy_j: NDArray[np.float64]) -> list[int]:
    """The best first, then always the one farthest from those taken (an ε-net)."""
    points = np.column_stack([_scaled(score[front]), _scaled(energy_j[front])])
    taken = [int(np.argmax(points[:, 0]))]
    distance = np.linalg.norm(points - points[taken[0]], axis=1)
    while len(taken) < len(front):
        distance[taken] = -1.0
        taken.append(int(np.argmax(distance)))
        distance = np.minimum(distance, np.linalg.norm(points - points[taken[-1]], axis=1))
    return [int(front[i]) for i in taken]


def _scaled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    scaled: NDArray[np.float64] = (values - values.min()) / (np.ptp(values) or 1.0)
    return scaled
