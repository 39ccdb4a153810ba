"""What listeners are told, and that none of them can end a search."""

from __future__ import annotations

import logging

import pytest
from rigs.scripts import CONFIG, Script, asked, curve

import ecoml
from ecoml.trial import TrialState


class Told:
    """Writes down all that it is told."""

    def __init__(self):
        self.told = []
        self.result = None

    def on_start(self, result):
        self.told.append(("start", len(result.trials)))

    def on_trial(self, trial):
        self.told.append((trial.number, trial.step, trial.state.value))

    def on_measurement(self, trial):
        self.told.append((trial.number, trial.curve[-1].score))

    def on_end(self, result):
        self.told.append("end")
        self.result = result


class Bare:
    """Has only what it must."""

    def on_trial(self, trial):
        pass

    def on_measurement(self, trial):
        pass

    def on_end(self, result):
        self.ended = result.complete


class Broken(Told):
    def on_measurement(self, trial):
        super().on_measurement(trial)
        raise ConnectionError("no route to the tracker")


def test_a_search_is_told_from_start_to_end(space, reported):
    listener, bare = Told(), Bare()
    script = Script([ecoml.Start(CONFIG, steps=1), ecoml.Start(CONFIG), ecoml.Continue(0)])
    result = ecoml.Searcher(
        space, curve([0.5, 0.6]), budget_j=1e3, listeners=[listener, bare], **{**reported, "strategy": script}
    ).run()
    assert listener.told == [
        ("start", 0),
        *((0, 0, "running"), (0, 0.5), (0, 1, "suspended")),
        *((1, 0, "running"), (1, 0.5), (1, 0.6), (1, 2, "finished")),
        *((0, 1, "running"), (0, 0.6), (0, 2, "finished")),
        "end",
    ]
    assert listener.result is not None
    assert listener.result.energy.total_j == result.energy.total_j == 40
    assert bare.ended


def test_one_that_fails_is_said_once_and_the_search_goes_on(space, reported, caplog):
    broken, well = Broken(), Told()
    with caplog.at_level(logging.WARNING, "ecoml"):
        result = ecoml.Searcher(space, curve([0.5, 0.6]), budget_j=100, listeners=[broken, well], **reported).run()
    assert result.complete
    assert broken.told == [("start", 0), (0, 0, "running"), (0, 0.5), "end"]
    assert len(well.told) > 8
    assert [record.getMessage() for record in caplog.records] == [
        "Broken failed, and the search continues without it: ConnectionError: no route to the tracker"
    ]


def test_after_a_resumption_it_hears_only_what_is_new(space, reported, run_folder):
    ecoml.Searcher(space, curve([0.5, 0.6]), budget_j=40, **reported).run()
    listener = Told()
    ecoml.Searcher.resume(run_folder, curve([0.7]), budget_j=60, listeners=[listener]).run()
    assert listener.told[0] == ("start", 2)
    assert listener.told[1] == (2, 0, "running")
    assert listener.told[-1] == "end"


def test_ask_and_tell_end_with_the_close(space, reported):
    listener = Told()
    with ecoml.Searcher(space, budget_j=100, listeners=[listener], **reported) as searcher:
        trial = asked(searcher)
        searcher.tell(trial, 0.5, energy_j=3)
        assert trial.state is TrialState.FINISHED
    assert listener.told == [("start", 0), (0, 0, "running"), (0, 0.5), (0, 1, "finished"), "end"]


def test_a_tracker_of_no_known_name():
    from ecoml.integrations import create_tracker

    with pytest.raises(ecoml.UsageError, match="did you mean 'mlflow'"):
        create_tracker("mlfow")
