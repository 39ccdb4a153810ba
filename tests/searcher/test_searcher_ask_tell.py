"""Driving a search by ask and tell."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import pytest
from rigs.scripts import asked

import ecoml


def test_ask_and_tell_with_reported_energy(space, reported):
    searcher = ecoml.Searcher(space, budget_j=100, **reported)
    while (trial := searcher.ask()) is not None:
        searcher.tell(trial, score=0.5, energy_j=30.0)
    assert searcher.result.energy.total_j == 90
    assert len(searcher.result.trials) == 3
    searcher.close()
    assert searcher.result.ended


def test_ask_and_tell_several_at_once_and_point_by_point(space, reported):
    with ecoml.Searcher(space, budget_j=1000, **reported) as searcher:
        first, second = asked(searcher), asked(searcher)
        searcher.tell(second, score=0.5, energy_j=30.0, done=False)
        searcher.tell(first, score=float("nan"), energy_j=3.0)
        searcher.tell(second, score=0.6, energy_j=30.0)
        with pytest.raises(ecoml.UsageError, match="once"):
            searcher.tell(second, score=0.6, energy_j=30.0)
        result = searcher.result
    assert [trial.state.value for trial in result.trials] == ["failed", "finished"]
    assert result.energy.total_j == 63


def test_ask_and_tell_metered(space, quick, meter):
    with ecoml.Searcher(space, budget_j=100, meter=meter, **quick) as searcher:
        trial = asked(searcher)
        meter.spend(5)
        assert searcher.result.energy.total_j == 5  # looking on changes nothing
        meter.spend(7)
        searcher.tell(trial, score=0.5)
        searcher.ask()
        with pytest.raises(ecoml.UsageError, match="first"):
            searcher.ask()
        assert searcher.result.trials[0].energy_j == 12


def test_a_training_ends_when_its_next_point_does_not_fit(space, reported):
    with ecoml.Searcher(space, budget_j=100, **reported) as searcher:
        trial, told = asked(searcher), 1
        while searcher.tell(trial, 0.5, energy_j=10.0, done=False):
            told += 1
        assert trial.end.reason.value == "budget"
        assert told == 10
        with pytest.raises(ecoml.UsageError, match=r"is not running \(the budget"):
            searcher.tell(trial, 0.5, energy_j=10.0, done=False)
        assert searcher.result.energy.total_j == 100


def test_a_training_ends_at_the_target(space, reported):
    with ecoml.Searcher(space, budget_j=100, target=0.9, **reported) as searcher:
        trial = asked(searcher)
        assert searcher.tell(trial, 0.5, energy_j=10.0, done=False)
        assert not searcher.tell(trial, 0.95, energy_j=10.0, done=False)
        assert (trial.end.reason.value, searcher.ask()) == ("target", None)


def test_trials_may_have_been_to_another_process(space, reported):
    with ecoml.Searcher(space, budget_j=100, **reported) as searcher:
        trial = asked(searcher)
        copy = deepcopy(trial)
        assert searcher.tell(copy, 0.5, energy_j=10.0, done=False)
        assert not searcher.tell(copy, 0.6, energy_j=10.0)
        assert (trial.state.value, trial.step, searcher.result.trials[0].step) == ("finished", 2, 2)
        other = replace(asked(searcher), config={**trial.config, "width": 63})
        with pytest.raises(ecoml.UsageError, match="another configuration"):
            searcher.tell(other, 0.5, energy_j=10.0)


def test_workers_need_a_training(space, reported):
    with pytest.raises(ecoml.UsageError, match="workers"):
        ecoml.Searcher(space, budget_j=100, workers="local:2", **reported)
