"""When a search has spent enough."""

import math

import numpy as np
import pytest

from ecoml.endings import StopReason
from ecoml.metric import ACCURACY
from ecoml.strategies.bayes.stopping import end_of, rise_of_best, rise_of_front
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
    foreseen = [rise_of_best(trials_of(row[:64])) for row in draws[:300]]
    assert np.mean(foreseen) == pytest.approx(np.mean(draws.max(1) - draws[:, :64].max(1)), rel=0.15)


@pytest.mark.parametrize("scores", [[], [0.5] * 4])
def test_of_hardly_anything_nothing_is_foreseen(scores):
    assert rise_of_best(trials_of(scores)) == math.inf


def test_many_equal_bests_promise_hardly_a_rise_and_few_a_part_of_a_step():
    steps = [0.89, 0.88]  # accuracies are hundredths
    assert rise_of_best(trials_of([0.9] * 5 + steps + [0.1] * 20)) == pytest.approx(math.log(2) * 0.5 * 0.01)
    assert rise_of_best(trials_of([0.9] * 200 + steps)) < 0.0002
    assert rise_of_best(trials_of([0.9] * 20)) == 0.0


@pytest.mark.parametrize("images", [100, 300])
def test_the_rise_is_foreseen_in_shares_of_few_images_too(images):
    rng = np.random.default_rng(0)
    draws = 0.5 + 0.01 * rng.exponential(size=(1000, 128))
    shares = np.floor(draws * images) / images
    foreseen = [rise_of_best(trials_of(row[:64])) for row in shares[:300]]
    assert np.mean(foreseen) == pytest.approx(np.mean(shares.max(1) - shares[:, :64].max(1)), rel=0.3)


def test_nothing_rises_above_1():
    assert rise_of_best(trials_of([1.0, 0.99, 0.98, 0.97, 0.96])) == 0.0
    assert rise_of_best(trials_of([0.999, 0.99, 0.98, 0.97, 0.96])) == pytest.approx(0.001)


def promised(trials, rate, whole_j, unit):
    """What as much energy again promises, and what it would have to, where the search should end; None: it goes on."""
    end = end_of(trials, ACCURACY, FRONT, rate, whole_j, 3.0, unit)
    if end is None:
        return None
    assert end.reason is StopReason.NOT_WORTH_IT
    assert end.details["spent_j"] == pytest.approx(sum(trial.energy_j for trial in trials))
    return end.details["promise"], end.details["worth"]


def test_a_search_ends_when_both_forecasts_are_low_and_enough_was_spent():
    saturated = trials_of([0.9] * 5 + [0.5] * 24 + [0.5001])  # 300 J
    assert promised(saturated, 1.1e-6, 10.0, 0.01) == pytest.approx((5.5e-5, 5e-4))
    assert promised(saturated, 1.1e-6, 16.0, 0.01) is None, "that of twenty trainings was not spent yet"
    assert promised(saturated, 1.1e-5, 10.0, 0.01) is None, "the surrogate sees something"
    rising = trials_of([0.91, 0.905, 0.903, 0.902, 0.9] + [0.5] * 25)
    assert promised(rising, 0.0, 10.0, 0.01) is None, "the best are still far apart"


def test_where_all_good_trials_are_close_together_less_is_worth_its_energy():
    saturated = trials_of([0.9] * 5 + [0.5] * 24 + [0.5001])
    assert promised(saturated, 1.1e-6, 10.0, 0.001) == pytest.approx((5.5e-5, 2e-4))
    assert promised(saturated, 1.1e-6, 10.0, 0.00025) is None, "0.0055 of 0.05 points is something"


def search_of(*points):
    """Trials of one point each: (score, its joules); `spent_j` is the sum so far."""
    trials, spent_j = [], 0.0
    for number, (score, energy_j) in enumerate(points):
        spent_j += energy_j
        told = point(1, score, energy_j)._replace(spent_j=spent_j)
        trials.append(Trial(number, {"x": number}, TrialState.FINISHED, [told]))
    return trials


def test_what_was_gained_since_a_quarter_of_the_energy_is_averaged_over_the_front():
    early = [(0.5, 1.0), (0.8, math.e)]  # at log energies 0 and 1
    length = math.log(10.0) + 9.0
    late = (0.1, 10.0), (0.101, 10.0)  # scores are thousandths
    assert rise_of_front(search_of(*early, *late, (0.9, 10.0)), 9.0) == pytest.approx(0.099 * 9 / length)
    cheaper = rise_of_front(search_of(*early, *late, (0.8, 2.0)), 9.0)
    assert cheaper == pytest.approx(0.299 * (1 - math.log(2.0)) / length)
    assert rise_of_front(search_of(*early, *late, (0.79, 10.0), (0.4, 1.0)), 9.0) == 0.0
    assert rise_of_front(search_of(*early, *late, (0.801, 10.0)), 9.0) == pytest.approx(0.0), "a thousandth is chance"


def test_without_the_order_of_points_the_front_may_rise_by_anything():
    assert rise_of_front(trials_of([0.9] * 5), 9.0) == math.inf
    assert rise_of_front(search_of((0.9, 1.0)), 9.0) == math.inf


def test_a_search_that_has_long_gained_nothing_ends_whatever_the_surrogate_promises():
    best, others = [(0.9, 10.0)] * 5, [(0.5, 10.0)] * 24 + [(0.5001, 10.0)]
    foreseen = 3.0 * rise_of_best(search_of(*best, *others)) / 6.0  # FRONT is 3 long, and 3 beyond
    assert promised(search_of(*best, *others), 1.0, 10.0, 0.01) == pytest.approx((foreseen, 5e-4))
    assert promised(search_of(*others, *best), 1.0, 10.0, 0.01) is None, "it found them just now"
