"""Hypervolume of what a search has found, against what it has spent.

    Notation
        a   validation accuracy in [0, 1]
        e   log of a training's energy in joules
        r   reference point (0, log high_j), the worst worth counting
        i   ideal point (1, log low_j)

The hypervolume is the area that the front dominates up to r, as a share of the rectangle between r and i. Both points
are the same for every search on a problem: `low_j` and `high_j` are the cheapest and the dearest point of any curve.
Its logarithmic axis makes halving a training's energy worth the same anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from ecoml.pareto import Front, hypervolume
from ecoml.run.snapshot import Progress


@dataclass(frozen=True, slots=True)
class Frame:
    """The rectangle in which hypervolume is counted.

    Attributes:
        low_j: Energy of the ideal point, at accuracy 1.
        high_j: Energy of the reference point, at accuracy 0.
    """

    low_j: float
    high_j: float

    @classmethod
    def around(cls, progress: Iterable[Progress]) -> Frame | None:
        """The frame of all measurements on a problem; None if they do not span one."""
        energies_j = [entry.energy_j for entry in progress if _usable(entry)]
        if not energies_j or min(energies_j) == max(energies_j):
            return None
        return cls(min(energies_j), max(energies_j))

    def course(self, progress: Iterable[Progress]) -> tuple[list[float], list[float]]:
        """Hypervolume of a search as steps: joules that the search had spent, and the share from there on."""
        front = Front()
        low, high = math.log(self.low_j), math.log(self.high_j)
        spent_j, shares = [], []
        for entry in progress:
            if _usable(entry) and front.add(entry.score, math.log(entry.energy_j)):
                spent_j.append(entry.spent_j)
                shares.append(hypervolume(list(front), (0.0, high)) / (high - low))
        return spent_j, shares


def _usable(entry: Progress) -> bool:
    return math.isfinite(entry.score) and math.isfinite(entry.energy_j) and entry.energy_j > 0
