"""The energy model where hosts of several classes made the observations."""

from __future__ import annotations

import numpy as np
import pytest

from ecoml.strategies.bayes.models.energy import EnergyModel


def test_a_class_of_hosts_has_an_offset_of_its_own():
    rng = np.random.default_rng(0)
    x = rng.random((40, 3))
    of_one = np.exp(1.0 + 2.0 * x[:, 0])
    hosts = ["slow" if number % 4 == 0 else "fast" for number in range(40)]
    step_j = of_one * np.where(np.array(hosts) == "slow", 5.0, 1.0)
    new = rng.random((20, 3))
    true_j = np.exp(1.0 + 2.0 * new[:, 0])

    def error(model):
        return float(np.abs(np.log(model.step_j(new) / true_j)).mean())

    told = EnergyModel(x, step_j, np.zeros(40), hosts=hosts)
    untold = EnergyModel(x, step_j, np.zeros(40))
    assert error(told) < 0.2
    assert error(told) < error(untold) / 2
    assert told.step_j(new) == pytest.approx(EnergyModel(x, of_one, np.zeros(40)).step_j(new), rel=0.3)


def test_hosts_of_one_class_change_no_bit():
    rng = np.random.default_rng(0)
    x, step_j, new = rng.random((10, 2)), rng.random(10) + 1.0, rng.random((5, 2))
    plain = EnergyModel(x, step_j, np.zeros(10)).step_j(new)
    assert np.array_equal(EnergyModel(x, step_j, np.zeros(10), hosts=["a"] * 10).step_j(new), plain)
