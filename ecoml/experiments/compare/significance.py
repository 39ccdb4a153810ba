"""Whether a difference is significant: paired, and over problems. Friedman's test is scipy's.

Notation
    E, H: energies to target and horizons, as in `statistics`; a miss is censored at its horizon.
    S seeds, N problems, k strategies.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ecoml.report.statistics import Floats

SIGNIFICANT = 0.05
"""Significance level of p-values."""


def log_ratios(
    reference_j: ArrayLike, strategy_j: ArrayLike, reference_h_j: ArrayLike, strategy_h_j: ArrayLike
) -> Floats:
    """log(E of the reference / E of the strategy), elementwise: above 0 the strategy needed less.

    A miss counts at its horizon, so the difference to it is a lower bound. 0.0 if the comparison is undecided: both
    missed, or one missed before the other reached the target.
    """
    reference, strategy = np.asarray(reference_j, dtype=float), np.asarray(strategy_j, dtype=float)
    known_r, known_s = np.minimum(reference, reference_h_j), np.minimum(strategy, strategy_h_j)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.log(known_r) - np.log(known_s)
    return np.asarray(np.where(_signs(reference, strategy, known_r, known_s) == 0, 0.0, ratios), dtype=float)


def _signs(reference: Floats, strategy: Floats, known_r: Floats, known_s: Floats) -> Floats:
    """1 if the strategy needed less, −1 if the reference did, 0 if it is undecided."""
    miss_r, miss_s = np.isinf(reference), np.isinf(strategy)
    undecided = (miss_r & miss_s) | (miss_r & (known_r < known_s)) | (miss_s & (known_s < known_r))
    # A miss at the very energy of the other's hit lies above it.
    signs = np.where(known_r == known_s, miss_r.astype(float) - miss_s, np.sign(known_r - known_s))
    return np.asarray(np.where(undecided, 0.0, signs), dtype=float)


def signed_rank_p(differences: ArrayLike) -> float:
    """Two-sided p-value of the paired signed-rank test (Wilcoxon 1945), exact for any number of pairs, with or without
    ties.

    Pairs without a difference keep their place in the ranking, half of it on either side (`zsplit`). scipy is exact
    only without ties and zeros, which misses cause; here the sums of ranks over all 2^n signs are counted.
    """
    from scipy.stats import rankdata

    differences = np.asarray(differences, dtype=float)
    nonzero = differences != 0
    doubled = np.rint(2 * rankdata(np.abs(differences))).astype(int)[nonzero]  # ties have halves
    counts = np.ones(1)
    for rank in doubled:
        counts = np.concatenate((counts, np.zeros(rank))) / 2
        counts[rank:] += counts[:-rank].copy()
    sums = np.arange(len(counts))
    observed = doubled[differences[nonzero] > 0].sum()
    extreme = np.abs(2 * sums - doubled.sum()) >= abs(2 * observed - doubled.sum())
    return float(min(1.0, counts[extreme].sum()))


def least_p(seeds: int, comparisons: int = 1) -> float:
    """The smallest p-value that this many pairs can give, after Holm's adjustment for this many comparisons."""
    return min(1.0, comparisons * 2.0 ** (1 - seeds))


def seeds_needed(comparisons: int = 1) -> int:
    """The number of paired seeds from which a difference in the same direction for every seed is significant."""
    return next(seeds for seeds in range(2, 64) if least_p(seeds, comparisons) < SIGNIFICANT)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for their number (Holm 1979), in the given order."""
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def a12(
    reference_j: Sequence[float],
    strategy_j: Sequence[float],
    reference_h_j: Sequence[float],
    strategy_h_j: Sequence[float],
) -> float:
    """Probability that the strategy needs less than the reference, for two searches drawn at random.

    Vargha and Delaney (2000): 0.5 is no difference, 1.0 is always less. Undecided comparisons count half.
    """
    reference, strategy = np.asarray(reference_j)[:, None], np.asarray(strategy_j)[None, :]
    known_r = np.minimum(reference, np.asarray(reference_h_j)[:, None])
    known_s = np.minimum(strategy, np.asarray(strategy_h_j)[None, :])
    return float(np.mean((_signs(reference, strategy, known_r, known_s) + 1) / 2))


@dataclass(frozen=True, slots=True)
class Ranks:
    """Strategies ranked over problems by their energy to target (Friedman 1937, Nemenyi 1963, Demšar 2006).

    Attributes:
        strategies: k names, the best mean rank first.
        mean_ranks: (k,) mean rank over problems, 1 is best; ties share their ranks.
        problems: N.
        p: p-value of Friedman's test of the hypothesis that all strategies rank alike.
        critical_difference: Two mean ranks further apart than this differ significantly, by Nemenyi's test.
        pairwise_p: (k, k) Nemenyi p-values.
    """

    strategies: tuple[str, ...]
    mean_ranks: tuple[float, ...]
    problems: int
    p: float
    critical_difference: float
    pairwise_p: tuple[tuple[float, ...], ...]


def rank_over_problems(strategies: Sequence[str], energies_j: ArrayLike) -> Ranks | None:
    """Friedman's test with Nemenyi's post-hoc test.

    Args:
        strategies: k names.
        energies_j: (N, k) median energies to target, inf for a miss: it ranks behind every hit, and ties with other
            misses.

    Returns:
        None for fewer than three strategies or two problems, for which the test does not exist.
    """
    from scipy.stats import friedmanchisquare, rankdata, studentized_range

    energies_j = np.asarray(energies_j, dtype=float)
    if energies_j.ndim != 2 or energies_j.shape[0] < 2 or energies_j.shape[1] < 3:
        return None
    problems, count = energies_j.shape
    ranks = rankdata(energies_j, axis=1)
    p = 1.0 if np.ptp(ranks) == 0 else float(friedmanchisquare(*ranks.T).pvalue)
    order = np.argsort(ranks.mean(axis=0), kind="stable")
    means = ranks.mean(axis=0)[order]
    # The range of k mean ranks in units of their standard error, times √2, is studentised with infinite degrees.
    error = math.sqrt(count * (count + 1) / (6 * problems))
    apart = np.abs(means[:, None] - means[None, :]) / error * math.sqrt(2)
    pairwise = studentized_range.sf(apart, count, np.inf)
    return Ranks(
        strategies=tuple(strategies[index] for index in order),
        mean_ranks=tuple(means.tolist()),
        problems=problems,
        p=p,
        critical_difference=float(studentized_range.isf(SIGNIFICANT, count, np.inf)) / math.sqrt(2) * error,
        pairwise_p=tuple(tuple(row) for row in pairwise.tolist()),
    )
