"""The end of a search: doubling the energy spent is expected to improve too little.

Two forecasts must agree. The first is the improvement per joule that the surrogate promises for the best candidate, but
no more than what the last 70 % of the energy have gained where the front is nearly as good as its best: the surrogate
takes the best of many guesses, and a doubling rarely gains more than the two before it. The second uses no
surrogate, which may be too certain: the expected rise of the best score if as many further trials are like those so
far. For exponential tails, the expected maximum grows by ln 2 times their scale when the sample doubles, and the mean
excess of the best over the next estimates that scale.

On few validation images, differences within chance say nothing, and do not count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ecoml.endings import StopReason
from ecoml.metric import Metric
from ecoml.strategies.base import End
from ecoml.trial import Trial

_WORTH = 0.0005  # of the score's range, on average over the front
_WORTH_SHARE = 0.2  # of how far good trials stay behind the best, where that is less: they may all be at 99.9 %
_LEAST = 20.0  # whole trainings, of which the energy must have been spent
_TRIALS = 40  # with fewer, the best of them say too little about further ones
_EARLY = 0.3  # of the energy: later a gain is expected only if something was gained since
_TAIL = 4  # best trials, whose mean excess over the next is looked at
_WORTH_CHANCE = 0.25  # of chance, where that is more than the other two


def end_of(
    trials: Sequence[Trial],
    metric: Metric,
    front: NDArray[np.float64],
    rate: float,
    whole_j: float,
    last: float,
    unit: float,
) -> End | None:
    """The end of the search, and why; None: it continues.

    Args:
        trials: All trials of this run.
        metric: The metric of their scores.
        front: (k, 2), log energies ascending in the first column.
        rate: Hypervolume of utility and log energy per joule that the best candidate promises.
        whole_j: Mean joules of a complete training.
        last: Length of the front beyond its most expensive point, in log energy.
        unit: Distance in utility of the good trials to the best.
    """
    spent_j = sum(trial.energy_j for trial in trials)
    if len(trials) < _TRIALS or spent_j < _LEAST * whole_j:
        return None
    length = float(np.ptp(front[:, 0])) + last
    worth = _WORTH_SHARE * unit if metric.span is None else min(_WORTH * metric.span, _WORTH_SHARE * unit)
    chance = metric.chance(point.utility for trial in trials for point in trial.curve)
    worth = max(worth, _WORTH_CHANCE * chance)
    promise = spent_j * rate / length
    if promise >= worth:
        promise = min(promise, rise_of_front(trials, metric, last, chance))
    if promise < worth:
        promise = max(promise, last * rise_of_best(trials, metric.ceiling, chance) / length)
    if promise >= worth:
        return None
    return End(StopReason.NOT_WORTH_IT, {"spent_j": spent_j, "promise": promise, "worth": worth})


def rise_of_front(trials: Sequence[Trial], metric: Metric, last: float, chance: float) -> float:
    """The rise beyond chance of the measured front since 30 % of the search's energy, on average over log energy,
    where the front is now nearly as good as its best.

    Args:
        trials: All trials of this run.
        metric: The metric of their scores.
        last: Length of the front beyond its most expensive point, in log energy.
        chance: How far chance moves a utility.
    """
    points = sorted(
        (point for trial in trials for point in trial.curve if point.energy_j > 0), key=lambda p: p.energy_j
    )
    spent_j = np.array([point.spent_j for point in points])
    log_energy, utility = np.log([point.energy_j for point in points]), np.array([point.utility for point in points])
    early = spent_j <= _EARLY * spent_j.max()
    if early.all() or not early.any():  # nothing is known about the order
        return math.inf
    lengths = np.diff(np.append(log_energy, log_energy[-1] + last))
    now, then = np.maximum.accumulate(utility), np.maximum.accumulate(np.where(early, utility, -math.inf))
    nearly = now >= now[-1] - metric.tolerance(float(now[0]), float(now[-1]))
    before = np.where(then > -math.inf, then, now[0])
    rise = np.maximum(now - before - chance, 0.0)[nearly] @ lengths[nearly]
    return float(rise / lengths[nearly].sum())


def rise_of_best(trials: Sequence[Trial], ceiling: float, chance: float) -> float:
    """The expected rise of the best utility from as many further trials, if they were like these; at most up to
    `ceiling`. Of what the best four exceed the fifth by, only what is beyond chance counts.
    """
    peaks = np.sort([max(point.utility for point in trial.curve) for trial in trials if trial.curve])[::-1]
    if len(peaks) <= _TAIL:
        return math.inf
    excess = float(peaks[:_TAIL].mean() - peaks[_TAIL]) - chance
    return min(math.log(2) * max(excess, 0.0), ceiling - float(peaks[0]))
