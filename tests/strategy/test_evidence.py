"""What the surrogate sees of accuracies: the best ones told apart, whatever the rest did."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecoml.energy import Provenance
from ecoml.strategy.bayes import _MARGIN
from ecoml.strategy.bayes.evidence import evidence_of, milestones
from ecoml.trial import Point, Trial, TrialState


def known(accuracies):
    """Evidence of one-point trials with these accuracies."""
    points = [Point(1, accuracy, 10.0, 0.0, Provenance.REPORTED) for accuracy in accuracies]
    trials = [Trial(n, {"n": n}, TrialState.SUSPENDED, [point]) for n, point in enumerate(points)]
    return evidence_of(trials, milestones(1.5, 100), 240)


def test_half_a_point_among_the_best_counts_where_most_trials_were_left_far_below():
    """Of a saturated problem: at 98.9 % the last half point is what a training is continued for."""
    left = np.linspace(0.1, 0.9, 40)
    evidence = known([*left, *np.linspace(0.975, 0.989, 15)])
    low, high = evidence.scaled(np.array([0.984, 0.989]))
    assert high - low > 3 * _MARGIN


def test_trials_that_tie_with_the_best_do_not_set_the_scale():
    alone, tied = known([0.2, 0.5, 0.8, 0.9]), known([0.2, 0.5, 0.8, 0.9, 0.9, 0.9, 0.9, 0.9])
    assert tied.unit == alone.unit
    assert known([0.5, 0.5, 0.5]).scaled(np.array(0.5)) == 0.0


@given(
    st.lists(st.integers(0, 1000), min_size=2, max_size=30, unique=True),
    st.floats(0.01, 10.0),
    st.floats(-5.0, 5.0),
)
def test_no_accuracys_unit_or_origin_makes_a_difference(thousandths, factor, offset):
    accuracies = np.array(thousandths) / 1000
    here, there = known(accuracies), known(offset + factor * accuracies)
    assert there.y == pytest.approx(here.y, abs=1e-6)
