"""The surrogate of learning curves."""

import numpy as np
import pytest

from ecoml.strategies.bayes.models.surrogate import CurveData, Surrogate, _loss, fit


def test_the_gradient_of_the_surrogates_loss_is_right():
    rng = np.random.default_rng(0)
    owner = np.repeat(np.arange(8), 3)
    data = CurveData(
        rng.random((8, 4)), np.array([0, 1, 1, 2]), owner, np.log(np.tile([1, 4, 9], 8)), rng.normal(size=24)
    )
    at, scales = np.zeros(10), np.ones(10)
    theta = 0.3 * rng.normal(size=10)
    gradient = _loss(theta, data, at, scales)[1]
    step = 1e-6 * np.eye(10)
    numeric = [(_loss(theta + h, data, at, scales)[0] - _loss(theta - h, data, at, scales)[0]) / 2e-6 for h in step]
    assert gradient == pytest.approx(numeric, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.3])
def test_the_noise_of_curves_is_learnt_and_smoothed_away(noise):
    """Whether accuracies come from a table or from a few validation images is not known beforehand."""
    rng = np.random.default_rng(1)
    x = rng.random((24, 2))
    owner, tau = np.repeat(np.arange(24), 3), np.log(np.tile([2.0, 6.0, 18.0], 24))
    exact = np.sin(4.0 * x[owner, 0]) + x[owner, 1] + 0.3 * tau
    exact = (exact - exact.mean()) / exact.std()
    y = exact + noise * rng.normal(size=len(exact))
    data = CurveData(x, np.array([0, 1]), owner, tau, y)
    hyperparameters = fit(data)
    surrogate = Surrogate(hyperparameters, data)
    mean = surrogate.mean(x[owner], owner, tau)
    learnt = np.exp(0.5 * hyperparameters[-1])
    if noise:
        assert 0.7 * noise < learnt < 1.3 * noise
        assert np.abs(mean - exact).mean() < 0.7 * np.abs(y - exact).mean()
    else:
        assert learnt < 0.02
        assert np.abs(mean - exact).max() < 0.02
