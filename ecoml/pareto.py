"""Pareto fronts of two objectives: accuracy, the more the better, and energy, the less the better.

Notation: n points (accuracy, energy_j). A point dominates another if it is at least as good in both objectives and
better in one. The front holds every point that none dominates, and of exact duplicates the first.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray


def front_indices(score: ArrayLike, energy_j: ArrayLike) -> NDArray[np.intp]:
    """Indices of the points on the front, from the cheapest to the most accurate; O(n log n).

    Args:
        score: (n,) accuracies. Points with anything that is not finite are never on the front.
        energy_j: (n,) joules.

    Returns:
        (k,) indices; both objectives increase strictly along them.

    Raises:
        ValueError: The two have different shapes.
    """
    score, energy_j = np.asarray(score, dtype=float), np.asarray(energy_j, dtype=float)
    if score.shape != energy_j.shape or score.ndim != 1:
        raise ValueError(f"one accuracy and one energy a point, not {score.shape} and {energy_j.shape}")
    finite = np.flatnonzero(np.isfinite(score) & np.isfinite(energy_j))
    # Of equal energies the most accurate comes first, of duplicates the earliest: lexsort is stable.
    order = finite[np.lexsort((-score[finite], energy_j[finite]))]
    ranked = score[order]
    best_before = np.concatenate(([-np.inf], np.maximum.accumulate(ranked)[:-1])) if len(order) else ranked
    return order[ranked > best_before]


class Front:
    """A front that grows point by point; adding one costs a bisection."""

    def __init__(self) -> None:
        self._energies_j: list[float] = []  # ascending, and so are the accuracies
        self._scores: list[float] = []

    def __len__(self) -> int:
        return len(self._energies_j)

    def __iter__(self) -> Iterator[tuple[float, float]]:
        """Points (accuracy, energy_j), from the cheapest to the most accurate."""
        return zip(self._scores, self._energies_j, strict=True)

    @property
    def ends(self) -> tuple[float, float]:
        """Accuracy of the cheapest and of the most accurate point; of a front that is not empty."""
        return self._scores[0], self._scores[-1]

    def dominates(self, score: float, energy_j: float) -> bool:
        """Whether some point of the front is at least as good in both objectives (a duplicate is)."""
        position = bisect_right(self._energies_j, energy_j)
        return position > 0 and self._scores[position - 1] >= score

    def add(self, score: float, energy_j: float) -> bool:
        """Add a point; whether it is on the front now. Points it dominates leave."""
        if not (math.isfinite(score) and math.isfinite(energy_j)) or self.dominates(score, energy_j):
            return False
        start = bisect_left(self._energies_j, energy_j)
        stop = bisect_right(self._scores, score, lo=start)
        self._energies_j[start:stop] = [energy_j]
        self._scores[start:stop] = [score]
        return True


def hypervolume(points: ArrayLike, reference: tuple[float, float]) -> float:
    """Area that the points dominate, up to a reference point; exact.

    Args:
        points: (n, 2) of (accuracy, energy), n may be 0. Energy may be on any scale, e.g. its logarithm.
        reference: (accuracy, energy), the worst worth counting: points that are not better in both add nothing.

    Returns:
        Area in units of accuracy × energy, ≥ 0.
    """
    score, energy = np.asarray(points, dtype=float).reshape(-1, 2).T
    front = front_indices(score, energy)
    front = front[(score[front] > reference[0]) & (energy[front] < reference[1])]
    heights = np.diff(score[front], prepend=reference[0])
    return float(np.sum(heights * (reference[1] - energy[front])))
