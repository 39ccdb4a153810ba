"""What going on with a candidate is worth."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import ndtr

from ecoml.strategies.bayes import acquisition


def log_expected_improvement(z):
    return acquisition.log_expected_improvement(torch.from_numpy(z)).numpy()


def log_improvement(*arrays_and_numbers):
    arguments: list[Any] = [torch.from_numpy(a) if isinstance(a, np.ndarray) else a for a in arrays_and_numbers]
    return acquisition.log_improvement(*arguments).numpy()


def test_the_log_of_the_expected_improvement_is_right_far_out_too():
    z = np.array([-30.0, -5.0, -1.0, 0.0, 0.5, 3.0, 40.0])
    density, below = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi), ndtr(z)
    found = log_expected_improvement(z)
    assert found[1:] == pytest.approx(np.log(density + z * below)[1:], rel=1e-9)
    assert found[0] == pytest.approx(-0.5 * 900 - 0.5 * np.log(2 * np.pi) - 2 * np.log(30), rel=1e-4)
    assert np.isfinite(log_expected_improvement(np.array([-1e6]))).all()


@pytest.mark.parametrize("ceiling", [0.65, 1e3])
def test_the_improvement_of_hypervolume_agrees_with_drawing_it(ceiling):
    front = np.array([[1.0, 0.2], [2.0, 0.5], [2.5, 0.6]])
    mean, deviation, log_energy = np.array([0.55, 0.1, 0.9]), np.array([0.1, 0.3, 0.05]), np.array([1.5, 0.5, 2.2])
    last = 3.0
    draws = mean[:, None] + deviation[:, None] * np.random.default_rng(0).normal(size=(3, 400_000))
    draws = np.minimum(draws, ceiling)
    edges = np.r_[front[:, 0], front[-1, 0] + last]
    lengths = np.maximum(edges[1:] - np.maximum(edges[:-1], log_energy[:, None]), 0.0)
    drawn = [(lengths[i] * np.maximum(draws[i][:, None] - front[:, 1], 0.0).mean(0)).sum() for i in range(3)]
    found = np.exp(log_improvement(mean, deviation, log_energy, front, last, ceiling))
    assert found == pytest.approx(drawn, rel=0.02)


def test_where_all_is_right_already_only_cheaper_trainings_are_worth_much():
    front = np.array([[0.0, 0.2], [3.0, 1.0]])
    mean, deviation, log_energy = np.array([1.2, 0.9, 1.2]), np.array([0.1, 0.1, 0.1]), np.array([3.5, 3.5, 1.0])
    worth = log_improvement(mean, deviation, log_energy, front, 10.0, 1.0)
    assert np.isfinite(worth).all()
    assert worth[2] > worth[0] + 10.0 > worth[1] + 10.0
