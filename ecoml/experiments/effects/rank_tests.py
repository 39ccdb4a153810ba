"""Rank tests for the levels of a factor.

Notation
    n   trainings; k levels of a factor (its own, not the number of cells)
    H   Kruskal and Wallis (1952): tests whether the levels' energies have one distribution, without assuming normality
    η²  = (H − k + 1) / (n − k), the share of the rank variance that the factor explains (Tomczak and Tomczak 2014)

If trainings share their other parameters (a draw), an interval comes from resampling draws, and two levels are compared
draw by draw (signed-rank test); otherwise the test is that of Mann and Whitney. All pairs of a table are adjusted
together after Holm.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecoml.energy import Energy
from ecoml.experiments.compare.significance import holm, signed_rank_p
from ecoml.report.statistics import LEVEL

Levels = tuple[Any, ...]

Draw = frozenset[tuple[str, Any]]
"""The parameters of a training that are not factors."""


@dataclass(frozen=True, slots=True)
class FactorialTraining:
    """One training of a factorial.

    Attributes:
        levels: Its level of each factor.
        draw: Its other parameters.
        energy: Its energy.
        score: Its score at the end.
    """

    levels: Levels
    draw: Draw
    energy: Energy
    score: float

    @property
    def energy_j(self) -> float:
        """Joules."""
        return self.energy.energy_j


@dataclass(frozen=True, slots=True)
class RankTest:
    """The test of Kruskal and Wallis: H, its p-value (None: its assumptions do not hold), and η² with the factor's own
    k.
    """

    h: float
    p: float | None
    eta2: float


@dataclass(frozen=True, slots=True)
class Change:
    """The change from the first level of a factor to another one, or between two cells.

    Attributes:
        before: The first level, or the levels of the first cell.
        after: The second.
        energy: Change of the mean energy as a share.
        interval: Its interval at `LEVEL` from resampling draws; None without shared draws.
        score: Change of the mean score.
        p: p-value of the hypothesis that the energies do not differ, adjusted after Holm; None: the test's assumptions
            do not hold.
        pairs: Number of draws that both have; 0: compared unpaired.
    """

    before: Any
    after: Any
    energy: float
    interval: tuple[float, float] | None
    score: float
    p: float | None
    pairs: int


def eta_squared(h: float, n: int, k: int) -> float:
    """η² of Kruskal and Wallis' H for n values in k groups."""
    return (h - k + 1) / (n - k)


def rank_test(groups: Sequence[Sequence[float]], *, tested: bool) -> RankTest | None:
    """Whether groups differ; None if all values are the same. Without `tested` there is no p-value."""
    from scipy.stats import kruskal

    if len({value for group in groups for value in group}) < 2:
        return None
    h, p = map(float, kruskal(*groups))
    return RankTest(h, p if tested else None, eta_squared(h, sum(map(len, groups)), len(groups)))


def changes_between(
    groups: Mapping[Any, Sequence[FactorialTraining]], shared: set[Draw], *, tested: bool
) -> tuple[Change, ...]:
    """The changes between all pairs of groups, with p-values adjusted for their number; without `tested` there are
    none.

    Args:
        groups: Trainings by level, or by cell.
        shared: The draws that all groups have; with fewer than two they are compared unpaired.
        tested: Whether the tests' assumptions hold.
    """
    raw = [_change(a, b, groups[a], groups[b], shared) for a, b in itertools.combinations(groups, 2)]
    adjusted = holm([change.p for change in raw if change.p is not None])
    p_values = adjusted if tested else [None] * len(raw)
    return tuple(replace(change, p=p) for change, p in zip(raw, p_values, strict=True))


def _change(
    before: Any,
    after: Any,
    first: Sequence[FactorialTraining],
    second: Sequence[FactorialTraining],
    shared: set[Draw],
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


def _of_draw(group: Sequence[FactorialTraining], draw: Draw) -> float:
    return float(np.mean([t.energy_j for t in group if t.draw == draw]))


def _interval(table: NDArray[np.float64], resamples: int = 2000) -> tuple[float, float]:
    drawn = np.random.default_rng(0).integers(0, len(table), size=(resamples, len(table)))
    sums = table[drawn].sum(axis=1)
    low, high = np.quantile(sums[:, 1] / sums[:, 0] - 1, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
