"""The front of a search by the surrogate: the points that a candidate must beat, and the best of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ecoml.metric import Metric
from ecoml.pareto import front_indices
from ecoml.space import Space
from ecoml.strategies.bayes.features import Features
from ecoml.strategies.bayes.observations import Observations, duplicates, milestones, observations_of
from ecoml.trial import Trial

Array = NDArray[np.float64]


def front_of(observations: Observations, mean: Callable[[NDArray[np.intp], Array], Array]) -> Array:
    """Log energies and scaled utilities of the front of this run's points, both ascending.

    The utilities are the surrogate's, without noise from point to point: the best of many measurements is partly
    chance, and would make other candidates look worse than they are. The observed points and those of the measured
    front are used. While this run has none, the worst utility and the largest energy of the earlier run are used.

    Args:
        observations: The observations.
        mean: Returns the surrogate's utilities (q,) of trials with these indices (q,) at these steps (q,).
    """
    measured = observations.measured
    own = [
        (i, point)
        for i, trial in enumerate(measured)
        if trial.number >= 0
        for point in trial.curve
        if point.energy_j > 0
    ]
    if not own:
        ends = [trial.curve[-1] for trial in measured]
        dearest_j, worst = max(point.energy_j for point in ends), min(point.utility for point in ends)
        return np.array([[math.log(dearest_j), observations.scaled(worst)]])
    log_energy = np.log([point.energy_j for _, point in own])
    on_front = set(front_indices(np.array([point.utility for _, point in own]), log_energy).tolist())
    observed = set(zip(observations.owner.tolist(), observations.step.tolist(), strict=True))
    kept = [k for k, (i, point) in enumerate(own) if k in on_front or (i, point.step) in observed]
    owner, step = np.array([(own[k][0], own[k][1].step) for k in kept]).T
    score, log_energy = mean(owner, step), log_energy[kept]
    front = front_indices(score, log_energy)
    front = front[np.argsort(log_energy[front], kind="stable")]
    return np.column_stack([log_energy[front], score[front]])


_LEARNT_FROM = 72  # points at most that the hyperparameters are fitted to
_OBSERVATIONS = 240  # points at most that the surrogate is conditioned on


def believed(space: Space, trials: Sequence[Trial], front: Sequence[Trial], metric: Metric) -> list[float]:
    """The utilities of points of a front without noise: the surrogate's posterior means.

    The best of many measurements is partly chance; here the rest of its curve and similar trainings count, too.

    Args:
        space: The space that was searched.
        trials: All trials of the search.
        front: Trials, each up to a point of its curve.
        metric: The metric of the scores.
    """
    from ecoml.strategies.bayes.models.surrogate import CurveData, Surrogate, fit

    features = Features(space)

    def encoded(of: Sequence[Trial]) -> Array:
        return np.array([space.encode(trial.config) for trial in of]).reshape(len(of), space.dimension)

    repeats, _ = duplicates(trials, encoded(trials))
    distinct = [trial for trial in trials if trial.number not in repeats]

    def observed(factor: float, most: int) -> tuple[Observations, CurveData]:
        found = observations_of(distinct, milestones(factor, 10_000), most, metric.span)
        assert found is not None, "a front was measured"
        x = features([trial.config for trial in found.trials], encoded(found.trials))
        return found, CurveData(x, features.groups, found.owner, np.log(found.step), found.y)

    known, data = observed(1.1, _OBSERVATIONS)
    surrogate = Surrogate(fit(observed(1.5, _LEARNT_FROM)[1]), data)
    numbers = [trial.number for trial in known.trials]
    owner = np.array([numbers.index(trial.number) if trial.number in numbers else -1 for trial in front])
    x = features([trial.config for trial in front], encoded(front))
    bent = surrogate.mean(x, owner, np.log([trial.step for trial in front])) * known.spread + known.centre
    return [min(float(utility), metric.ceiling) for utility in known.best + known.unit * np.sinh(bent)]
