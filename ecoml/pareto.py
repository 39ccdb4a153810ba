"""Pareto fronts of two objectives: the score (more is better) and the energy (less is better).

Notation: n points (score, energy_j). A point dominates another if it is at least as good in both objectives and better
in one. The front holds all points that no other point dominates, and the first of exact duplicates.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray


def front_indices(score: ArrayLike, energy_j: ArrayLike) -> NDArray[np.intp]:
    """Indices of the points on the front, from the cheapest to the best; O(n log n).

    Args:
        score: (n,) scores. A point with a value that is not finite is never on the front.
        energy_j: (n,) joules.

    Returns:
        (k,) indices; both objectives increase strictly along them.

    Raises:
        ValueError: The two have different shapes.
    """
    score, energy_j = np.asarray(score, dtype=float), np.asarray(energy_j, dtype=float)
    if score.shape != energy_j.shape or score.ndim != 1:
        raise ValueError(
            f"each point needs one score and one energy, but the shapes are {score.shape} and {energy_j.shape}"
        )
    finite = np.flatnonzero(np.isfinite(score) & np.isfinite(energy_j))
    # Of equal energies the most accurate comes first, of duplicates the earliest: lexsort is stable.
    order = finite[np.lexsort((-score[finite], energy_j[finite]))]
    ranked = score[order]
    best_before = np.concatenate(([-np.inf], np.maximum.accumulate(ranked)[:-1])) if len(order) else ranked
    return order[ranked > best_before]


class Front:
    """A front to which points are added one by one; each addition costs a bisection."""

    def __init__(self) -> None:
        self._energies_j: list[float] = []  # ascending, and so are the accuracies
        self._scores: list[float] = []

    def __len__(self) -> int:
        return len(self._energies_j)

    def __iter__(self) -> Iterator[tuple[float, float]]:
        """The points (score, energy_j), from the cheapest to the best."""
        return zip(self._scores, self._energies_j, strict=True)

    @property
    def ends(self) -> tuple[float, float]:
        """The scores of the cheapest and of the best point; the front must not be empty."""
        return self._scores[0], self._scores[-1]

    def dominates(self, score: float, energy_j: float) -> bool:
        """Whether a point of the front is at least as good in both objectives (a duplicate is)."""
        position = bisect_right(self._energies_j, energy_j)
        return position > 0 and self._scores[position - 1] >= score

    def add(self, score: float, energy_j: float) -> bool:
        """Add a point, and remove the points that it dominates. Returns whether it is on the front."""
        if not (math.isfinite(score) and math.isfinite(energy_j)) or self.dominates(score, energy_j):
            return False
        start = bisect_left(self._energies_j, energy_j)
        stop = bisect_right(self._scores, score, lo=start)
        self._energies_j[start:stop] = [energy_j]
        self._scores[start:stop] = [score]
        return True


def hypervolume(points: ArrayLike, reference: tuple[float, float]) -> float:
    """The area that the points dominate, up to a reference point; exact.

    Args:
        points: (n, 2) of (score, energy); n may be 0. The energy may be on any scale, e.g. its logarithm.
        reference: (score, energy). A point that is not better than this in both adds nothing.

    Returns:
        Area in units of score × energy, ≥ 0.
    """
    score, energy = np.asarray(points, dtype=float).reshape(-1, 2).T
    front = front_indices(score, energy)
    front = front[(score[front] > reference[0]) & (energy[front] < reference[1])]
    heights = np.diff(score[front], prepend=reference[0])
    return float(np.sum(heights * (reference[1] - energy[front])))
