"""The end of a search: doubling the energy spent is expected to improve too little.

Two forecasts must agree. The first is the improvement per joule that the surrogate promises for the best candidate, but
no more than what the last three quarters of the energy have gained: the surrogate takes the best of many guesses, and a
doubling rarely gains more than the two before it. The second uses no surrogate, which may be too certain: the expected
rise of the best score if as many further trials are like those so far. For exponential tails, the expected maximum
grows by ln 2 times their scale when the sample doubles, and the mean excess of the best over the next estimates that
scale.
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
_EARLY = 0.25  # of the energy: later a gain is expected only if something was gained since
_TAIL = 4  # best trials, whose mean excess over the next is looked at


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
    if spent_j < _LEAST * whole_j:
        return None
    length = float(np.ptp(front[:, 0])) + last
    worth = _WORTH_SHARE * unit if metric.span is None else min(_WORTH * metric.span, _WORTH_SHARE * unit)
    promise = spent_j * rate / length
    if promise >= worth:
        promise = min(promise, rise_of_front(trials, last))
    if promise < worth:  # else there is no need to look at all points
        promise = max(promise, last * rise_of_best(trials, metric.ceiling) / length)
    if promise >= worth:
        return None
    return End(StopReason.NOT_WORTH_IT, {"spent_j": spent_j, "promise": promise, "worth": worth})


def rise_of_front(trials: Sequence[Trial], last: float) -> float:
    """The rise of the measured front since a quarter of the search's energy, on average over log energy.

    On n images a rise by one image is chance: only what exceeds the smallest difference of two scores counts.

    Args:
        trials: All trials of this run.
        last: Length of the front beyond its most expensive point, in log energy.
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
    known = then > -math.inf
    rise = np.maximum(now - then - _resolution(trials), 0.0)[known] @ lengths[known]
    return float(rise / lengths[known].sum())


def _resolution(trials: Sequence[Trial]) -> float:
    """The smallest difference of two utilities: that of one image, where accuracies are measured."""
    values = np.unique([point.utility for trial in trials for point in trial.curve])
    return float(np.diff(values).min()) if len(values) > 1 else 0.0


def rise_of_best(trials: Sequence[Trial], ceiling: float = 1.0) -> float:
    """The expected rise of the best utility from as many further trials, if they were like these; at most up to
    `ceiling`.

    On n images accuracies are multiples of 1/n, and several trials may be equally good. Their differences on more
    images are unknown: they are spread evenly over that step.
    """
    peaks = np.sort([max(point.utility for point in trial.curve) for trial in trials if trial.curve])[::-1]
    if len(peaks) <= _TAIL:
        return math.inf
    _, first, equal = np.unique(-peaks, return_index=True, return_counts=True)
    rank = np.arange(len(peaks)) - np.repeat(first, equal)
    spread = peaks + _resolution(trials) * (0.5 - (rank + 0.5) / np.repeat(equal, equal))
    return min(math.log(2) * float(spread[:_TAIL].mean() - spread[_TAIL]), ceiling - float(peaks[0]))
