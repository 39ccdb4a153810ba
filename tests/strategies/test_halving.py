"""Successive halving and top-k: who is promoted, and when."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ecoml.pareto import front_indices
from ecoml.space import Float, Space
from ecoml.strategies import Continue, Start
from ecoml.strategies.asha import Halving, ranking
from ecoml.strategies.top_k import TopK
from ecoml.testing.strategies import point
from ecoml.trial import Trial, TrialState

SPACE = Space({"x": Float(0.0, 1.0)})


def left_after_a_step(number, score, energy_j=1.0):
    curve = [point(1, score, energy_j)]
    return Trial(number, {"x": number / 100}, TrialState.SUSPENDED, curve)


def test_of_three_trials_the_best_is_promoted_threefold():
    strategy = Halving(SPACE, 0)
    for number, score in enumerate((0.5, 0.9)):
        strategy.tell(left_after_a_step(number, score))
    assert isinstance(strategy.ask(), Start)
    strategy.tell(left_after_a_step(2, 0.3))
    assert strategy.ask() == Continue(1, 2)


def test_the_cheap_half_of_the_front_is_promoted_too():
    strategy = Halving(SPACE, 0)
    points = [(0.9, 9.0), (0.2, 1.0), (0.8, 9.5), (0.1, 3.0), (0.5, 9.6), (0.05, 4.0)]
    trials = [left_after_a_step(number, *point) for number, point in enumerate(points)]
    for trial in trials:
        strategy.tell(trial)
    first = strategy.ask()
    assert first == Continue(0, 2)
    trials[0].state = TrialState.FAILED
    strategy.tell(trials[0])
    assert strategy.ask() == Continue(1, 2)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.1, 9)), min_size=1, max_size=30), st.integers(1, 30))
def test_the_ranking_takes_whole_fronts_before_the_next(points, count):
    score, energy_j = np.array(points).T
    best = ranking(score, energy_j, count)
    assert len(best) == len(set(best)) == min(count, len(points))
    front = set(front_indices(score, energy_j).tolist())
    assert set(best) <= front if count <= len(front) else front <= set(best)


def test_top_k_looks_once_then_trains_the_best_to_their_end():
    strategy = TopK(SPACE, 0, many=4, best=2)
    trials = []
    for number, score in enumerate((0.1, 0.8, 0.3, 0.6)):
        decision = strategy.ask()
        assert isinstance(decision, Start)
        assert decision.steps == 1
        trials.append(left_after_a_step(number, score))
        strategy.tell(trials[-1])
    for number in (1, 3):
        assert strategy.ask() == Continue(number)
        trials[number].state = TrialState.FINISHED
        strategy.tell(trials[number])
    assert isinstance(strategy.ask(), Start), "a new round begins"
