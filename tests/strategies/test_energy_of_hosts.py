"""The energy model where hosts of several classes made the observations."""

from __future__ import annotations

import numpy as np
import pytest

from ecoml.energy import Energy, Provenance
from ecoml.strategies.bayes.models.energy import EnergyModel, steps_by_class
from ecoml.trial import Trial, next_point


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


def trained(number, *steps):
    """A trial of so many joules a step, each made by a class of hosts."""
    trial = Trial(number, {})
    for joules, host in steps:
        trial.curve.append(next_point(trial.curve, 0.5, Energy(joules, 0.0, Provenance.REPORTED), host=host))
    return trial


def test_one_step_of_a_moved_training_seeds_the_offset_of_a_new_class():
    rng = np.random.default_rng(0)
    x = rng.random((12, 2))
    of_one = np.exp(1.0 + 2.0 * x[:, 0])
    trials = [trained(i, *[(joules, "fast")] * 3) for i, joules in enumerate(of_one)]
    alone = EnergyModel(x, of_one, np.zeros(12)).step_j(x)
    trials[4] = trained(4, *[(of_one[4], "fast")] * 3, (10 * of_one[4], "slow"))

    rows, step_j, hosts = steps_by_class(trials)
    assert list(rows[4:6]) == [4, 4]
    assert hosts[4:6] == ["fast", "slow"]
    assert step_j[4:6] == pytest.approx([of_one[4], 10 * of_one[4]])
    apart = EnergyModel(x[rows], step_j, np.zeros(13), hosts=hosts).step_j(x)
    mixed_j = np.array([trial.curve[-1].energy_j / trial.step for trial in trials])
    mixed = EnergyModel(x, mixed_j, np.zeros(12), hosts=[trial.curve[-1].host for trial in trials]).step_j(x)

    def error(found):
        return float(np.abs(np.log(found / alone)).max())

    assert error(apart) < 0.35
    assert error(apart) < error(mixed)
