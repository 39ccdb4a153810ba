"""The surrogate of learning curves."""

import numpy as np
import pytest

from ecoml.strategy.bayes.surrogate import Observations, _loss


def test_the_gradient_of_the_surrogates_loss_is_right():
    rng = np.random.default_rng(0)
    owner = np.repeat(np.arange(8), 3)
    data = Observations(
        rng.random((8, 4)), np.array([0, 1, 1, 2]), owner, np.log(np.tile([1, 4, 9], 8)), rng.normal(size=24)
    )
    at, scales = np.zeros(10), np.ones(10)
    theta = 0.3 * rng.normal(size=10)
    gradient = _loss(theta, data, at, scales)[1]
    step = 1e-6 * np.eye(10)
    numeric = [(_loss(theta + h, data, at, scales)[0] - _loss(theta - h, data, at, scales)[0]) / 2e-6 for h in step]
    assert gradient == pytest.approx(numeric, rel=1e-4, abs=1e-5)
