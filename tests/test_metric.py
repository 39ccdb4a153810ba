"""What a score is, and how sure it is."""

from __future__ import annotations

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
