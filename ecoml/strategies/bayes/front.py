"""The front of a search by now, as the surrogate sees it: what a candidate has to beat."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ecoml.pareto import front_indices
from ecoml.strategies.bayes.observations import Observations

if TYPE_CHECKING:
    from ecoml.strategies.bayes.surrogate import Surrogate

Array = NDArray[np.float64]


def front_of(observations: Observations, x: Array, surrogate: Surrogate) -> Array:
    """Log energies and scaled utilities of the front of this run's points, both ascending.

    The utilities are the surrogate's, without what is chance from point to point: the best of many measurements has
    luck on its side, and beside it others would look worth less than they are. Looked at are the points that are
    observed and those on the measured front. As long as this run has none, the worst utility and the dearest training
    of the earlier run stand for its front.

    Args:
        observations: What is known.
        x: Features of its trials (m, D).
        surrogate: Conditioned on it.
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
    score, log_energy = surrogate.mean(x[owner], owner, np.log(step)), log_energy[kept]
    front = front_indices(score, log_energy)
    front = front[np.argsort(log_energy[front], kind="stable")]
    return np.column_stack([log_energy[front], score[front]])
