"""Which trial of a front to use: the one with the best expected score, or a cheaper one that is nearly as good.

The best of many measurements on few images is partly chance. At its end a search computes the expected true scores
(`ecoml.strategies.bayes.front.believed`). Until then, and if one trial is clearly the best, the measured scores decide.

The space's default has been good elsewhere. It is recommended unless the best expected score is higher by more than
two trainings of one configuration differ by chance, or took half of its energy at most.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ecoml.limits import Limits
from ecoml.metric import Metric
from ecoml.space import Space
from ecoml.trial import Trial

ROUNDING = 1e-12
"""Utilities that differ by at most this are equal."""

FAR_CHEAPER = 0.5
"""A trial with at most this share of the default's energy is recommended even if it is better by chance only."""

MOST_TIES = 8
"""Largest number of trainings outside the front that are considered."""

Beliefs = Mapping[tuple[int, int], float]
"""Expected true utility, by a trial's number and the step of its curve."""


def beliefs_of(kept: Sequence[tuple[int, int, float]]) -> dict[tuple[int, int], float]:
    """The mapping from rows (number, step, utility), as the ledger stores them."""
    return {(number, step): utility for number, step, utility in kept}


def tolerance(front: Sequence[Trial], metric: Metric) -> float:
    """How much worse than the best of the front a score may be and still be nearly as good."""
    utilities = [trial.curve[-1].utility for trial in front] or [0.0]
    return metric.tolerance(min(utilities), max(utilities))


def near_ties(trials: Sequence[Trial], front: Sequence[Trial], limits: Limits, metric: Metric) -> list[Trial]:
    """The trials that may truly be the best, cheapest first: those of the front, and the last points of all trainings,
    that measured as well as the best within `tolerance`.

    A training whose last measurement equals that of a cheaper one is not on the front, and is often the better one.
    """
    if not front:
        return []
    enough = front[-1].curve[-1].utility - tolerance(front, metric) - ROUNDING
    ties = {(trial.number, trial.step): trial for trial in front if trial.curve[-1].utility >= enough}
    left = [trial for trial in trials if trial.curve and limits.allows_j(trial.curve[-1].energy_j)]
    left = [trial for trial in left if limits.allows_use(trial.cost_of_use)]
    left = [trial for trial in left if trial.curve[-1].utility >= enough and (trial.number, trial.step) not in ties]
    left.sort(key=lambda trial: (-trial.curve[-1].utility, -trial.step))
    ties |= {(trial.number, trial.step): trial.at(trial.step) for trial in left[:MOST_TIES]}
    return sorted(ties.values(), key=lambda trial: trial.energy_j)


@dataclass(frozen=True, slots=True)
class Usual:
    """The trial of the space's default.

    Attributes:
        number: Its number.
        margin: How much better another trial has to be expected to be recommended instead, in utility.
    """

    number: int
    margin: float


def usual_of(trials: Sequence[Trial], space: Space, metric: Metric) -> Usual | None:
    """The trial of the space's default; None if it has none, or did not train it."""
    default = space.default
    number = next((trial.number for trial in trials if default is not None and trial.config == default), None)
    if number is None:
        return None
    chance = metric.chance(point.utility for trial in trials for point in trial.curve)
    return Usual(number, math.sqrt(2.0) * chance)


def recommend(ties: Sequence[Trial], beliefs: Beliefs | None = None, usual: Usual | None = None) -> Trial | None:
    """The near tie with the best expected utility, or the default if that is neither better by more than its margin
    nor far cheaper; None if there are no ties.
    """
    best = max(ties, key=lambda trial: _utility(trial, ties, beliefs), default=None)
    if best is None or usual is None:
        return best
    default = recommend([trial for trial in ties if trial.number == usual.number], beliefs)
    if default is None:
        return best
    gain = _utility(best, ties, beliefs) - _utility(default, ties, beliefs)
    clearly = gain > usual.margin + ROUNDING or best.energy_j <= FAR_CHEAPER * default.energy_j
    return best if clearly else default


def frugal(
    ties: Sequence[Trial], within: float, beliefs: Beliefs | None = None, usual: Usual | None = None
) -> Trial | None:
    """The cheapest near tie that is at most `within` worse than the recommended one; None if there are none."""
    best = recommend(ties, beliefs, usual)
    if best is None:
        return None
    enough = _utility(best, ties, beliefs) - within - ROUNDING
    return next(trial for trial in ties if _utility(trial, ties, beliefs) >= enough)


def _utility(trial: Trial, ties: Sequence[Trial], beliefs: Beliefs | None) -> float:
    """The expected utility of a trial, or the measured one if some near ties have no expected utility."""
    if beliefs and all((tie.number, tie.step) in beliefs for tie in ties):
        return beliefs[trial.number, trial.step]
    return trial.curve[-1].utility
