"""Repetitions and factorials: every training that is wanted, once, also after a stop."""

from __future__ import annotations

from collections import Counter

import pytest

from ecoml.errors import UsageError
from ecoml.space import Choice, Float, Int, Space
from ecoml.strategies import create_strategy
from ecoml.strategies.base import End, Start
from ecoml.strategies.enumeration import key
from ecoml.strategies.factorial import Factorial
from ecoml.strategies.repeated import Repeated, rounds_of
from ecoml.testing.strategies import point
from ecoml.trial import Trial, TrialState

SPACE = Space({"conv": Choice([1, 4]), "depth": Int(2, 5), "rate": Float(0.0, 1.0)})


class Recorder:
    """Proposes 0.0, 0.1, … and writes down what it is told."""

    def __init__(self):
        self.told = []
        self.asked = 0

    def ask(self):
        self.asked += 1
        return Start({"rate": (self.asked - 1) / 10})

    def tell(self, trial):
        self.told.append(trial)


def train(strategy, outcomes, first=0):
    """Ask for trainings and tell how they went: an accuracy, `failed` or `stopped`."""
    trials = []
    for number, outcome in enumerate(outcomes, start=first):
        decision = strategy.ask()
        assert isinstance(decision, Start)
        trial = Trial(number, decision.config)
        strategy.tell(trial)
        if isinstance(outcome, float):
            trial.curve.append(point(1, outcome, 10.0 * (number + 1)))
        trial.state = TrialState.FINISHED if isinstance(outcome, float) else TrialState(outcome)
        strategy.tell(trial)
        trials.append(trial)
    return trials


def test_a_round_is_told_as_the_mean_of_its_repetitions():
    inner = Recorder()
    strategy = Repeated(inner, times=2)
    trials = train(strategy, [0.2, 0.4, 0.6, 0.8])
    strategy.ask()
    assert [dict(trial.config) for trial in trials] == [{"rate": 0.0}] * 2 + [{"rate": 0.1}] * 2
    assert [trial.score for trial in inner.told] == [pytest.approx(0.3), pytest.approx(0.7)]
    assert [trial.energy_j for trial in inner.told] == [15.0, 35.0]
    assert [trial.number for trial in inner.told] == [0, 1]


@pytest.mark.parametrize(("count_failures", "score"), [(True, 0.2), (False, 0.4)])
def test_a_failed_repetition_counts_as_nothing_or_is_left_out(count_failures, score):
    inner = Recorder()
    strategy = Repeated(inner, times=2, count_failures=count_failures)
    train(strategy, [0.4, "failed", 0.5])
    assert inner.told[0].score == pytest.approx(score)


def test_what_was_cut_off_is_made_again_but_not_for_ever():
    strategy = Repeated(Recorder(), times=2)
    trials = train(strategy, [0.4, "stopped", 0.5, 0.6])
    assert [trial.config["rate"] for trial in trials] == [0.0, 0.0, 0.0, 0.1]
    endless = train(Repeated(Recorder(), times=2), ["stopped"] * 5)
    assert [trial.config["rate"] for trial in endless] == [0.0] * 4 + [0.1]
    assert [len(of.counted) for of in rounds_of(trials, 2)] == [2, 1]


def test_it_ends_after_its_rounds_and_goes_on_after_a_crash():
    strategy = Repeated(Recorder(), times=2, rounds=2)
    trials = train(strategy, [0.1, 0.2, 0.3])
    fresh = Repeated(Recorder(), times=2, rounds=2)
    for trial in trials:
        fresh.tell(trial)
    assert fresh.ask() == Start({"rate": 0.1})
    (last,) = train(strategy, [0.4], first=3)
    assert last.config == {"rate": 0.1}
    assert isinstance(strategy.ask(), End)


def test_a_strategy_file_asks_for_repetitions(tmp_path):
    file = tmp_path / "random.toml"
    file.write_text('strategy = "random"\n[repeat]\ntimes = 3\nrounds = 2\n')
    trials = train(create_strategy(file, SPACE, 0), [0.5] * 6)
    assert Counter(key(trial.config) for trial in trials).most_common()[0][1] == 3
    file.write_text('strategy = "bayes"\n[repeat]\ntimes = 3\n')
    with pytest.raises(UsageError, match="repeats whole trainings"):
        create_strategy(file, SPACE, 0).ask()
    file.write_text('strategy = "random"\n[repeat]\ntimes = 0\n')
    with pytest.raises(UsageError, match="times"):
        create_strategy(file, SPACE, 0)


def test_a_factorial_has_every_cell_with_the_same_draws():
    strategy = Factorial(SPACE, 0, ["conv", "depth"], draws=3, times=2)
    trials = train(strategy, [0.5] * strategy.size)
    assert isinstance(strategy.ask(), End)
    cells = Counter((trial.config["conv"], trial.config["depth"]) for trial in trials)
    assert cells == dict.fromkeys([(1, 2), (1, 5), (4, 2), (4, 5)], 6)
    rates = {
        cell: sorted(t.config["rate"] for t in trials if (t.config["conv"], t.config["depth"]) == cell)
        for cell in cells
    }
    assert len({tuple(found) for found in rates.values()}) == 1
    first = [[key(t.config) for t in trials[start : start + 8]] for start in (0, 8, 16)]
    assert all(len(set(draw)) == 4 for draw in first), "each draw meets every cell before the next one comes"


def test_a_factorial_goes_on_after_a_crash():
    strategy = Factorial(SPACE, 0, ["conv"], draws=4)
    trials = train(strategy, [0.5] * 4 + ["stopped"] + [0.5] * 4)
    assert trials[4].config == trials[5].config
    assert isinstance(strategy.ask(), End)


def test_a_factor_must_be_a_parameter_that_is_always_there():
    space = Space({"conv": Choice([1, 4]), "size": Int(1, 3, when={"conv": [4]}), "depth": 3})
    for name in ("size", "depth", "kernel"):
        with pytest.raises(UsageError, match=f"{name}.*use some of conv"):
            Factorial(space, 0, [name])
