"""Curves over the seeds of a strategy, with their bands: share that reached the target, best so far, hypervolume.

Notation
    S searches of one strategy (one per seed); m energies at which a curve is evaluated.
    E: (S,) energy to target in joules, inf for a miss; H: (S,) horizon of each search (see `statistics`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecoml.report.statistics import ENOUGH_SEEDS, LEVEL, Floats

RESAMPLES = 1000
"""Number of bootstrap resamples of a band."""


@dataclass(frozen=True, slots=True)
class Reached:
    """The share of searches that have reached the target, as steps.

    Attributes:
        energies_j: (k,) joules of the steps, ascending.
        share: (k,) share from there on.
        low: (k,) lower end of the band; None if there are too few searches.
        high: (k,) upper end.
        ends_j: The energy up to which the curve is known: the horizon of the last search.
    """

    energies_j: Floats
    share: Floats
    low: Floats | None
    high: Floats | None
    ends_j: float


def reached(energies_j: Sequence[float], horizons_j: Sequence[float], *, seed: int = 0) -> Reached:
    """The energy-to-target curve: 1 minus the Kaplan-Meier estimate (Kaplan and Meier 1958) of not having reached it.

    A search that missed the target is censored at its horizon: it counts as not finished up to there, and says nothing
    about larger energies. The band is a pointwise bootstrap percentile interval over searches (Efron 1981), at `LEVEL`.
    """
    until_j = np.minimum(np.asarray(energies_j, dtype=float), np.asarray(horizons_j, dtype=float))
    hit = np.isfinite(np.asarray(energies_j, dtype=float))
    at_j = np.unique(until_j[hit])
    at_risk = until_j >= at_j[:, None]  # (k, S)
    reaches = (until_j == at_j[:, None]) & hit
    once = _reached_shares(np.ones((1, len(until_j))), at_risk, reaches)[0]
    low = high = None
    if len(until_j) >= ENOUGH_SEEDS:
        rng = np.random.default_rng(seed)
        counts = rng.multinomial(len(until_j), np.full(len(until_j), 1 / len(until_j)), size=RESAMPLES)
        low, high = _ends(_reached_shares(counts.astype(float), at_risk, reaches))
    return Reached(at_j, once, low, high, float(until_j.max(initial=0.0)))


def _reached_shares(counts: Floats, at_risk: NDArray[np.bool_], reaches: NDArray[np.bool_]) -> Floats:
    """(B, k) shares that reached the target, for B weightings (B, S) of the searches."""
    under_way = counts @ at_risk.T
    with np.errstate(invalid="ignore", divide="ignore"):
        stays = np.where(under_way > 0, 1.0 - (counts @ reaches.T) / under_way, 1.0)
    return np.asarray(1.0 - np.cumprod(stays, axis=1), dtype=float)


@dataclass(frozen=True, slots=True)
class Band:
    """A median over searches, with its uncertainty.

    Attributes:
        low: (m,) lower end; NaN if a search has no value yet.
        middle: (m,) median.
        high: (m,) upper end.
        bootstrap: Whether low and high are a bootstrap interval of the median; otherwise they are the range over
            searches, because there are fewer than `ENOUGH_SEEDS`.
    """

    low: Floats
    middle: Floats
    high: Floats
    bootstrap: bool


def median_band(values: Floats, *, seed: int = 0) -> Band:
    """The median over searches at each of m energies.

    Args:
        values: (S, m), see `held`.
        seed: Seed of the resampling.
    """
    if not len(values):
        nothing = np.full(values.shape[1], np.nan)
        return Band(nothing, nothing, nothing, False)
    middle = np.median(values, axis=0)
    if len(values) < ENOUGH_SEEDS:
        return Band(values.min(axis=0), middle, values.max(axis=0), False)
    drawn = np.random.default_rng(seed).integers(0, len(values), size=(RESAMPLES, len(values)))
    low, high = np.full_like(middle, np.nan), np.full_like(middle, np.nan)
    known = np.flatnonzero(np.isfinite(middle))
    for block in np.array_split(known, max(1, len(known) // 50)):  # (RESAMPLES, S, 50) at a time
        low[block], high[block] = _ends(np.median(values[:, block][drawn], axis=1))
    return Band(low, middle, high, True)


def held(curves: Sequence[tuple[ArrayLike, ArrayLike]], at_j: ArrayLike, before: float = math.nan) -> Floats:
    """Step curves, evaluated at given energies.

    Args:
        curves: S curves: joules (k,), ascending, and the value from there on (k,). The last value continues.
        at_j: (m,) joules.
        before: The value before the first step.

    Returns:
        (S, m).
    """
    at_j = np.asarray(at_j, dtype=float)
    values = np.full((len(curves), len(at_j)), before)
    for row, (spent_j, value) in zip(values, curves, strict=True):
        index = np.searchsorted(np.asarray(spent_j, dtype=float), at_j, side="right") - 1
        row[index >= 0] = np.asarray(value, dtype=float)[index[index >= 0]]
    return values


def _ends(drawn: Floats) -> tuple[Floats, Floats]:
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return np.asarray(low, dtype=float), np.asarray(high, dtype=float)
