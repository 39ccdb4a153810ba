"""The effect of each factor of a run on energy and score: a factorial, or any run whose trials have few distinct
levels.

Changes are changes of means, from the first level of a factor to another one. Tests are valid if configurations were
laid out or drawn independently of earlier results. An optimiser tries each level where it looks good, so its levels
also differ in the rest of their configurations: there are then no tests, only observed differences.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecoml.energy import Provenance, weakest
from ecoml.errors import UsageError
from ecoml.experiments.effects.rank_tests import Change, FactorialTraining, Levels, RankTest, changes_between, rank_test
from ecoml.format import plural
from ecoml.metric import ACCURACY, Metric
from ecoml.trial import Trial, TrialState

MOST_LEVELS = 6
"""A parameter with more distinct values is a factor only if it is named."""

LEAST_IN_CELL = 3
"""Smallest number of values for the test of Shapiro and Wilk."""


@dataclass(frozen=True, slots=True)
class CellSummary:
    """All trainings with the same levels.

    Attributes:
        levels: The level of each factor.
        n: Number of trainings.
        energy_j: Mean energy.
        energy_cv: CV of the energy (standard deviation / mean); NaN for one training.
        score: Mean score.
        score_cv: CV of the score.
        shapiro_p: p-value of the hypothesis that the energies are normally distributed; None for too few or equal
            energies, and if nothing is tested.
    """

    levels: Levels
    n: int
    energy_j: float
    energy_cv: float
    score: float
    score_cv: float
    shapiro_p: float | None


@dataclass(frozen=True, slots=True)
class FactorEffect:
    """The effect of one factor.

    Attributes:
        name: The factor.
        levels: Its levels in order.
        energy: The test on energy; None if all energies are the same.
        score: The test on the score; None if all scores are the same.
        changes: The changes between all pairs of levels, those from the first level first.
    """

    name: str
    levels: Levels
    energy: RankTest | None
    score: RankTest | None
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Effects:
    """The effects of the factors of a run.

    Attributes:
        metric: The metric of the scores.
        provenance: Provenance of the energies.
        chosen_by: The optimiser that chose the configurations, so that effects cannot be tested; None: there was none.
        draws: Number of draws that all cells share; 0: none.
        failed: Number of trainings left out because they, or others of their draw, failed or were interrupted.
        unfinished: How many draws of a factorial were made, and how to continue it; None: all of them, or no factorial.
        factors: One per factor.
        cells: One per combination of levels.
        post_hoc: The changes between all pairs of cells.
        trainings: All trainings used.
    """

    metric: Metric
    provenance: Provenance
    chosen_by: str | None
    draws: int
    failed: int
    unfinished: str | None
    factors: tuple[FactorEffect, ...]
    cells: tuple[CellSummary, ...]
    post_hoc: tuple[Change, ...]
    trainings: tuple[FactorialTraining, ...] = field(repr=False)

    @property
    def extremes(self) -> tuple[FactorEffect, Any, Any]:
        """The factor that explains most of the energy, its cheapest level (E−) and its dearest (E+)."""
        decisive = max(self.factors, key=lambda factor: factor.energy.eta2 if factor.energy else -math.inf)
        by_level = sorted(decisive.levels, key=lambda level: self.mean_at(decisive, level)[0])
        return decisive, by_level[0], by_level[-1]

    def mean_at(self, factor: FactorEffect, level: Any) -> tuple[float, float]:
        """Mean joules and mean score of all trainings with that level."""
        index = self.factors.index(factor)
        group = [training for training in self.trainings if training.levels[index] == level]
        return float(np.mean([t.energy_j for t in group])), float(np.mean([t.score for t in group]))


def effects_of(
    trials: Sequence[Trial],
    factors: Sequence[str] = (),
    *,
    metric: Metric = ACCURACY,
    chosen_by: str | None = None,
    unfinished: str | None = None,
) -> Effects:
    """The effects of factors on completed trainings.

    Args:
        trials: All trials of a run.
        factors: Names of parameters; none: options and whole numbers with 2 to `MOST_LEVELS` distinct values.
        metric: The metric of the scores.
        chosen_by: The optimiser that chose the configurations; None: they were laid out or drawn beforehand.
        unfinished: As in `Effects`.

    Raises:
        UsageError: There is no such parameter, it does not vary, or too few trainings were completed.
    """
    ended = [t for t in trials if t.state is TrialState.FINISHED and t.curve and t.energy_j > 0]
    continued = "" if unfinished is None else f" ({unfinished})"
    if len(ended) < LEAST_IN_CELL:
        told = f"{plural(len(ended), 'training')} {'was' if len(ended) == 1 else 'were'} completed"
        raise UsageError(f"{told}; effects need at least {LEAST_IN_CELL}{continued}")
    names = list(dict.fromkeys(factors)) or _few_levels(ended)
    if not names:
        raise UsageError(
            "no parameter has only a few levels; name the factors, e.g. --factor depth, or run a factorial"
        )
    known = sorted({name for trial in ended for name in trial.config})
    for name in names:
        if name not in known:
            raise UsageError(f"the trials have no parameter {name!r}; use some of {', '.join(known)}")
    levels = [_ordered({trial.config.get(name) for trial in ended}) for name in names]
    for name, of_factor in zip(names, levels, strict=True):
        if len(of_factor) < 2 or len(of_factor) > len(ended) / 2:
            told = f"{name} has {plural(len(of_factor), 'value')} in {len(ended)} trainings"
            raise UsageError(f"{told}: not a factor with levels{continued}")
    trainings = tuple(_training(trial, names) for trial in ended)
    tested = chosen_by is None
    cells = _by_cell(trainings)
    ordered = [cell for cell in itertools.product(*levels) if cell in cells]
    shared = set.intersection(*({t.draw for t in cells[cell]} for cell in ordered))
    if len(shared) >= 2:  # a draw that some cell lacks would be compared with others
        trainings = tuple(t for t in trainings if t.draw in shared)
        cells = _by_cell(trainings)
    found = []
    for index, (name, of_factor) in enumerate(zip(names, levels, strict=True)):
        groups = {level: [t for t in trainings if t.levels[index] == level] for level in of_factor}
        energy = rank_test([[t.energy_j for t in group] for group in groups.values()], tested=tested)
        score = rank_test([[t.score for t in group] for group in groups.values()], tested=tested)
        changes = changes_between(groups, shared, tested=tested)
        found.append(FactorEffect(name, of_factor, energy, score, changes))
    return Effects(
        metric=metric,
        provenance=weakest(training.energy.provenance for training in trainings),
        chosen_by=chosen_by,
        draws=len(shared),
        failed=len(trials) - len(trainings),
        unfinished=unfinished,
        factors=tuple(found),
        cells=tuple(_summary(cell, cells[cell], tested=tested) for cell in ordered),
        post_hoc=changes_between({cell: cells[cell] for cell in ordered}, shared, tested=tested),
        trainings=trainings,
    )


def _summary(levels: Levels, trainings: Sequence[FactorialTraining], *, tested: bool) -> CellSummary:
    from scipy.stats import shapiro

    energies_j, scores = np.array([t.energy_j for t in trainings]), np.array([t.score for t in trainings])
    normal = None
    if tested and len(energies_j) >= LEAST_IN_CELL and np.ptp(energies_j) > 0:
        normal = float(shapiro(energies_j).pvalue)
    means = float(energies_j.mean()), float(scores.mean())
    return CellSummary(levels, len(trainings), means[0], _cv(energies_j), means[1], _cv(scores), normal)


def _training(trial: Trial, names: Sequence[str]) -> FactorialTraining:
    rest = frozenset((name, value) for name, value in trial.config.items() if name not in names)
    levels = tuple(trial.config.get(name) for name in names)
    return FactorialTraining(levels, rest, trial.energy, trial.curve[-1].score)


def _few_levels(trials: Sequence[Trial]) -> list[str]:
    names = dict.fromkeys(name for trial in trials for name in trial.config)
    counts = {name: len({trial.config.get(name) for trial in trials}) for name in names}
    real = {name for name in names if any(isinstance(trial.config.get(name), float) for trial in trials)}
    return [name for name, n in counts.items() if 2 <= n <= min(MOST_LEVELS, len(trials) // 2) and name not in real]


def _by_cell(trainings: Sequence[FactorialTraining]) -> dict[Levels, list[FactorialTraining]]:
    cells: dict[Levels, list[FactorialTraining]] = {}
    for training in trainings:
        cells.setdefault(training.levels, []).append(training)
    return cells


def _ordered(values: set[Any]) -> Levels:
    numbers = all(isinstance(value, int | float) for value in values)
    return tuple(sorted(values, key=(lambda value: value) if numbers else str))


def _cv(values: NDArray[np.float64]) -> float:
    return float(values.std(ddof=1) / abs(values.mean())) if len(values) > 1 and values.mean() else math.nan
