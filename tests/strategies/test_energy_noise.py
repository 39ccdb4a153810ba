"""Joules that are known less well than others count less, and what is wrong with all of them alike does not."""

import numpy as np
import pytest

from ecoml.energy import Provenance
from ecoml.space import Float, Space
from ecoml.strategies.base import Start
from ecoml.strategies.bayes.models.energy import EnergyModel
from ecoml.strategies.botorch import Nehvi
from ecoml.strategies.botorch.objectives import objectives_of
from ecoml.strategies.energy_noise import log_energy_variance
from ecoml.testing.recorder import point
from ecoml.trial import Trial, TrialState


def trial(number, width, x=0.5, energy_j=100.0):
    curve = [point(1, 0.5 + 0.1 * number, energy_j, width * energy_j, Provenance.MEASURED)]
    return Trial(number, {"x": x}, TrialState.FINISHED, curve)


def test_an_error_that_all_share_is_no_noise():
    assert log_energy_variance([trial(0, 1.0), trial(1, 1.0)]).tolist() == [0.0, 0.0]
    assert log_energy_variance([trial(0, 0.05), trial(1, 0.25)]) == pytest.approx([0.0, 0.04])


def test_a_point_known_less_well_pulls_the_prediction_less():
    x = np.linspace(0.0, 1.0, 9)[:, None]
    step_j = np.exp(2.0 + x[:, 0])
    true_j = step_j[4]
    step_j[4] *= 10.0
    variance = np.zeros(9)
    off = []
    for doubt in (0.0, 0.3, 3.0):
        variance[4] = doubt**2
        off.append(abs(float(np.log(EnergyModel(x, step_j, variance).step_j(x[4:5])[0] / true_j))))
    assert off[0] > 2 * off[1] > 4 * off[2]
    assert off[2] < 0.1


def test_without_doubt_the_model_of_energy_is_the_plain_one():
    rng = np.random.default_rng(0)
    x, step_j = rng.random((12, 3)), np.exp(rng.random(12))
    alike = log_energy_variance([trial(number, 1.0) for number in range(12)])
    assert EnergyModel(x, step_j, alike).step_j(x).tolist() == EnergyModel(x, step_j, np.zeros(12)).step_j(x).tolist()


def test_botorchs_model_hears_of_the_doubt():
    from ecoml.strategies.botorch.surrogate import fit
    from ecoml.strategies.quiet import thinking

    xs = np.linspace(0.0, 1.0, 9)
    trials = [trial(i, 0.02, x, 100.0 * np.exp(x)) for i, x in enumerate(xs)]
    trials[4] = trial(4, 3.0, xs[4], 1000.0 * np.exp(xs[4]))
    known = objectives_of(trials, 4)
    assert known is not None
    assert known.variance[:, 0].tolist() == [0.0] * 9
    assert known.variance[4, 1] > 0.0 == known.variance[3, 1]
    with thinking(0):
        told, untold = (
            fit(xs[:, None], known.y, variance).posterior(_tensor(xs[4:5, None])).mean[0, 1].item()
            for variance in (known.variance, np.zeros_like(known.variance))
        )
    between = (known.y[3, 1] + known.y[5, 1]) / 2
    assert abs(told - between) < 0.5 * abs(untold - between)


def test_a_search_with_doubts_goes_on_proposing():
    strategy = Nehvi(Space({"x": Float(0.0, 1.0)}), 0, 2)
    for number in range(5):
        decision = strategy.ask()
        assert isinstance(decision, Start)
        strategy.tell(trial(number, 0.1 * number, decision.config["x"]))


def _tensor(x):
    import torch

    return torch.from_numpy(np.ascontiguousarray(x))
