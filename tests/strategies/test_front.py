"""The front of a search, as the surrogate sees it."""

import math

import numpy as np
import pytest

from ecoml.pareto import front_indices
from ecoml.strategies.bayes.front import front_of
from ecoml.strategies.bayes.models.surrogate import CurveData, Surrogate, fit
from ecoml.strategies.bayes.observations import milestones, observations_of
from ecoml.testing.recorder import point
from ecoml.trial import Trial, TrialState

STEPS = 20


def trial(number, curve, step_j=1.0, state=TrialState.FINISHED):
    points = [point(k, a, k * step_j) for k, a in enumerate(curve, start=1)]
    return Trial(number, {}, state, points)


def seen(trials, x, most=240):
    """The observations, and the front in accuracies and joules."""
    observations = observations_of(trials, milestones(1.5, 100), most)
    assert observations is not None
    x = np.array([x[trial.number] for trial in observations.trials]).reshape(-1, 1)
    data = CurveData(x, np.array([0]), observations.owner, np.log(observations.step), observations.y)
    surrogate = Surrogate(fit(data), data)
    front = front_of(observations, lambda trial, step: surrogate.mean(x[trial], trial, np.log(step)))
    bent = front[:, 1] * observations.spread + observations.centre
    return np.column_stack([np.exp(front[:, 0]), observations.best + observations.unit * np.sinh(bent)])


def rising(end):
    return [end * (1 - math.exp(-k / 5)) for k in range(1, STEPS + 1)]


def test_of_exact_curves_it_is_the_measured_front():
    x = np.linspace(0, 1, 12)
    trials = [trial(i, rising(0.5 + 0.4 * v), step_j=1 + 5 * v) for i, v in enumerate(x)]
    found = seen(trials, dict(enumerate(x)))
    points = [(p.energy_j, p.score) for one in trials for p in one.curve]
    score = np.array([a for _, a in points])
    exact = np.array(sorted(points[k] for k in front_indices(score, np.log([j for j, _ in points]))))
    assert found[0] == pytest.approx(exact[0], rel=0.01)
    assert found[-1] == pytest.approx(exact[-1], rel=0.01)
    at = np.interp(np.log(exact[:, 0]), np.log(found[:, 0]), found[:, 1])
    assert np.abs(at - exact[:, 1]).max() < 0.02
    assert (np.diff(found, axis=0) > 0).all()


def test_luck_of_a_single_point_does_not_count():
    rng = np.random.default_rng(0)
    x = rng.random(30)
    curves = [np.array(rising(0.5 + 0.2 * v)) + 0.03 * rng.normal(size=STEPS) for v in x]
    curves[3][17] = lucky = 0.95
    found = seen([trial(i, curve) for i, curve in enumerate(curves)], dict(enumerate(x)))
    assert found[-1, 1] == pytest.approx(0.7, abs=0.04) != lucky


def test_failures_an_earlier_run_and_points_without_energy_are_not_on_it():
    x = {-1: 0.9, 0: 0.1, 1: 0.4, 2: 0.7}
    trials = [
        trial(-1, rising(0.9)),
        trial(0, rising(0.5)),
        trial(1, rising(0.6), step_j=2.0),
        trial(2, [], state=TrialState.FAILED),
    ]
    trials[1].curve[0] = point(1, 0.4, 0.0)
    found = seen(trials, x)
    assert found[:, 1].max() < 0.65
    assert np.isfinite(found).all()
    earlier = seen([trial(-2, rising(0.7)), trial(-1, rising(0.9), step_j=2.0)], {-2: 0.2, -1: 0.9})
    assert earlier == pytest.approx(np.array([[2.0 * STEPS, rising(0.7)[-1]]]))
