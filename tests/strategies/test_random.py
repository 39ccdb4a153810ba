"""Random search: its stream, its spread, and its end."""

import numpy as np
import pytest

from ecoml.endings import StopReason
from ecoml.space import Choice, Float, Int, Space
from ecoml.strategies.base import End, Start
from ecoml.strategies.random import RandomSearch
from ecoml.trial import Trial, TrialState

SPACE = Space({"rate": Float(1e-4, 1.0, log=True), "width": Int(4, 64), "block": Choice(["plain", "residual"])})


def proposals(search, count):
    configs = []
    for _ in range(count):
        decision = search.ask()
        assert isinstance(decision, Start)
        assert decision.steps is None
        configs.append(decision.config)
    return configs


@pytest.mark.parametrize("sampler", ["uniform", "sobol"])
def test_proposals_follow_from_seed_and_number_alone(sampler):
    whole = proposals(RandomSearch(SPACE, 5, sampler), 600)  # more than two blocks of the stream
    for told in (1, 255, 256, 511):
        search = RandomSearch(SPACE, 5, sampler)
        for number, config in enumerate(whole[:told]):
            search.tell(Trial(number, config, TrialState.FINISHED))
        assert proposals(search, 3) == whole[told : told + 3]


@pytest.mark.parametrize("sampler", ["uniform", "sobol"])
def test_seeds_differ(sampler):
    assert proposals(RandomSearch(SPACE, 0, sampler), 5) != proposals(RandomSearch(SPACE, 1, sampler), 5)


def test_draws_are_uniform_on_each_scale():
    configs = proposals(RandomSearch(SPACE, 0), 4000)
    u = np.array([SPACE.encode(config) for config in configs])
    assert np.abs(u.mean(axis=0) - 0.5).max() < 0.03
    assert np.abs(np.corrcoef(u.T) - np.eye(3)).max() < 0.06


def test_sobol_covers_more_evenly_than_independent_draws():
    space = Space({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)})

    def boxes(sampler):
        u = np.array([[c["x"], c["y"]] for c in proposals(RandomSearch(space, 3, sampler), 64)])
        return len({tuple(box) for box in np.floor(u * 8).astype(int).tolist()})

    assert boxes("sobol") == 64  # one point in each of the 8 × 8 boxes: what makes the sequence one
    assert boxes("uniform") < 55


@pytest.mark.parametrize("sampler", ["uniform", "sobol"])
def test_a_finite_space_is_tried_completely_and_then_ended(sampler):
    space = Space({"a": Choice(["p", "q"]), "b": Int(1, 20), "c": Int(1, 9, when={"a": ["q"]}), "fixed": 1})
    search = RandomSearch(space, 2, sampler)
    configs = proposals(search, 20 + 20 * 9)
    assert len({tuple(config.items()) for config in configs}) == space.size
    assert search.ask() == End(StopReason.EXHAUSTED)
    assert search.ask() == End(StopReason.EXHAUSTED)


def test_a_float_with_few_values_ends_too():
    search = RandomSearch(Space({"x": Float(1.0, 1.0 + 4 * float(np.spacing(1.0)))}), 0)
    assert isinstance(search.ask(), Start)
    assert any(isinstance(search.ask(), End) for _ in range(5))


def test_no_free_parameter_is_one_trial():
    search = RandomSearch(Space({"epochs": 3}), 0)
    assert search.ask() == Start({"epochs": 3})
    assert isinstance(search.ask(), End)
