"""What trainings do: succeed, fail, are left and come back to."""

from __future__ import annotations

import math
import os

import numpy as np
import pytest
import torch
from rigs.scripts import CONFIG, Script, asked, curve, why

import ecoml
from ecoml.endings import SearchEnd, StopReason
from ecoml.errors import SearchFailed, StorageError, TrainingError
from ecoml.run.result import Result
from ecoml.run.storage.store import Store


@pytest.mark.parametrize("value", [0.25, 0, 1, np.float32(0.5), torch.tensor(0.5)])
def test_a_plain_function_may_return_its_accuracy(space, quick, meter, value):
    def train(config):
        meter.spend(1)
        return value

    result = ecoml.Searcher(space, train, budget_j=100, meter=meter, max_trials=3, **quick).run()
    assert [trial.score for trial in result.trials] == [float(value)] * 3
    assert [trial.state.value for trial in result.trials] == ["finished"] * 3


@pytest.mark.parametrize("trouble", [ValueError("too wide"), MemoryError(), SystemExit(3), float("nan")])
def test_a_failed_trial_is_charged_and_the_search_goes_on(space, quick, meter, trouble):
    calls = []

    def train(config):
        calls.append(config)
        meter.spend(5)
        yield 0.5
        meter.spend(3)
        if len(calls) % 2:
            if isinstance(trouble, float):
                yield trouble
            raise trouble
        yield 0.6

    result = ecoml.Searcher(space, train, budget_j=1000, meter=meter, max_trials=4, **quick).run()
    assert [trial.state.value for trial in result.trials] == ["failed", "finished"] * 2
    assert [trial.energy_j for trial in result.trials] == [8, 8, 8, 8]
    assert why(result.trials[0]).failed
    assert result.energy.total_j == 32


def test_a_search_in_which_everything_fails_ends_and_says_why(space, quick, meter):
    def train(config):
        raise RuntimeError("no such layer")

    with pytest.raises(SearchFailed, match="no such layer"):
        ecoml.Searcher(space, train, budget_j=1000, meter=meter, **quick).run()


@pytest.mark.parametrize(
    ("value", "word"),
    [(91.2, "in \\[0, 1\\]"), ("good", "yield"), (None, "yield"), (True, "yield"), ([0.5, 0.6], "yield"), (-0.1, "in")],
)
def test_an_accuracy_that_is_none_ends_the_search_at_once(space, quick, meter, value, word):
    with pytest.raises(TrainingError, match=word):
        ecoml.Searcher(space, lambda config: value, budget_j=1000, meter=meter, **quick).run()


def test_a_nonsensical_energy_fails_the_trial(space, reported):
    energies = iter([5.0, -1.0, math.nan, 0.0, 5.0])

    def train(config):
        yield ecoml.Measurement(0.5, energy_j=next(energies))

    result = ecoml.Searcher(space, train, budget_j=1000, max_trials=5, **reported).run()
    assert [trial.state.value for trial in result.trials] == ["finished", "failed", "failed", "failed", "finished"]
    assert result.energy.total_j == 10


def test_a_run_can_be_left_and_come_back_to(space, reported):
    started = []

    def train(config):
        started.append(config["width"])
        for step in range(4):
            yield ecoml.Measurement(config["width"] / 100 + step / 100, energy_j=config["width"])

    script = [
        ecoml.Start({**CONFIG, "width": 8}, steps=1),
        ecoml.Start({**CONFIG, "width": 32}, steps=2),
        ecoml.Continue(0, steps=2),
        ecoml.Continue(1),
        ecoml.Continue(0),
    ]
    reported["strategy"] = Script(script)
    result = ecoml.Searcher(space, train, budget_j=1e4, **reported).run()
    assert started == [8, 32]  # each was started once
    assert [p.trial for p in result.progress] == [0, 1, 1, 0, 0, 1, 1, 0]
    assert [point.energy_j for point in result.trials[0].curve] == [8, 16, 24, 32]
    assert [trial.state.value for trial in result.trials] == ["finished", "finished"]
    assert result.ended == SearchEnd(StopReason.STRATEGY, {"message": "the script is over"})


def test_a_strategy_is_told_each_change(space, reported):
    reported["strategy"] = strategy = Script([ecoml.Start(CONFIG, steps=1), ecoml.Continue(0)])
    ecoml.Searcher(space, curve([0.1, 0.2]), budget_j=1e4, **reported).run()
    assert strategy.told == [
        (0, 0, "running"),
        (0, 1, "running"),
        (0, 1, "suspended"),
        (0, 1, "running"),
        (0, 2, "running"),
        (0, 2, "finished"),
    ]


def test_generators_are_closed_in_order(space, reported):
    closed = []

    def train(config):
        try:
            for _ in range(100):
                yield ecoml.Measurement(0.5, energy_j=10)
        finally:
            closed.append(config["width"])

    reported["strategy"] = Script([ecoml.Start({**CONFIG, "width": width}, steps=1) for width in (8, 9)])
    result = ecoml.Searcher(space, train, budget_j=1e4, **reported).run()
    assert closed == [8, 9]
    assert [trial.state.value for trial in result.trials] == ["stopped", "stopped"]


def test_going_on_with_an_ended_trial_is_refused(space, reported):
    reported["strategy"] = Script([ecoml.Start(CONFIG), ecoml.Continue(0)])
    with pytest.raises(SearchFailed, match="trial 0"):
        ecoml.Searcher(space, curve([0.5]), budget_j=100, **reported).run()


def test_a_full_disk_ends_the_search_in_one_line_and_loses_nothing(space, reported, run_folder, monkeypatch):
    searcher = ecoml.Searcher(space, curve([0.5, 0.6, 0.7]), budget_j=1e6, **reported)
    with searcher:
        for _ in range(5):
            trial = asked(searcher)
            searcher.tell(trial, score=0.5, energy_j=10.0)
    folder = {"directory": run_folder}
    opened = Store.__init__

    def small(store, path, *, create):
        opened(store, path, create=create)
        store._connection.execute("PRAGMA max_page_count = 20")

    monkeypatch.setattr(Store, "__init__", small)
    with pytest.raises(StorageError, match="disk is full"):
        ecoml.Searcher.resume(**folder, train=curve([0.5] * 1000)).run()
    monkeypatch.undo()
    kept_j = Result.load(run_folder).energy.total_j
    result = ecoml.Searcher.resume(**folder, train=curve([0.5]), budget_j=kept_j + 500).run()
    assert result.energy.total_j == pytest.approx(sum(trial.energy_j for trial in result.trials))
    assert [trial.energy_j for trial in result.trials[:5]] == [10] * 5
    assert len(result.trials) > 6


def test_a_training_may_change_the_working_directory(space, tmp_path, monkeypatch):
    def train(config):
        os.chdir(elsewhere)
        yield ecoml.Measurement(0.5, energy_j=10.0)

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(tmp_path)
    result = ecoml.Searcher(
        space, train, budget_j=50, strategy="random", directory="mine", energy="reported"
    ).run()  # fmt: skip
    assert result.directory == tmp_path / "mine"
    assert len(Result.load(tmp_path / "mine").trials) == 5
    assert not list(elsewhere.iterdir())
