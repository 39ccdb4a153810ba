"""What is recommended: the best by what is believed, among those that measured about the same; and a cheaper one."""

import math

import numpy as np
import pytest

from ecoml.limits import Limits
from ecoml.metric import ACCURACY, Metric
from ecoml.run.choice.recommendation import DefaultTrial, default_trial, frugal, near_ties, recommend, tolerance
from ecoml.run.result import front_of
from ecoml.searcher.searcher import Searcher
from ecoml.space import Float, Space
from ecoml.testing.recorder import point
from ecoml.trial import Measurement, Trial, TrialState

LOSS = Metric("validation loss", minimize=True)


def trial(number, scores, step_j=1.0, metric=ACCURACY):
    curve = [point(step, score, step * step_j, metric=metric) for step, score in enumerate(scores, start=1)]
    return Trial(number, {"x": number / 10}, TrialState.FINISHED, curve)


def chosen(trials, beliefs=None, metric=ACCURACY, default=None):
    """(number, step) of the recommended and of the frugal one."""
    front = front_of(trials)
    ties = near_ties(trials, front, Limits(), metric, default)
    both = recommend(ties, beliefs, default), frugal(ties, tolerance(front, metric), beliefs, default)
    return [(found.number, found.step) for found in both if found is not None]


def test_the_best_measured_is_recommended_and_a_cheaper_one_within_a_point_is_frugal():
    trials = [trial(0, [0.5, 0.8, 0.955]), trial(1, [0.9, 0.96], step_j=10.0), trial(2, [0.7, 0.94], step_j=2.5)]
    assert chosen(trials) == [(1, 2), (0, 3)]


def test_of_near_ties_what_is_believed_counts():
    trials = [trial(0, [0.5, 0.8, 0.955]), trial(1, [0.9, 0.96], step_j=10.0)]
    assert chosen(trials, {(0, 3): 0.951, (1, 2): 0.94}) == [(0, 3), (0, 3)]
    assert chosen(trials, {(0, 3): 0.93, (1, 2): 0.955}) == [(1, 2), (1, 2)], "no longer within a point"
    assert chosen(trials, {(0, 3): 0.99}) == [(1, 2), (0, 3)], "something is believed of one of them only"


def test_the_end_of_a_training_may_be_better_than_the_point_that_measured_as_well():
    trials = [trial(0, [0.5, 0.96, 0.95, 0.96])]
    assert chosen(trials) == [(0, 2), (0, 2)]
    assert chosen(trials, {(0, 2): 0.95, (0, 4): 0.957}) == [(0, 4), (0, 2)]


def test_the_default_is_recommended_unless_another_is_better_by_more_than_its_margin():
    trials = [trial(0, [0.5, 0.8, 0.955]), trial(1, [0.9, 0.96], step_j=10.0), trial(2, [0.7, 0.954], step_j=0.5)]
    beliefs = {(0, 3): 0.950, (1, 2): 0.955, (2, 2): 0.949}
    assert chosen(trials, beliefs, default=DefaultTrial(0, 0.006)) == [(0, 3), (2, 2)]
    assert chosen(trials, beliefs, default=DefaultTrial(0, 0.004)) == [(1, 2), (2, 2)]
    assert chosen(trials, beliefs, default=DefaultTrial(2, 0.006)) == [(2, 2), (2, 2)]
    assert chosen(trials[1:], beliefs, default=DefaultTrial(0, 0.1)) == [(1, 2), (2, 2)], "nothing of it is a near tie"


def test_the_default_ties_within_its_margin_and_beside_many_that_measured_better():
    trials = [trial(0, [0.5, 0.955]), *[trial(n, [0.9, 0.962], step_j=10.0 + n) for n in range(1, 12)]]
    beliefs = {(number, 2): 0.95 + 0.001 * number for number in range(12)}
    assert chosen(trials, beliefs, default=DefaultTrial(0, 0.02))[0] == (0, 2)
    trials[0] = trial(0, [0.5, 0.945])
    assert chosen(trials, beliefs)[0] != (0, 2), "more than a point worse"
    assert chosen(trials, beliefs, default=DefaultTrial(0, 0.02))[0] == (0, 2)
    assert chosen(trials, beliefs, default=DefaultTrial(0, 0.01))[0] != (0, 2)


def test_the_margin_is_by_how_much_two_trainings_of_one_configuration_differ():
    space = Space({"x": Float(0, 1, default=0.1)})
    trials = [trial(0, [0.5, 0.6]), trial(1, []), trial(1, [0.9, 0.91])]  # on 100 images
    trials[2].number = 2
    found = default_trial(trials, space, Limits(), ACCURACY)
    assert found is not None
    assert found.number == 2
    assert found.margin == pytest.approx(math.sqrt(2) * 0.6 * math.sqrt(0.91 * 0.09 / 100))
    assert default_trial(trials, space, Limits(target=0.91), ACCURACY) == found
    assert default_trial(trials, space, Limits(target=0.92), ACCURACY) is None, "it missed the target"
    assert default_trial(trials[:2], space, Limits(), ACCURACY) is None, "its default was not measured"
    assert default_trial(trials, Space({"x": Float(0, 1)}), Limits(), ACCURACY) is None, "it has none"
    half = Space({"x": Float(0, 1, default=0.1), "y": Float(0, 1)})
    assert default_trial(trials, half, Limits(), ACCURACY) is None, "a part of it is made up"


def test_a_loss_is_recommended_likewise():
    trials = [trial(0, [2.0, 1.0, 0.5], metric=LOSS), trial(1, [0.495], step_j=9.0, metric=LOSS)]
    assert chosen(trials, metric=LOSS) == [(1, 1), (0, 3)]


def test_a_search_believes_more_than_its_luckiest_measurement(tmp_path):
    """Near the best all are alike: on few images the luckiest is recommended, or what its neighbours say."""

    def true(config, step):
        return (0.97 - 0.5 * (config["x"] - 0.4) ** 2) * (1 - 0.6 ** (step + 1))

    regret, luck = [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)

        def train(config, rng=rng):
            for step in range(8):
                yield Measurement(float(np.clip(true(config, step) + 0.01 * rng.normal(), 0, 1)), energy_j=1.0)

        result = Searcher(
            Space({"x": Float(0.0, 1.0)}),
            train,
            budget_j=160.0,
            energy="reported",
            strategy="random",
            seed=seed,
            directory=tmp_path / str(seed),
        ).run()
        assert result.recommended is not None
        assert result.beliefs
        assert result.to_dict()["recommended"]["believed_score"] <= 1.0
        worth = [true(found.config, found.step - 1) for found in (result.recommended, result.front[-1])]
        regret.append(true({"x": 0.4}, 7) - worth[0])
        luck.append(true({"x": 0.4}, 7) - worth[1])
    assert np.mean(regret) < 0.7 * np.mean(luck), (regret, luck)


def test_nothing_is_believed_where_one_is_clearly_the_best(tmp_path):
    def train(config):
        yield Measurement(config["x"], energy_j=1.0)

    space = Space({"x": Float(0.0, 1.0)})
    result = Searcher(space, train, budget_j=4.0, energy="reported", strategy="sobol", directory=tmp_path / "run").run()
    assert not result.beliefs
    assert result.recommended == result.front[-1] == result.frugal
