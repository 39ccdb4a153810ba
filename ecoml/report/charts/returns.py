"""The gain of each further joule of a search, and the energy from which it was less than the average.

Notation
    (s_i, u_i)  joules spent by the search, and best utility so far, at each improvement and at the end
    hull        upper concave hull of these points. Along it the gain per joule falls from stretch to stretch.

The *point of diminishing returns* is where this gain first falls below the average of the entire search. It is also the
point of the hull that lies farthest above the straight line from the first measurement to the end: the "knee" of
Satopää et al. (2011) without its smoothing and its sensitivity parameter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ecoml.report.charts.records import improvements
from ecoml.run.result import Result


@dataclass(frozen=True, slots=True)
class Stretch:
    """One line of the hull.

    Attributes:
        from_j: Joules spent at its start.
        to_j: Joules spent at its end.
        from_utility: Best utility at its start.
        to_utility: Best utility at its end.
    """

    from_j: float
    to_j: float
    from_utility: float
    to_utility: float

    @property
    def gain_per_j(self) -> float:
        """Utility gained per joule."""
        return (self.to_utility - self.from_utility) / (self.to_j - self.from_j)


def stretches(steps: Sequence[tuple[float, float]], end_j: float) -> list[Stretch]:
    """The lines of the hull, from the first measurement to the end of the search.

    Args:
        steps: (joules spent, best utility so far) at each improvement, in order.
        end_j: Joules that the entire search spent, at least the last of `steps`.
    """
    if not steps:
        return []
    hull: list[tuple[float, float]] = []
    for point in [*steps, (end_j, steps[-1][1])]:
        if hull and point[0] <= hull[-1][0]:
            if point[1] <= hull[-1][1]:
                continue
            hull.pop()
        while len(hull) > 1 and _rises(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    return [Stretch(a[0], b[0], a[1], b[1]) for a, b in pairwise(hull)]


def stretches_of(result: Result) -> list[Stretch]:
    """The lines of a search's hull."""
    steps = [(entry.point.spent_j, entry.point.utility) for entry in improvements(result)]
    return stretches(steps, result.energy.total_j)


def diminishing_from(pieces: Sequence[Stretch]) -> Stretch | None:
    """The first stretch that gains less per joule than the entire search; None if the search gained nothing, or gained
    evenly to its end.
    """
    if not pieces or pieces[-1].to_utility <= pieces[0].from_utility:
        return None
    whole = overall(pieces)
    return next((piece for piece in pieces if piece.gain_per_j < whole.gain_per_j * (1 - 1e-9)), None)


def overall(pieces: Sequence[Stretch]) -> Stretch:
    """One stretch from the start of the first to the end of the last."""
    return Stretch(pieces[0].from_j, pieces[-1].to_j, pieces[0].from_utility, pieces[-1].to_utility)


def _rises(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    """Whether b lies on or below the line from a to c."""
    return (b[1] - a[1]) * (c[0] - a[0]) <= (c[1] - a[1]) * (b[0] - a[0])
