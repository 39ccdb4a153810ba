"""What the surrogate sees of accuracies: the best ones told apart, whatever the rest did."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecoml.strategies.bayes.acquisition import _MARGIN
from ecoml.strategies.bayes.observations import evenly, milestones, observations_of
from ecoml.testing.recorder import point
from ecoml.trial import Trial, TrialState


def known(scores):
    """Evidence of one-point trials with these accuracies."""
    points = [point(1, score, 10.0) for score in scores]
    trials = [Trial(n, {"n": n}, TrialState.SUSPENDED, [point]) for n, point in enumerate(points)]
    return observations_of(trials, milestones(1.5, 100), 240)


def test_half_a_point_among_the_best_counts_where_most_trials_were_left_far_below():
    """Of a saturated problem: at 98.9 % the last half point is what a training is continued for."""
    left = np.linspace(0.1, 0.9, 40)
    observations = known([*left, *np.linspace(0.975, 0.989, 15)])
    assert observations.scaled(0.989) - observations.scaled(0.984) > 3 * _MARGIN


def test_trials_that_tie_with_the_best_do_not_set_the_scale():
    alone, tied = known([0.2, 0.5, 0.8, 0.9]), known([0.2, 0.5, 0.8, 0.9, 0.9, 0.9, 0.9, 0.9])
    assert tied.unit == alone.unit
    assert known([0.5, 0.5, 0.5]).scaled(0.5) == 0.0


@given(
    st.lists(st.integers(0, 1000), min_size=2, max_size=30, unique=True),
    st.floats(0.01, 10.0),
    st.floats(-5.0, 5.0),
)
def test_no_accuracys_unit_or_origin_makes_a_difference(thousandths, factor, offset):
    scores = np.array(thousandths) / 1000
    here, there = known(scores), known(offset + factor * scores)
    assert there.y == pytest.approx(here.y, abs=1e-6)


def test_good_and_bad_trials_alike_are_learnt_from():
    """Of a long search: as many trials near the best as all over the range, and one that failed."""
    points = [point(1, score, 10.0) for score in np.linspace(0.1, 0.9, 320)]
    points += [point(1, score, 10.0) for score in np.linspace(0.898, 0.9, 300)]
    trials = [Trial(n, {"n": n}, TrialState.SUSPENDED, [point]) for n, point in enumerate(points)]
    trials.insert(7, Trial(1000, {"n": 1000}, TrialState.FAILED))
    chosen = evenly(trials, milestones(3.0, 100), 72)
    assert chosen == [trial for trial in trials if trial in chosen]
    assert [trial.number for trial in chosen if trial.state is TrialState.FAILED] == [1000]
    of = np.array([trial.curve[0].score for trial in chosen if trial.curve])
    assert len(of) == pytest.approx(72, abs=2)
    assert (of.min(), of.max()) == (0.1, 0.9)
    assert np.median(of) == pytest.approx(np.median([point.score for point in points]), abs=0.01)
    assert evenly(trials[:50], milestones(3.0, 100), 72) == trials[:50]


def test_curves_share_the_room_that_there_is():
    curves = [[point(k, 0.01 * n * k / 30, 1.0 * k) for k in range(1, 31)] for n in range(60)]
    trials = [Trial(n, {"n": n}, TrialState.SUSPENDED, curve) for n, curve in enumerate(curves)]
    looked_at = milestones(3.0, 100)  # 1, 3, 9, 27, and 30 as the last
    chosen = evenly(trials, looked_at, 70)
    assert len(chosen) == 14
    observations = observations_of(chosen, looked_at, 70)
    assert observations is not None
    assert len(observations.y) == 70
