"""Tests of differences: against scipy, by definition, and what misses make of them."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ecoml.experiments.compare.significance import (
    a12,
    holm,
    least_p,
    log_ratios,
    rank_over_problems,
    seeds_needed,
    signed_rank_p,
)

far = [1e9] * 12
joules = st.floats(0.1, 1e6)


@settings(max_examples=40)
@given(st.lists(st.floats(-5, 5).filter(lambda d: abs(d) > 1e-6), min_size=1, max_size=12, unique_by=abs))
def test_the_signed_rank_test_is_scipys_exact_one(differences):
    assert signed_rank_p(differences) == pytest.approx(stats.wilcoxon(differences, method="exact").pvalue)


@settings(max_examples=25)
@given(st.lists(st.integers(-3, 3), min_size=2, max_size=8).filter(any))
def test_with_ties_and_zeros_it_counts_all_signs(differences):
    """The permutation distribution, sign by sign."""
    ranks = stats.rankdata(np.abs(differences))
    moving = [rank for rank, d in zip(ranks, differences, strict=True) if d]
    observed = abs(sum(rank * np.sign(d) for rank, d in zip(ranks, differences, strict=True)))
    sums = [abs(np.dot(signs, moving)) for signs in itertools.product((-1, 1), repeat=len(moving))]
    assert signed_rank_p(differences) == pytest.approx(np.mean([s >= observed - 1e-9 for s in sums]))


def test_with_ties_and_zeros_it_is_scipys_by_permutation():
    differences = [1, 1, 2, -2, 3, 0, 0, 4]
    method = stats.PermutationMethod(n_resamples=9999)
    expected = stats.wilcoxon(differences, zero_method="zsplit", method=method).pvalue
    assert signed_rank_p(differences) == pytest.approx(expected)


def test_no_difference_is_no_evidence():
    assert signed_rank_p([0.0, 0.0]) == 1.0
    assert signed_rank_p([]) == 1.0


@pytest.mark.parametrize("seeds", [2, 5, 6, 9])
def test_the_smallest_p_of_so_many_seeds_is_that_of_differences_all_one_way(seeds):
    assert signed_rank_p(range(1, seeds + 1)) == pytest.approx(least_p(seeds))


def test_from_how_many_seeds_on_something_can_be_concluded():
    assert [seeds_needed(k) for k in (1, 2, 4)] == [6, 7, 8]
    assert least_p(5) > 0.05
    assert least_p(7, 2) < 0.05 <= least_p(6, 2)


def test_holm_as_in_his_paper():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0.0, 1.0), max_size=8))
def test_holm_never_lowers_a_p_value_nor_the_order(p_values):
    adjusted = holm(p_values)
    assert all(p <= q <= min(1.0, len(p_values) * p) + 1e-12 for p, q in zip(p_values, adjusted, strict=True))
    for (p, q), (p2, q2) in itertools.combinations(zip(p_values, adjusted, strict=True), 2):
        assert (p - p2) * (q - q2) >= 0


@given(st.lists(joules, min_size=1, max_size=8), st.lists(joules, min_size=1, max_size=8))
def test_a12_is_mann_whitneys_u_as_a_share(reference, strategy):
    u = stats.mannwhitneyu(reference, strategy).statistic
    size = a12(reference, strategy, far[: len(reference)], far[: len(strategy)])
    assert size == pytest.approx(u / (len(reference) * len(strategy)), abs=1e-9)


def test_misses_count_against_their_side_and_two_misses_say_nothing():
    inf = math.inf
    assert a12([inf] * 4, [10.0] * 4, [50.0] * 4, [50.0] * 4) == 1.0
    assert a12([10.0] * 4, [inf] * 4, [50.0] * 4, [50.0] * 4) == 0.0
    assert a12([inf] * 4, [inf] * 4, [50.0] * 4, [70.0] * 4) == 0.5
    # A reference that was cut off at 50 may yet have needed less than 80.
    assert log_ratios([inf], [80.0], [50.0], [100.0]).tolist() == [0.0]
    assert log_ratios([inf], [40.0], [50.0], [100.0]) == pytest.approx([math.log(50 / 40)])


def test_friedman_is_scipys_and_nemenyi_follows_demsars_formula():
    energies_j = np.random.default_rng(2).lognormal(size=(9, 4)) * [1.0, 2.0, 4.0, 8.0]
    found = rank_over_problems(list("abcd"), energies_j)
    assert found is not None
    assert found.p == pytest.approx(stats.friedmanchisquare(*energies_j.T).pvalue)
    ranks = dict(zip(found.strategies, found.mean_ranks, strict=True))
    assert ranks == pytest.approx(dict(zip("abcd", stats.rankdata(energies_j, axis=1).mean(axis=0), strict=True)))
    # Demšar (2006), table 5: q of four classifiers at 5 % is 2.569.
    assert found.critical_difference == pytest.approx(2.569 * math.sqrt(4 * 5 / (6 * 9)), rel=1e-3)
    for (i, one), (j, other) in itertools.combinations(enumerate(found.mean_ranks), 2):
        apart = abs(one - other) / math.sqrt(4 * 5 / (6 * 9)) * math.sqrt(2)
        assert found.pairwise_p[i][j] == pytest.approx(stats.studentized_range.sf(apart, 4, np.inf), abs=1e-9)
        assert (found.pairwise_p[i][j] < 0.05) == (abs(one - other) > found.critical_difference)


def test_misses_rank_last_and_tie():
    found = rank_over_problems(["a", "b", "c"], [[1.0, math.inf, math.inf]] * 5)
    assert found is not None
    assert found.mean_ranks == (1.0, 2.5, 2.5)


def test_alike_everywhere_is_no_difference_and_two_strategies_are_no_friedman_test():
    found = rank_over_problems(["a", "b", "c"], [[math.inf] * 3] * 4)
    assert found is not None
    assert found.p == 1.0
    assert rank_over_problems(["a", "b"], [[1.0, 2.0]] * 4) is None
    assert rank_over_problems(["a", "b", "c"], [[1.0, 2.0, 3.0]]) is None
