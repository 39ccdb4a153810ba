"""Energy to target: curves of searches, censored medians, ratios and their bootstrap intervals. Pure numpy.

Notation
    S searches of one strategy (one per seed); a search has n measurements in order.
    spent_j: (n,) joules that the entire search had spent at each measurement, never decreasing.
    utility: (n,) scores, more is better (`Metric.utility`); values that are not finite are ignored.
    E: (S,) energy to target in joules; inf if the search ended without reaching it (it is *censored*).
    H: (S,) horizons in joules: the energy that each search could have spent. A censored E is above its horizon.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

LEVEL = 0.95
"""Confidence level of the intervals."""

ENOUGH_SEEDS = 5
"""With fewer seeds there is no interval: the bootstrap of a median would be too narrow."""

_SLACK = 1e-12
"""A utility this far below a target still reaches it: the target may be a sum of rounded shares."""


def best_so_far(spent_j: ArrayLike, utility: ArrayLike) -> tuple[Floats, Floats]:
    """The best utility so far, as steps.

    Args:
        spent_j: (n,).
        utility: (n,).

    Returns:
        Joules (k,) and best utilities (k,) at the k measurements that improved on all before them.
    """
    spent_j, utility = np.asarray(spent_j, dtype=float), np.asarray(utility, dtype=float)
    best = np.maximum.accumulate(np.where(np.isfinite(utility), utility, -np.inf))
    improved = best > np.concatenate(([-np.inf], best))[:-1]
    return spent_j[improved], best[improved]


def energy_to_target(spent_j: ArrayLike, utility: ArrayLike, target: float) -> float:
    """Joules the search had spent when a measurement first reached `target`; inf if none did."""
    spent_j, utility = np.asarray(spent_j, dtype=float), np.asarray(utility, dtype=float)
    reached = np.flatnonzero(utility >= target - _SLACK)
    return float(spent_j[reached[0]]) if len(reached) else math.inf


def censored_median(energies_j: ArrayLike) -> float:
    """The median of E; inf if it falls on a miss. For an even number it is the mean of the middle two, so one miss
    makes it inf: the figure is never better than the observations.
    """
    return float(np.median(np.asarray(energies_j, dtype=float)))


def lower_bound(energies_j: ArrayLike, horizons_j: ArrayLike) -> float:
    """A lower bound of the median of E, with each miss at its horizon."""
    return float(np.median(np.minimum(energies_j, horizons_j)))


def bootstrap_median(
    energies_j: Sequence[float], *, resamples: int = 4000, seed: int = 0
) -> tuple[float, float] | None:
    """Percentile interval of the censored median, by resampling searches (Efron 1979); an end may be inf.

    Returns:
        Lower and upper end at `LEVEL`; None for fewer than `ENOUGH_SEEDS` searches.
    """
    if len(energies_j) < ENOUGH_SEEDS:
        return None
    drawn = _resamples(len(energies_j), resamples, seed)
    return _percentiles(np.median(np.asarray(energies_j, dtype=float)[drawn], axis=1))


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times less energy a strategy needs than the reference.

    Attributes:
        value: Median energy of the reference / median energy of the strategy.
        relation: `=`; `<` or `>` if one of the medians is a miss, so that only a bound is known.
        interval: Percentile interval at `LEVEL` from resampling seeds; None if there is none.
    """

    value: float
    relation: Literal["=", "<", ">"] = "="
    interval: tuple[float, float] | None = None


def energy_ratio(
    reference_j: Sequence[float],
    strategy_j: Sequence[float],
    reference_horizons_j: Sequence[float],
    strategy_horizons_j: Sequence[float],
    *,
    paired: bool,
    resamples: int = 4000,
    seed: int = 0,
) -> Ratio | None:
    """The ratio of two medians of E, reference / strategy; None if both are misses or nothing was spent.

    Args:
        reference_j: (R,) energies to target of the reference.
        strategy_j: (S,) those of the strategy.
        reference_horizons_j: (R,).
        strategy_horizons_j: (S,).
        paired: Whether entry i of both has the same seed (then R = S), so that they are resampled together.
        resamples: Number of bootstrap resamples.
        seed: Seed of the resampling.
    """
    reference, strategy = censored_median(reference_j), censored_median(strategy_j)
    if math.isinf(reference) and math.isinf(strategy):
        return None
    if math.isinf(strategy):
        bound_j = lower_bound(strategy_j, strategy_horizons_j)
        return Ratio(reference / bound_j, "<") if bound_j > 0 else None
    if strategy == 0:
        return None
    if math.isinf(reference):
        return Ratio(lower_bound(reference_j, reference_horizons_j) / strategy, ">")
    if min(len(reference_j), len(strategy_j)) < ENOUGH_SEEDS:
        return Ratio(reference / strategy)
    drawn_r = _resamples(len(reference_j), resamples, seed)
    drawn_s = drawn_r if paired else _resamples(len(strategy_j), resamples, seed + 1)
    above = np.median(np.asarray(reference_j, dtype=float)[drawn_r], axis=1)
    below = np.median(np.asarray(strategy_j, dtype=float)[drawn_s], axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = above / below
    # Two misses in one resample say nothing: they widen the interval at both ends.
    undecided = np.isnan(ratios)
    low = _percentiles(np.where(undecided, 0.0, ratios))[0]
    high = _percentiles(np.where(undecided, np.inf, ratios))[1]
    return Ratio(reference / strategy, "=", (low, high))


def geometric_mean(values: Sequence[float]) -> float:
    """exp of the mean logarithm; NaN for no values."""
    return math.exp(math.fsum(math.log(value) for value in values) / len(values)) if values else math.nan


def mean_ratio(ratios: Sequence[Ratio | None]) -> Ratio | None:
    """Geometric mean of ratios, some of which are bounds; None if they are bounds in both directions, or one is
    unknown.
    """
    known = [ratio for ratio in ratios if ratio is not None and ratio.value > 0]
    relations = {ratio.relation for ratio in known} - {"="}
    if len(known) < len(ratios) or not known or len(relations) > 1:
        return None
    return Ratio(geometric_mean([ratio.value for ratio in known]), relations.pop() if relations else "=")


def median_seed(values: Sequence[float]) -> float:
    """The value of the median seed: of an even number the lower one, so that more than half reach it."""
    return sorted(values)[(len(values) - 1) // 2]


def _resamples(count: int, resamples: int, seed: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(0, count, size=(resamples, count))


def _percentiles(values: Floats) -> tuple[float, float]:
    # No interpolation: between a finite value and inf there is nothing.
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="inverted_cdf")
    return float(low), float(high)
