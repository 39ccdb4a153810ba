"""What a score is, and how sure it is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from ecoml.format import format_score_interval
from ecoml.metric import ACCURACY, Metric, wilson


@given(right=st.integers(0, 2000), wrong=st.integers(0, 2000))
def test_the_interval_of_a_share_is_wilsons(right, wrong):
    count = max(1, right + wrong)
    right = min(right, count)
    low, high = wilson(right / count, count)
    expected = binomtest(right, count).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-6)
    assert 0 <= low <= right / count <= high <= 1


def test_it_is_said_in_percent_for_shares_alone():
    assert format_score_interval(ACCURACY, 39 / 40, 40) == "between 87.1 and 99.6 %"
    assert format_score_interval(ACCURACY, 1.0, 10_000) == "between 100.0 and 100.0 %"
    assert format_score_interval(Metric("validation loss", minimize=True), 0.3, 40) == ""


@pytest.mark.parametrize("metric", [ACCURACY, Metric("error", minimize=True, low=0.0, high=1.0)])
def test_chance_is_that_of_a_share_of_images_whatever_the_direction(metric):
    right = [k / 1000 for k in range(600, 861)]
    utilities = [metric.utility(1.0 - share if metric.minimize else share) for share in right]
    chance = 0.6 * math.sqrt(0.86 * 0.14 / 1000)
    assert metric.chance(utilities) == pytest.approx(chance)
    assert metric.chance([*utilities, utilities[0] + 1e-9]) == pytest.approx(chance), "rounding is no image"


def test_chance_is_one_image_at_least_and_the_smallest_difference_of_another_metric():
    assert ACCURACY.chance([0.98, 0.99, 1.0]) == pytest.approx(0.01)
    assert ACCURACY.chance([0.5]) == 0.0
    assert ACCURACY.chance([]) == 0.0
    assert Metric("loss", minimize=True).chance([-3.0, -2.5, -2.25]) == 0.25


def test_bounds_and_direction_of_numpy_are_numbers():
    metric = Metric.of({"name": "cost", "minimize": np.True_, "low": 0, "high": np.int64(7)})
    assert metric == Metric("cost", minimize=True, low=0.0, high=7.0)
    assert [type(value) for value in metric.to_dict().values()] == [str, bool, float, float, str]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"name": 3}, "need names"),
        ({"name": "cost", "step": None}, "need names"),
        ({"name": "cost", "minimize": "no"}, "minimize is 'no'; give True or False"),
        ({"name": "cost", "high": "much"}, "high is 'much'; a bound is a finite number"),
        ({"name": "cost", "low": True}, "low is True; a bound is a finite number"),
        ({"name": "cost", "high": 10**400}, "a bound is a finite number"),
        ({"name": "cost", "high": math.inf}, "high is inf; a bound is a finite number"),
    ],
)
def test_what_is_no_metric_is_one_clear_error(table, said):
    with pytest.raises(ValueError, match=said):
        Metric.of(table)
