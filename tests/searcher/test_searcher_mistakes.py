"""Arguments of a search that are nearly right: one line says what is wrong, and what to give."""

from __future__ import annotations

from typing import Any

import pytest
from rigs.meter import FakeMeter
from rigs.scripts import curve

import ecoml
from ecoml.errors import UsageError


class Bell:
    """A listener."""

    def __init__(self):
        self.rung = 0

    def on_trial(self, trial):
        pass

    def on_measurement(self, trial):
        self.rung += 1

    def on_end(self, result):
        pass


class Deaf:
    """Lacks what a listener needs."""

    def on_end(self, result):
        pass


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"workers": 3}, r'workers is 3; give "local:3"'),
        ({"workers": True}, r'workers is True; give "local:4"'),
        ({"workers": ["local:2"]}, r"workers is \['local:2'\]; give"),
        ({"listeners": Bell}, "the listener is <class .*; give an object"),
        ({"listeners": [Bell]}, "the listener is <class .*; give an object"),
        ({"listeners": "mlflow"}, "the listener is 'mlflow'; give an object"),
        ({"listeners": [Deaf()]}, "give an object with on_trial, on_measurement and on_end"),
        ({"listeners": None}, "the listener is None; give an object"),
        (
            {"strategy": ecoml.Bayes},
            r"the strategy is the class Bayes; give an object, as in ecoml\.Bayes\(space, seed\)",
        ),
        ({"train": ecoml.CnnTraining}, "the training is the class CnnTraining; give an object"),
        ({"meter": FakeMeter}, "meter is <class .*; give a meter"),
        ({"meter": 3}, "meter is 3; give a meter"),
        ({"meter": [FakeMeter()]}, "meter is .*; give a meter"),
        ({"warm_start": Bell()}, r"warm_start is .*; give a run folder, as in warm_start=result\.directory"),
        ({"show": 3}, "show is 3; give a function"),
        ({"parameters": 3}, "parameters is 3; give a function"),
        ({"budget_j": 10**400}, "the energy budget is 1000"),
    ],
)
def test_it_is_one_line_and_nothing_is_written(space, reported, run_folder, given, said):
    wishes: dict[str, Any] = {"train": curve([0.5]), "budget_j": 10, **reported, **given}
    with pytest.raises(UsageError, match=said) as raised:
        ecoml.Searcher(space, **wishes)
    assert "\n" not in str(raised.value)
    assert not run_folder.exists()


def test_a_closed_search_takes_nothing_more(space, reported):
    with ecoml.Searcher(space, budget_j=100, **reported) as searcher:
        told = searcher.ask()
        assert told is not None
        searcher.tell(told, 0.5, energy_j=10)
        open_trial = searcher.ask()
    assert open_trial is not None
    for act in (searcher.ask, lambda: searcher.tell(open_trial, 0.5, energy_j=10)):
        with pytest.raises(UsageError, match="this searcher is closed"):
            act()


def test_a_searcher_that_was_closed_before_it_opened_writes_nothing(space, reported, run_folder):
    searcher = ecoml.Searcher(space, budget_j=100, **reported)
    searcher.close()
    with pytest.raises(UsageError, match="this searcher is closed"):
        searcher.ask()
    assert not run_folder.exists()


def test_one_listener_needs_no_list(space, reported, run_folder):
    bell = Bell()
    ecoml.Searcher(space, curve([0.5]), budget_j=30, listeners=bell, **reported).run()
    assert bell.rung == 3
    ecoml.Searcher.resume(run_folder, curve([0.5]), budget_j=50, listeners=bell).run()
    assert bell.rung == 5


def test_a_class_of_runs_is_a_training_function(space, reported):
    class Countdown:
        """An iterator of scores, made from a configuration."""

        def __init__(self, config):
            self.left = 2

        def __iter__(self):
            return self

        def __next__(self):
            if not self.left:
                raise StopIteration
            self.left -= 1
            return ecoml.Measurement(0.5, 10.0)

    result = ecoml.Searcher(space, Countdown, budget_j=40, **reported).run()
    assert [trial.step for trial in result.trials] == [2, 2]
