"""When a search has spent enough."""

import math

import numpy as np
import pytest

from ecoml.endings import StopReason
from ecoml.metric import ACCURACY
from ecoml.strategies.bayes.rules.stopping import end_of, rise_of_best, rise_of_front
from ecoml.testing.recorder import point
from ecoml.trial import Trial, TrialState

FRONT = np.array([[0.0, -1.0], [3.0, 0.0]])


def trials_of(scores, energy_j=10.0):
    return [
        Trial(number, {"x": number}, TrialState.FINISHED, [point(1, score, energy_j)])
        for number, score in enumerate(scores)
    ]


def test_the_best_of_twice_as_many_exponential_draws_is_foreseen():
    rng = np.random.default_rng(0)
    draws = 0.5 + 0.01 * rng.exponential(size=(2000, 128))
    foreseen = [rise_of_best(trials_of(row[:64]), 1.0, 0.0) for row in draws[:300]]
    assert np.mean(foreseen) == pytest.approx(np.mean(draws.max(1) - draws[:, :64].max(1)), rel=0.15)


@pytest.mark.parametrize("scores", [[], [0.5] * 4])
def test_of_hardly_anything_nothing_is_foreseen(scores):
    assert rise_of_best(trials_of(scores), 1.0, 0.0) == math.inf


def test_of_what_the_best_exceed_the_next_by_chance_does_not_count():
    scores = [0.9] * 4 + [0.89] + [0.1] * 20
    assert rise_of_best(trials_of(scores), 1.0, 0.004) == pytest.approx(math.log(2) * 0.006)
    assert rise_of_best(trials_of(scores), 1.0, 0.01) == pytest.approx(0.0)
    assert rise_of_best(trials_of([0.9] * 20), 1.0, 0.01) == 0.0


@pytest.mark.parametrize("images", [100, 300, 1000])
def test_equal_networks_on_few_images_promise_hardly_a_rise(images):
    rng = np.random.default_rng(0)
    shares = 0.9 + 0.6 * np.sqrt(0.09 / images) * rng.normal(size=(300, 64))
    shares = np.round(shares * images) / images
    searches = [trials_of(row) for row in shares]
    chance = float(np.mean([ACCURACY.chance(row) for row in shares]))
    raw, told = (np.mean([rise_of_best(trials, 1.0, by) for trials in searches]) for by in (0.0, chance))
    assert told < 0.1 * raw


def test_nothing_rises_above_1():
    assert rise_of_best(trials_of([1.0, 0.99, 0.98, 0.97, 0.96]), 1.0, 0.0) == 0.0
    assert rise_of_best(trials_of([0.999, 0.99, 0.98, 0.97, 0.96]), 1.0, 0.0) == pytest.approx(0.001)


def promised(trials, rate, whole_j, unit):
    """What as much energy again promises, and what it would have to, where the search should end; None: it goes on."""
    end = end_of(trials, ACCURACY, FRONT, rate, whole_j, 3.0, unit)
    if end is None:
        return None
    assert end.reason is StopReason.NOT_WORTH_IT
    assert end.details["spent_j"] == pytest.approx(sum(trial.energy_j for trial in trials))
    return end.details["promise"], end.details["worth"]


def test_a_search_ends_when_both_forecasts_are_low_and_enough_was_spent():
    saturated = trials_of([0.9] * 5 + [0.5] * 34 + [0.5001])  # 400 J
    assert promised(saturated, 0.825e-6, 10.0, 0.01) == pytest.approx((5.5e-5, 5e-4))
    assert promised(saturated, 0.825e-6, 21.0, 0.01) is None, "that of twenty trainings was not spent yet"
    assert promised(saturated, 0.825e-5, 10.0, 0.01) is None, "the surrogate sees something"
    assert promised(saturated[:39], 0.825e-6, 10.0, 0.01) is None, "39 trials say too little"
    rising = trials_of([0.99, 0.97, 0.95, 0.93, 0.9] + [0.5] * 35)
    assert promised(rising, 0.0, 10.0, 0.01) is None, "the best are still far apart"


def test_where_all_good_trials_are_close_together_less_is_worth_its_energy():
    saturated = trials_of([0.9] * 5 + [0.5] * 34 + [0.5000012])
    assert promised(saturated, 0.825e-6, 10.0, 0.001) == pytest.approx((5.5e-5, 2e-4))
    assert promised(saturated, 0.825e-6, 10.0, 0.00025) is None, "0.0055 of 0.05 points is something"


def search_of(*points):
    """Trials of one point each: (score, its joules); `spent_j` is the sum so far."""
    trials, spent_j = [], 0.0
    for number, (score, energy_j) in enumerate(points):
        spent_j += energy_j
        told = point(1, score, energy_j)._replace(spent_j=spent_j)
        trials.append(Trial(number, {"x": number}, TrialState.FINISHED, [told]))
    return trials


def test_what_was_gained_with_the_later_energy_is_averaged_over_the_best_part_of_the_front():
    early = [(0.5, 1.0), (0.8, math.e)]  # at log energies 0 and 1
    length = math.log(10.0) + 9.0
    late = (0.1, 10.0), (0.101, 10.0)

    def rise(*further):
        return rise_of_front(search_of(*early, *late, *further), ACCURACY, 9.0, 0.001)

    assert rise((0.9, 10.0)) == pytest.approx(0.099)
    assert rise((0.8, 2.0)) == pytest.approx(0.299 * (1 - math.log(2.0)) / (length - math.log(2.0)))
    assert rise((0.79, 10.0), (0.4, 1.0)) == 0.0
    assert rise((0.801, 10.0)) == pytest.approx(0.0), "a thousandth is chance"
    assert rise((0.9, 0.5)) == pytest.approx((0.399 + 0.099 * (length - 1)) / (math.log(2.0) + length))
    assert rise((0.7, 1.0)) == 0.0, "nobody would take a network that is ten points worse"


def test_without_the_order_of_points_the_front_may_rise_by_anything():
    assert rise_of_front(trials_of([0.9] * 5), ACCURACY, 9.0, 0.0) == math.inf
    assert rise_of_front(search_of((0.9, 1.0)), ACCURACY, 9.0, 0.0) == math.inf


def test_a_search_that_has_long_gained_nothing_ends_whatever_the_surrogate_promises():
    best, others = [(0.9, 10.0)] * 5, [(0.5, 10.0)] * 34 + [(0.5001, 10.0)]
    assert promised(search_of(*best, *others), 1.0, 10.0, 0.01) == pytest.approx((0.0, 5e-4))
    assert promised(search_of(*others, *best), 1.0, 10.0, 0.01) is None, "it found them just now"


def test_on_few_images_less_than_a_quarter_of_chance_is_not_worth_its_energy():
    of_100_images = search_of(*[(0.9, 10.0)] * 5, *[(0.5, 10.0)] * 34, (0.51, 10.0))
    assert promised(of_100_images, 1.0, 10.0, 0.01) == pytest.approx((0.0, 0.25 * 0.6 * math.sqrt(0.09 * 0.01)))
