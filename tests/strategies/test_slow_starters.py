"""Configurations whose curves rise late: how a search gets to know of them, and what it does then."""

import numpy as np
import pytest

from ecoml.space import Float, Int, Space
from ecoml.strategies.base import Goal, Start
from ecoml.strategies.bayes import Bayes
from ecoml.strategies.bayes.candidates import Candidates
from ecoml.strategies.bayes.learner import Learner
from ecoml.strategies.bayes.models.gaussian_process import expected
from ecoml.strategies.bayes.rules.slow_starters import is_due, screening_misleads
from ecoml.testing.recorder import point, record_search
from ecoml.trial import Measurement, Trial, TrialState

STEPS = 20
SPACE = Space({"rate": Float(1e-4, 1.0, log=True), "width": Int(4, 64, log=True), "decay": Float(0.0, 1.0)})


def training(rises_at):
    """A training that takes a joule a step. Its score depends on the rate alone: 0.2 to 0.6, or 0.9 near 10⁻³, which
    is at chance until `rises_at`.
    """

    def train(config):
        off = np.log10(config["rate"])
        best = abs(off + 3.0) < 0.6
        top, start = (0.9, rises_at) if best else (0.6 - 0.1 * abs(off + 1.0), 0)
        for step in range(1, STEPS + 1):
            yield Measurement(0.1 + (top - 0.1) * float(1.0 - np.exp(-max(step - start, 0) / 4.0)), 1.0)

    return train


def searched(rises_at, seed):
    return record_search(Bayes(SPACE, seed), SPACE, training(rises_at), budget_j=40.0 * STEPS)


@pytest.mark.parametrize("seed", [2, 5])
def test_slow_starters_are_found_and_then_all_is_trained_to_its_end(seed):
    last = list(searched(8, seed).trials.values())[-6:-1]  # the very last one may be cut off by the budget
    assert all(trial.step == STEPS for trial in last)
    assert sum(trial.score > 0.8 for trial in last) >= 4


def test_where_first_steps_tell_few_trainings_are_made_whatever_they_show():
    search = searched(0, 1)
    whole = [decision for decision in search.decisions if isinstance(decision, Start) and decision.steps is None]
    energy_j = sum(trial.energy_j for trial in search.trials.values())
    assert max(trial.score for trial in search.trials.values()) > 0.85
    assert 0 < len(whole) * STEPS <= 0.15 * energy_j + STEPS


def trial(number, scores, state=TrialState.SUSPENDED):
    return Trial(number, {}, state, [point(step, score, float(step)) for step, score in enumerate(scores, 1)])


QUICK = [0.3, 0.4, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]
LATE = [0.1, 0.1, 0.1, 0.1, 0.1, 0.5, 0.7, 0.8, 0.8, 0.8]


def test_the_screening_misleads_if_the_best_training_beat_hardly_any_other_there():
    whole = [trial(number, QUICK, TrialState.FINISHED) for number in range(8)]
    assert not screening_misleads(whole, 3, 10, whole_j=1.0)  # all are equal
    assert screening_misleads([*whole, trial(8, LATE, TrialState.FINISHED)], 3, 10, whole_j=1.0)
    beaten = [trial(number, [0.05] * 3) for number in range(9, 12)]  # 3 of 12
    assert not screening_misleads([*whole, trial(8, LATE, TrialState.FINISHED), *beaten], 3, 10, whole_j=1.0)
    even = [trial(number, [0.1] * 3) for number in range(9, 30)]  # chance beats nobody, however many are there
    assert screening_misleads([*whole, trial(8, LATE, TrialState.FINISHED), *even], 3, 10, whole_j=1.0)


def test_trainings_that_end_before_a_screening_would_say_nothing():
    short = [trial(number, [0.9, 0.9], TrialState.FINISHED) for number in range(9)]
    assert not screening_misleads(short, 3, 10, whole_j=1.0)
    slow = [trial(number, QUICK, TrialState.FINISHED) for number in range(9, 14)]
    assert screening_misleads([*short, *slow, trial(14, LATE, TrialState.FINISHED)], 3, 10, whole_j=1.0)


def test_neither_two_trainings_nor_the_first_joules_say_so():
    two = [trial(0, QUICK, TrialState.FINISHED), trial(1, LATE, TrialState.FINISHED)]
    assert not screening_misleads(two, 3, 10, whole_j=1.0)
    three = [*two, trial(2, QUICK, TrialState.FINISHED)]
    assert screening_misleads(three, 3, 10, whole_j=3.0)
    assert not screening_misleads(three, 3, 10, whole_j=10.0)  # the energy of three trainings


def test_every_eighth_trial_is_due_while_such_trials_took_less_than_their_share():
    trials = [trial(number, QUICK[:3]) for number in range(40)]  # 3 J each
    assert is_due(trials, 40, 5, 10, whole_j=10.0)
    assert not is_due(trials, 41, 5, 10, whole_j=10.0)
    assert not is_due(trials, 40, 41, 10, whole_j=10.0)  # part of the initial design
    assert not is_due(trials, 40, 5, 10, whole_j=15.0)  # no more than the energy of eight trainings is spent
    trials[16] = trial(16, QUICK, TrialState.FINISHED)  # 10 of 127 J, 15 % of 47 J are 7 J
    assert not is_due(trials, 40, 5, 10, whole_j=10.0)
    trials[16], trials[17] = trials[17], trial(17, QUICK, TrialState.FINISHED)
    assert is_due(trials, 40, 5, 10, whole_j=10.0)  # 17 earned its end by its own steps


@pytest.mark.parametrize("state", [TrialState.RUNNING, TrialState.FINISHED, TrialState.STOPPED, TrialState.FAILED])
def test_trainings_that_are_under_way_or_came_to_nothing_have_taken_their_share_too(state):
    trials = [trial(number, QUICK[:3]) for number in range(40)]
    trials[16], trials[24], trials[32] = (trial(number, QUICK[:9], state) for number in (16, 24, 32))  # 27 of 138 J
    assert not is_due(trials, 40, 5, 10, whole_j=10.0)


def placed(trials):
    """A learner that knows these trials, and its observations of them."""
    learner = Learner(Candidates(SPACE, 512), 4, None)
    learner.place(trials)
    return learner, learner.observe(trials)


def test_complete_trainings_alone_choose_among_unjudged_ones():
    configs = [{"rate": 10.0**-number, "width": 8, "decay": 0.5} for number in range(5)]
    whole = [[point(step, height * step, float(step)) for step in range(1, 9)] for height in (0.1, 0.02, 0.06)]
    complete = [Trial(number, configs[number], TrialState.FINISHED, whole[number]) for number in range(3)]
    begun = Trial(3, configs[3], TrialState.SUSPENDED, [point(1, 0.09, 1.0), point(2, 0.5, 2.0)])
    learner, observed = placed([begun])
    assert learner.ends(observed) is None
    learner, observed = placed([*complete, begun])
    model = learner.ends(observed)
    assert len(model.X) == 3
    assert model.X[:, -1].tolist() == pytest.approx([np.log(8)] * 3)
    assert expected(model, model.X).tolist() == pytest.approx(model.Y[:, 0].tolist(), abs=0.3)
    failed = Trial(4, configs[4], TrialState.FAILED)
    learner, observed = placed([*complete, begun, failed])
    assert len(learner.ends(observed).X) == 4


def test_trainings_that_end_by_themselves_are_complete_however_short():
    configs = [{"rate": 10.0**-number, "width": 8, "decay": 0.5} for number in range(2)]
    curves = [[point(step, 0.1 * step, float(step)) for step in range(1, length + 1)] for length in (8, 5)]
    learner, observed = placed([Trial(n, configs[n], TrialState.FINISHED, curves[n]) for n in range(2)])
    assert learner.ends(observed).X[:, -1].tolist() == pytest.approx([np.log(8), np.log(5)])


def test_a_training_is_not_begun_with_the_energy_that_others_under_way_need():
    strategy = Bayes(SPACE, 2)
    record_search(strategy, SPACE, training(8), budget_j=40.0 * STEPS)
    strategy.pursue(Goal(left_j=lambda: 1.5 * STEPS))
    asked = [strategy.ask() for _ in range(3)]
    whole = [decision for decision in asked if isinstance(decision, Start) and decision.steps is None]
    assert len(whole) <= 1
