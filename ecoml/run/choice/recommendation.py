"""Which trial of a front to use: the one with the best expected score, or a cheaper one that is nearly as good.

The best of many measurements on few images is partly chance. At its end a search computes the expected true scores
(`ecoml.strategies.bayes.front.believed`). Until then, and if one trial is clearly the best, the measured scores decide.

The space's default has been good elsewhere. It is recommended unless another trial is expected to be better by more
than the chance difference between two trainings of one configuration.
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


@dataclass(frozen=True, slots=True)
class DefaultTrial:
    """The trial of the space's default.

    Attributes:
        number: Its number.
        margin: How much better another trial has to be expected to be recommended instead, in utility.
    """

    number: int
    margin: float


def default_trial(trials: Sequence[Trial], space: Space, limits: Limits, metric: Metric) -> DefaultTrial | None:
    """The trial of the space's default; None if some parameter has none, or if it was not measured or missed the
    target.
    """
    if any(parameter.default is None for parameter in space.free.values()):
        return None
    found = next((trial for trial in trials if trial.curve and trial.config == space.default), None)
    target = limits.target
    if found is None or (target is not None and not any(metric.reaches(p.score, target) for p in found.curve)):
        return None
    chance = metric.chance(point.utility for trial in trials for point in trial.curve)
    return DefaultTrial(found.number, math.sqrt(2.0) * chance)


def near_ties(
    trials: Sequence[Trial], front: Sequence[Trial], limits: Limits, metric: Metric, default: DefaultTrial | None = None
) -> list[Trial]:
    """The trials that may truly be the best, cheapest first: those of the front, and the last points of all trainings,
    that measured as well as the best within `tolerance`; and the default's, if it measured as well within its margin.

    A training whose last measurement equals that of a cheaper one is not on the front, and is often the better one.
    """
    if not front:
        return []
    best, within = front[-1].curve[-1].utility, tolerance(front, metric)
    ties = {(trial.number, trial.step): trial for trial in front if trial.curve[-1].utility >= best - within - ROUNDING}
    left = [trial for trial in trials if trial.curve and limits.allows_j(trial.curve[-1].energy_j)]
    left = [trial for trial in left if limits.allows_use(trial.cost_of_use) and (trial.number, trial.step) not in ties]

    def last_points(of: Sequence[Trial], enough: float) -> list[Trial]:
        near = [trial for trial in of if trial.curve[-1].utility >= enough - ROUNDING]
        return sorted(near, key=lambda trial: (-trial.curve[-1].utility, -trial.step))

    more = last_points(left, best - within)[:MOST_TIES]
    if default is not None:
        more += last_points([t for t in left if t.number == default.number], best - max(within, default.margin))
    ties |= {(trial.number, trial.step): trial.at(trial.step) for trial in more}
    return sorted(ties.values(), key=lambda trial: trial.energy_j)


def recommend(
    ties: Sequence[Trial], beliefs: Beliefs | None = None, default: DefaultTrial | None = None
) -> Trial | None:
    """The near tie with the best expected utility, or the default if no other is expected to be better by more than
    its margin; None if there are no ties.
    """

    def expected(trial: Trial) -> float:
        return _utility(trial, ties, beliefs)

    best = max(ties, key=expected, default=None)
    if best is None or default is None:
        return best
    own = max((trial for trial in ties if trial.number == default.number), key=expected, default=best)
    return best if expected(best) - expected(own) > default.margin + ROUNDING else own


def frugal(
    ties: Sequence[Trial], within: float, beliefs: Beliefs | None = None, default: DefaultTrial | None = None
) -> Trial | None:
    """The cheapest near tie that is at most `within` worse than the recommended one; None if there are none."""
    best = recommend(ties, beliefs, default)
    if best is None:
        return None
    enough = _utility(best, ties, beliefs) - within - ROUNDING
    return next(trial for trial in ties if _utility(trial, ties, beliefs) >= enough)


def _utility(trial: Trial, ties: Sequence[Trial], beliefs: Beliefs | None) -> float:
    """The expected utility of a trial, or the measured one if some near ties have no expected utility."""
    if beliefs and all((tie.number, tie.step) in beliefs for tie in ties):
        return beliefs[trial.number, trial.step]
    return trial.curve[-1].utility
