"""Energy to target, censoring, intervals: known cases and properties."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecoml.report.statistics import (
    Ratio,
    best_so_far,
    bootstrap_median,
    censored_median,
    energy_ratio,
    energy_to_target,
    geometric_mean,
    lower_bound,
    mean_ratio,
    median_seed,
)

joules = st.floats(0.01, 1e6)
scores = st.one_of(st.floats(0.0, 1.0), st.just(math.nan))
searches = st.lists(st.tuples(joules, scores), max_size=30)
energies = st.lists(st.one_of(joules, st.just(math.inf)), min_size=1, max_size=9)


def cumulated(rows):
    return np.cumsum([step_j for step_j, _ in rows]), [score for _, score in rows]


def test_best_so_far_keeps_the_improvements_only():
    spent_j, best = best_so_far([1, 2, 3, 4, 5], [0.5, 0.4, math.nan, 0.5, 0.7])
    assert spent_j.tolist() == [1, 5]
    assert best.tolist() == [0.5, 0.7]


@given(searches)
def test_best_so_far_rises_and_ends_at_the_maximum(rows):
    spent_j, score = cumulated(rows)
    at_j, best = best_so_far(spent_j, score)
    assert (np.diff(best) > 0).all()
    assert (np.diff(at_j) > 0).all()
    finite = [value for value in score if math.isfinite(value)]
    assert (best[-1] if len(best) else None) == (max(finite) if finite else None)


@given(searches, st.floats(0.0, 1.0))
def test_energy_to_target_is_where_the_best_so_far_first_gets_there(rows, target):
    spent_j, score = cumulated(rows)
    found_j = energy_to_target(spent_j, score, target)
    expected_j = next((s for s, a in zip(spent_j, score, strict=True) if a >= target - 1e-12), math.inf)
    assert found_j == expected_j


@given(searches, st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_a_higher_target_never_costs_less(rows, one, other):
    spent_j, score = cumulated(rows)
    low, high = sorted((one, other))
    assert energy_to_target(spent_j, score, low) <= energy_to_target(spent_j, score, high)


def test_a_median_that_falls_on_a_miss_is_a_miss():
    assert censored_median([1.0, 2.0, math.inf]) == 2.0
    assert censored_median([1.0, math.inf, math.inf]) == math.inf
    assert censored_median([1.0, 2.0, math.inf, math.inf]) == math.inf
    assert lower_bound([1.0, math.inf, math.inf], [10.0, 10.0, 12.0]) == 10.0


@given(energies)
def test_the_bound_of_a_median_is_below_it(values):
    horizons_j = [2e6] * len(values)
    assert lower_bound(values, horizons_j) <= censored_median(values)


def test_no_interval_from_fewer_than_five_seeds():
    assert bootstrap_median([1.0, 2.0, 3.0, 4.0]) is None


@given(st.lists(st.one_of(joules, st.just(math.inf)), min_size=5, max_size=12), st.floats(0.5, 100))
def test_an_interval_holds_its_median_and_scales_with_it(values, factor):
    interval = bootstrap_median(values, resamples=400)
    assert interval is not None
    assert interval[0] <= censored_median(values) <= interval[1]
    assert min(values) <= interval[0]
    assert interval[1] <= max(values)
    scaled = bootstrap_median([factor * value for value in values], resamples=400)
    assert scaled == pytest.approx((factor * interval[0], factor * interval[1]))


def test_an_interval_covers_the_true_median_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    hits = 0
    for trial in range(200):
        interval = bootstrap_median(rng.lognormal(0.0, 1.0, 15).tolist(), resamples=300, seed=trial)
        assert interval is not None
        hits += interval[0] <= 1.0 <= interval[1]
    assert hits >= 180  # 95 % asked for; of 200 fewer than 180 would be a different interval


def test_a_ratio_says_what_misses_make_of_it():
    def of(reference, strategy):
        return energy_ratio(reference, strategy, [100.0] * 3, [100.0] * 3, paired=True)

    assert of([40.0] * 3, [10.0] * 3) == Ratio(4.0)
    assert of([40.0] * 3, [math.inf] * 3) == Ratio(0.4, "<")
    assert of([math.inf] * 3, [10.0] * 3) == Ratio(10.0, ">")
    assert of([math.inf] * 3, [math.inf] * 3) is None


def test_pairing_removes_what_the_seeds_share():
    rng = np.random.default_rng(3)
    shared = rng.lognormal(3.0, 1.5, 11)
    reference, strategy = (4 * shared).tolist(), shared.tolist()
    horizons_j = [1e9] * 11
    paired = energy_ratio(reference, strategy, horizons_j, horizons_j, paired=True)
    apart = energy_ratio(reference, strategy, horizons_j, horizons_j, paired=False)
    assert paired is not None
    assert apart is not None
    assert paired.interval == pytest.approx((4.0, 4.0))
    assert apart.interval is not None
    assert apart.interval[0] < 2 < 8 < apart.interval[1]


def test_misses_widen_the_interval_of_a_ratio_to_infinity():
    reference = [10.0, 10.0, 10.0, math.inf, math.inf]
    ratio = energy_ratio(reference, [5.0] * 5, [20.0] * 5, [20.0] * 5, paired=True)
    assert ratio is not None
    assert ratio.value == 2.0
    assert ratio.interval == (2.0, math.inf)


@given(st.lists(joules, min_size=1, max_size=9), st.lists(joules, min_size=1, max_size=9))
def test_a_ratio_turns_over_with_its_sides(reference, strategy):
    far_j = [1e9] * 9
    forth = energy_ratio(reference, strategy, far_j, far_j, paired=False)
    back = energy_ratio(strategy, reference, far_j, far_j, paired=False)
    assert forth is not None
    assert back is not None
    assert forth.value * back.value == pytest.approx(1.0)


def test_a_mean_over_problems_does_not_drop_the_misses():
    solved, missed = Ratio(8.0), Ratio(0.5, "<")
    both = mean_ratio([solved, missed])
    assert both is not None
    assert both.value == pytest.approx(2.0)
    assert both.relation == "<"
    all_known = mean_ratio([solved, solved])
    assert all_known is not None
    assert all_known.relation == "="
    assert mean_ratio([missed, Ratio(2.0, ">")]) is None
    assert mean_ratio([solved, None]) is None
    assert mean_ratio([]) is None


def test_geometric_mean():
    assert geometric_mean([1.0, 4.0]) == pytest.approx(2.0)
    assert math.isnan(geometric_mean([]))


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=11))
def test_more_than_half_reach_the_median_seed(values):
    assert 2 * sum(value >= median_seed(values) for value in values) > len(values)
    assert median_seed(values) in values
