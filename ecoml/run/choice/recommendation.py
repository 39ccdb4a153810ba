"""Which trial of a front to take: the best by what the search believes, or a cheaper one that is nearly as good.

The best of many measurements on few images has luck on its side. At its end a search says what it believes of the true
scores (`ecoml.strategies.bayes.front.believed`); until then, and where one trial is clearly the best, what was measured
counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ecoml.limits import Limits
from ecoml.metric import Metric
from ecoml.trial import Trial

WITHIN = 0.01
"""The frugal trial is the cheapest that is at most this share of the score's range worse than the recommended one."""


ROUNDING = 1e-12
"""Utilities that differ by no more are the same."""

MOST_TIES = 8
"""Trainings at most that are chosen from beside the front."""

Beliefs = Mapping[tuple[int, int], float]
"""Utility that is believed to be the true one, by a trial's number and the step of its curve."""


def beliefs_of(kept: Sequence[tuple[int, int, float]]) -> dict[tuple[int, int], float]:
    """From rows (number, step, utility), as the ledger keeps them."""
    return {(number, step): utility for number, step, utility in kept}


def tolerance(front: Sequence[Trial], metric: Metric) -> float:
    """How much worse than the best a score may be and still be nearly as good: `WITHIN` of the metric's range.

    Without bounds the range is that of the front.
    """
    utilities = [trial.curve[-1].utility for trial in front] or [0.0]
    return tolerance_of(min(utilities), max(utilities), metric)


def tolerance_of(lowest: float, best: float, metric: Metric) -> float:
    """As `tolerance`, of a front whose utilities lie between these."""
    return WITHIN * (best - lowest if metric.span is None else metric.span)


def near_ties(trials: Sequence[Trial], front: Sequence[Trial], limits: Limits, metric: Metric) -> list[Trial]:
    """Those that may be the best in truth, cheapest first: of the front, and of all trainings where they were left,
    those that measured as well as the best, to `tolerance`.

    A training that ends where it measured what a cheaper one did is on no front, and is often the better one.
    """
    if not front:
        return []
    enough = front[-1].curve[-1].utility - tolerance(front, metric) - ROUNDING
    ties = {(trial.number, trial.step): trial for trial in front if trial.curve[-1].utility >= enough}
    left = [trial for trial in trials if trial.curve and limits.allows_j(trial.curve[-1].energy_j)]
    left = [trial for trial in left if trial.curve[-1].utility >= enough and (trial.number, trial.step) not in ties]
    left.sort(key=lambda trial: (-trial.curve[-1].utility, -trial.step))
    ties |= {(trial.number, trial.step): trial.at(trial.step) for trial in left[:MOST_TIES]}
    return sorted(ties.values(), key=lambda trial: trial.energy_j)


def recommend(ties: Sequence[Trial], beliefs: Beliefs | None = None) -> Trial | None:
    """Of near ties the one that is believed to be the best; None where there are none."""
    return max(ties, key=lambda trial: _utility(trial, ties, beliefs), default=None)


def frugal(ties: Sequence[Trial], within: float, beliefs: Beliefs | None = None) -> Trial | None:
    """The cheapest of near ties that is at most so much worse than the recommended one; None where there are none."""
    best = recommend(ties, beliefs)
    if best is None:
        return None
    enough = _utility(best, ties, beliefs) - within - ROUNDING
    return next(trial for trial in ties if _utility(trial, ties, beliefs) >= enough)


def _utility(trial: Trial, ties: Sequence[Trial], beliefs: Beliefs | None) -> float:
    """What is believed of a trial, or what it measured where nothing is believed of some of those to choose from."""
    if beliefs and all((tie.number, tie.step) in beliefs for tie in ties):
        return beliefs[trial.number, trial.step]
    return trial.curve[-1].utility
