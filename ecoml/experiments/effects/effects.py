"""What each factor of a run does to energy and accuracy: a factorial, or any run whose trials differ in a few levels.

Notation
n   trainings; k levels of a factor (its own, not the number of cells)
H   Kruskal and Wallis (1952): whether the levels' energies have one distribution; normality is not asked for
η²  = (H − k + 1) / (n − k), the share of the rank variance that the factor explains (Tomczak and Tomczak 2014)
CV  standard deviation / mean

Changes are of means, from the first level of a factor to another one. Where the trainings share their other parameters
(a draw), an interval comes from resampling draws, and two levels are compared draw by draw (signed-rank test);
otherwise the test is that of Mann and Whitney. All pairs of a table are adjusted together after Holm.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecoml.energy import Provenance, weakest
from ecoml.errors import UsageError
from ecoml.experiments.compare.significance import holm, signed_rank_p
from ecoml.report.statistics import LEVEL
from ecoml.trial import Trial, TrialState

MOST_LEVELS = 6
"""A parameter with more distinct values is no factor unless it is named."""

LEAST_IN_CELL = 3
"""Shapiro and Wilk need so many."""

Levels = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class FactorialTraining:
    """One training of a factorial.

    Attributes:
        levels: Its level of each factor.
        draw: Its other parameters.
        energy_j: Joules.
        score: At its end.
    """

    levels: Levels
    draw: frozenset[tuple[str, Any]]
    energy_j: float
    score: float


@dataclass(frozen=True, slots=True)
class CellSummary:
    """All trainings with the same levels.

    Attributes:
        levels: Of each factor.
        n: How many.
        energy_j: Mean.
        energy_cv: CV of the energy; not a number for one training.
        score: Mean.
        score_cv: CV of the accuracy.
        shapiro_p: p-value that the energies are normally distributed; None for too few or equal ones.
    """

    levels: Levels
    n: int
    energy_j: float
    energy_cv: float
    score: float
    score_cv: float
    shapiro_p: float | None


@dataclass(frozen=True, slots=True)
class Change:
    """From the first level of a factor to another one, or between two cells.

    Attributes:
        before: The level, or the levels of a cell.
        after: Likewise.
        energy: Change of the mean energy as a share.
        interval: Its interval at `LEVEL` from resampling draws; None without shared draws.
        score: Change of the mean accuracy, as a difference of shares.
        p: That the energies do not differ, adjusted after Holm.
        pairs: Draws that both have; 0: compared unpaired.
    """

    before: Any
    after: Any
    energy: float
    interval: tuple[float, float] | None
    score: float
    p: float
    pairs: int


@dataclass(frozen=True, slots=True)
class RankTest:
    """Kruskal and Wallis' test: H, its p-value, and η² with the factor's own k."""

    h: float
    p: float
    eta2: float


@dataclass(frozen=True, slots=True)
class FactorEffect:
    """What one factor does.

    Attributes:
        name: The factor.
        levels: Its levels in order.
        energy: The test on energy; None if all energies are the same.
        score: The test on accuracy, likewise.
        changes: Between all pairs of levels, first those from the first level.
    """

    name: str
    levels: Levels
    energy: RankTest | None
    score: RankTest | None
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Effects:
    """What the factors of a run do.

    Attributes:
        factors: One a factor.
        cells: One a combination of levels.
        post_hoc: Between all pairs of cells.
        draws: How many draws all cells share; 0: none.
        failed: Trainings that are left out, since they or others of their draw failed or were cut off.
        provenance: Source of the energies.
        trainings: What it rests on.
    """

    factors: tuple[FactorEffect, ...]
    cells: tuple[CellSummary, ...]
    post_hoc: tuple[Change, ...]
    draws: int
    failed: int
    provenance: Provenance
    trainings: tuple[FactorialTraining, ...] = field(repr=False)

    @property
    def extremes(self) -> tuple[FactorEffect, Any, Any]:
        """The factor that explains most of the energy, its cheapest level (E−) and its dearest (E+)."""
        decisive = max(self.factors, key=lambda factor: factor.energy.eta2 if factor.energy else -math.inf)
        index = self.factors.index(decisive)
        by_level = sorted(decisive.levels, key=lambda level: _mean(self.trainings, index, level)[0])
        return decisive, by_level[0], by_level[-1]

    def mean_at(self, factor: FactorEffect, level: Any) -> tuple[float, float]:
        """Mean joules and mean accuracy of all trainings with that level."""
        return _mean(self.trainings, self.factors.index(factor), level)


def effects_of(trials: Sequence[Trial], factors: Sequence[str] = ()) -> Effects:
    """The effects of factors on trainings that came to their end.

    Args:
        trials: All trials of a run.
        factors: Names of parameters; none: options and whole numbers with 2 to `MOST_LEVELS` distinct
            values.

    Raises:
        UsageError: There is no such parameter, it does not vary, or too little was trained.
    """
    ended = [t for t in trials if t.state is TrialState.FINISHED and t.curve and t.energy_j > 0]
    if len(ended) < LEAST_IN_CELL:
        raise UsageError(f"{len(ended)} trainings came to their end; effects need at least {LEAST_IN_CELL}")
    names = list(dict.fromkeys(factors)) or _few_levels(ended)
    if not names:
        raise UsageError(
            "no parameter has a few levels only; name the factors, e.g. --factor depth, or run a factorial"
        )
    known = sorted({name for trial in ended for name in trial.config})
    for name in names:
        if name not in known:
            raise UsageError(f"the trials have no parameter {name!r}; use some of {', '.join(known)}")
    levels = [_ordered({trial.config.get(name) for trial in ended}) for name in names]
    for name, of_factor in zip(names, levels, strict=True):
        if len(of_factor) < 2 or len(of_factor) > len(ended) / 2:
            raise UsageError(f"{name} has {len(of_factor)} values in {len(ended)} trainings: not a factor with levels")
    trainings = tuple(_training(trial, names) for trial in ended)
    provenance = weakest(trial.provenance for trial in ended)
    return _effects(trainings, names, levels, len(trials) - len(ended), provenance)


def eta_squared(h: float, n: int, k: int) -> float:
    """η² of Kruskal and Wallis' H for n values in k groups."""
    return (h - k + 1) / (n - k)


def _effects(
    trainings: tuple[FactorialTraining, ...],
    names: Sequence[str],
    levels: Sequence[Levels],
    failed: int,
    provenance: Provenance,
) -> Effects:
    cells = _grouped(trainings, lambda training: training.levels)
    ordered = [cell for cell in itertools.product(*levels) if cell in cells]
    shared = set.intersection(*({t.draw for t in cells[cell]} for cell in ordered))
    if len(shared) >= 2:  # a draw that some cell lacks would be compared with others
        failed += sum(t.draw not in shared for t in trainings)
        trainings = tuple(t for t in trainings if t.draw in shared)
        cells = _grouped(trainings, lambda training: training.levels)
    found = []
    for index, (name, of_factor) in enumerate(zip(names, levels, strict=True)):
        groups = {level: [t for t in trainings if t.levels[index] == level] for level in of_factor}
        changes = _changes(groups, shared)
        energy, score = (_test([[value(t) for t in g] for g in groups.values()]) for value in (_joules, _share))
        found.append(FactorEffect(name, of_factor, energy, score, changes))
    summaries = tuple(_summary(cell, cells[cell]) for cell in ordered)
    post_hoc = _changes({cell: cells[cell] for cell in ordered}, shared)
    return Effects(tuple(found), summaries, post_hoc, len(shared), failed, provenance, trainings)


def _summary(levels: Levels, trainings: Sequence[FactorialTraining]) -> CellSummary:
    from scipy.stats import shapiro

    energies_j = np.array([t.energy_j for t in trainings])
    scores = np.array([t.score for t in trainings])
    normal = None
    if len(energies_j) >= LEAST_IN_CELL and np.ptp(energies_j) > 0:
        normal = float(shapiro(energies_j).pvalue)
    return CellSummary(
        levels,
        len(trainings),
        float(energies_j.mean()),
        _cv(energies_j),
        float(scores.mean()),
        _cv(scores),
        normal,
    )


def _test(groups: Sequence[Sequence[float]]) -> RankTest | None:
    from scipy.stats import kruskal

    if len({value for group in groups for value in group}) < 2:
        return None
    h, p = kruskal(*groups)
    return RankTest(float(h), float(p), eta_squared(float(h), sum(map(len, groups)), len(groups)))


def _changes(
    groups: Mapping[Any, Sequence[FactorialTraining]], shared: set[frozenset[tuple[str, Any]]]
) -> tuple[Change, ...]:
    """Between all pairs of groups, with p-values adjusted for their number."""
    pairs = list(itertools.combinations(groups, 2))
    raw = [_change(a, b, groups[a], groups[b], shared) for a, b in pairs]
    adjusted = holm([change.p for change in raw])
    return tuple(
        Change(c.before, c.after, c.energy, c.interval, c.score, p, c.pairs) for c, p in zip(raw, adjusted, strict=True)
    )


def _change(
    before: Any,
    after: Any,
    first: Sequence[FactorialTraining],
    second: Sequence[FactorialTraining],
    shared: set[frozenset[tuple[str, Any]]],
) -> Change:
    from scipy.stats import mannwhitneyu

    a, b = (np.array([t.energy_j for t in group]) for group in (first, second))
    score = float(np.mean([t.score for t in second]) - np.mean([t.score for t in first]))
    energy = float(b.mean() / a.mean() - 1)
    if len(shared) < 2:
        p = 1.0 if np.ptp(np.concatenate((a, b))) == 0 else float(mannwhitneyu(a, b).pvalue)
        return Change(before, after, energy, None, score, p, 0)
    # Mean of each draw in both groups: repetitions and other factors are averaged, as all cells have them alike.
    table = np.array([[_of_draw(group, draw) for group in (first, second)] for draw in sorted(shared, key=repr)])
    p = signed_rank_p(np.log(table[:, 1]) - np.log(table[:, 0]))
    return Change(before, after, energy, _interval(table), score, p, len(table))


def _of_draw(group: Sequence[FactorialTraining], draw: frozenset[tuple[str, Any]]) -> float:
    return float(np.mean([t.energy_j for t in group if t.draw == draw]))


def _interval(table: NDArray[np.float64], resamples: int = 2000) -> tuple[float, float]:
    drawn = np.random.default_rng(0).integers(0, len(table), size=(resamples, len(table)))
    sums = table[drawn].sum(axis=1)
    low, high = np.quantile(sums[:, 1] / sums[:, 0] - 1, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _training(trial: Trial, names: Sequence[str]) -> FactorialTraining:
    rest = frozenset((name, value) for name, value in trial.config.items() if name not in names)
    return FactorialTraining(tuple(trial.config.get(name) for name in names), rest, trial.energy_j, trial.score or 0.0)


def _few_levels(trials: Sequence[Trial]) -> list[str]:
    names = dict.fromkeys(name for trial in trials for name in trial.config)
    counts = {name: len({trial.config.get(name) for trial in trials}) for name in names}
    real = {name for name in names if any(isinstance(trial.config.get(name), float) for trial in trials)}
    return [name for name, n in counts.items() if 2 <= n <= min(MOST_LEVELS, len(trials) // 2) and name not in real]


def _grouped(trainings: Sequence[FactorialTraining], by: Any) -> dict[Any, list[FactorialTraining]]:
    groups: dict[Any, list[FactorialTraining]] = {}
    for training in trainings:
        groups.setdefault(by(training), []).append(training)
    return groups


def _mean(trainings: Sequence[FactorialTraining], index: int, level: Any) -> tuple[float, float]:
    group = [t for t in trainings if t.levels[index] == level]
    return float(np.mean([t.energy_j for t in group])), float(np.mean([t.score for t in group]))


def _ordered(values: set[Any]) -> Levels:
    numbers = all(isinstance(value, int | float) for value in values)
    return tuple(sorted(values, key=(lambda value: value) if numbers else str))


def _cv(values: NDArray[np.float64]) -> float:
    return float(values.std(ddof=1) / values.mean()) if len(values) > 1 and values.mean() else math.nan


def _joules(training: FactorialTraining) -> float:
    return training.energy_j


def _share(training: FactorialTraining) -> float:
    return training.score
