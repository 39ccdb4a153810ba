"""What became of a trial, in words."""

import pytest

from ecoml.report.page.histories import history, visits
from ecoml.trial import Trial, TrialState


def test_a_visit_ends_when_another_trial_is_trained():
    assert visits([0, 0, 1, 0, 2, 2, 1, 0]) == {0: 3, 1: 2, 2: 1}


@pytest.mark.parametrize(
    ("state", "failure", "times", "told"),
    [
        (TrialState.FINISHED, None, 1, "finished"),
        (TrialState.FINISHED, None, 2, "thawed once, finished"),
        (TrialState.FINISHED, None, 5, "thawed 4 times, finished"),
        (TrialState.STOPPED, "the budget ended", 3, "thawed twice, stopped: the budget ended"),
        (TrialState.STOPPED, "the search ended", 1, "suspended, and not taken up again"),
        (TrialState.STOPPED, "the search ended", 2, "thawed once, then left"),
        (
            TrialState.STOPPED,
            "a further step would exceed the 1.80 J that a training may take: it took 1.50 J (estimated)",
            1,
            "stopped: a further step would exceed what a training may take",
        ),
        (
            TrialState.STOPPED,
            "it took 1.81 J (estimated), more than the 1.80 J that a training may take",
            1,
            "stopped: it took more than a training may take",
        ),
        (TrialState.STOPPED, None, 1, "stopped by the strategy"),
        (TrialState.FAILED, "boom", 0, "failed"),
    ],
)
def test_how_a_trial_went(state, failure, times, told):
    assert history(Trial(0, {}, state, failure=failure), times) == told
