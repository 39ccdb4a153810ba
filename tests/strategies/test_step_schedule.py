"""How far a trial is trained before it is decided upon again."""

import pytest

from ecoml.strategies.bayes.observations import milestones, observations_of
from ecoml.strategies.bayes.rules.step_schedule import StepSchedule
from ecoml.testing.recorder import point
from ecoml.trial import Trial, TrialState


@pytest.mark.parametrize(
    ("length", "screening"), [(1, 1), (2, 1), (4, 1), (8, 2), (12, 3), (50, 3), (52, 4), (200, 12)]
)
def test_a_screening_is_a_small_share_of_a_training_and_three_steps_of_a_short_one(length, screening):
    curve = [point(k, 0.01 + 0.9 * k / length, 1.0 * k) for k in range(1, length + 1)]
    observations = observations_of([Trial(0, {}, TrialState.FINISHED, curve)], milestones(1.5, 1000), 240)
    schedule = StepSchedule(observations)
    assert schedule.screening == screening
    assert schedule.first() == min(2, screening)
