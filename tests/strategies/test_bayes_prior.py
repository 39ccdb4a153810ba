"""A prior: where `bayes` looks first, what it makes of a wrong one, and that without one it is not asked."""

from dataclasses import replace

import numpy as np
import pytest

from ecoml.space import Choice, Float, Int, Parameter, Space
from ecoml.space.prior import Prior
from ecoml.strategies.base import Start
from ecoml.strategies.bayes import Bayes
from ecoml.strategies.bayes.candidates import Candidates
from ecoml.testing.recorder import record_search
from ecoml.trial import Measurement

GOOD = {"rate": 1e-2, "width": 32, "block": "residual", "momentum": 0.5}
BAD = {"rate": 1.0, "width": 4, "block": "plain", "momentum": 0.0}


def space(default=None, width=None):
    """The space with this default and this prior."""
    free: dict[str, Parameter] = {
        "rate": Float(1e-4, 1.0, log=True),
        "width": Int(4, 64, log=True),
        "block": Choice(["plain", "residual", "separable"]),
        "momentum": Float(0.0, 0.99, when={"block": ["plain", "residual"]}),
    }
    if default is not None:
        free = {name: replace(p, default=default[name], prior_width=width) for name, p in free.items()}
    return Space(free)


def train(config):
    off = np.log10(config["rate"]) + 2.0
    score = 0.9 * np.exp(-0.5 * off**2) * config["width"] / (config["width"] + 8)
    score *= {"plain": 0.7, "residual": 1.0, "separable": 0.8}[config["block"]]
    for step in range(1, 13):
        yield Measurement(float(score * (1.0 - np.exp(-step / 4.0))), energy_j=float(config["width"]))


def search(space, seed=0, **settings):
    return record_search(Bayes(space, seed), space, train, **settings)


def started(search):
    return [decision.config for decision in search.decisions if isinstance(decision, Start)]


def distances(space, configs):
    """Of the rates from the default's, on the unit scale."""
    rate = space.free["rate"]
    return [abs(rate.encode(config["rate"]) - rate.encode(space.default["rate"])) for config in configs]


def test_every_other_point_of_the_design_is_near_the_default():
    narrow = space(GOOD, 0.02)
    first, *rest = started(search(narrow, decisions=9))
    assert first == narrow.default
    near = [distance < 0.08 for distance in distances(narrow, rest[:4])]
    assert near[0]
    assert near[2]
    assert not all(near)


def test_new_configurations_are_sought_near_the_default_at_first():
    def mean_distance(width):
        of = space(BAD, width)
        return np.mean([np.mean(distances(of, started(search(of, seed, decisions=30)))) for seed in range(2)])

    assert mean_distance(0.1) < 0.8 * mean_distance(None)


def test_its_weight_fades_with_the_trials():
    candidates = Candidates(space(GOOD, 0.2), 0)
    after = {trials: np.diff(candidates.log_prior([GOOD, BAD], trials)).item() for trials in (1, 10, 100)}
    assert after[1] < -1.0
    assert after[10] == pytest.approx(after[1] / 10)
    assert after[100] == pytest.approx(after[1] / 100)


def test_part_of_the_pool_is_from_the_prior():
    narrow, even = (
        Candidates(space(GOOD, width), 0).spread(np.full((1, 4), 0.9), np.empty((0, 4)), set(), 64, 0.0, seed=0)
        for width in (0.02, None)
    )
    near = [int((np.abs(pool.u[:, 0] - 0.5) < 0.06).sum()) for pool in (narrow, even)]
    assert near[0] >= near[1] + 10


def test_a_wrong_prior_costs_little():
    def energy_j(of, seed):
        done = search(of, seed, decisions=400, budget_j=30_000.0, enough=lambda trial: trial.score >= 0.7)
        return sum(trial.energy_j for trial in done.trials.values())

    without, wrong = (np.mean([energy_j(space(BAD, width), seed) for seed in range(3)]) for width in (None, 0.2))
    assert wrong < 1.5 * without


def test_without_a_width_no_decision_depends_on_the_prior():
    without, none = search(space(GOOD), decisions=30).decisions, Prior({})
    u, configs = np.random.default_rng(0).random((9, 4)), [space(GOOD).default] * 9
    for prior in (none, space(GOOD).prior):
        assert np.array_equal(prior.place(u), u)
        assert not prior.log_density(configs).any()
    wide = space(GOOD, 0.2)
    wide.prior = none
    assert search(wide, decisions=30).decisions == without
