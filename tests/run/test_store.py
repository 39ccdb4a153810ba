"""The ledger's file: transactions, kills, versions."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from ecoml.endings import FailureKind, TrialEnd
from ecoml.energy import Energy, EnergyByDomain, Provenance, Purpose
from ecoml.errors import RunFolderError
from ecoml.metric import ACCURACY
from ecoml.run.folder import RunFolder
from ecoml.run.result import Result
from ecoml.run.storage.in_flight import read_in_flight_j
from ecoml.run.storage.schema import SCHEMA_VERSION
from ecoml.run.storage.snapshot import read_snapshot
from ecoml.run.storage.store import Store
from ecoml.trial import Trial, TrialState, next_point


def joules(energy_j, provenance=Provenance.MEASURED):
    return EnergyByDomain({"cpu:0": Energy(energy_j, 0.1, provenance)})


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "ledger.sqlite", create=True)
    yield store
    store.close()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.sqlite"


def test_it_gives_back_what_was_entered(store, path):
    trial = Trial(0, {"width": 8, "rate": 0.1, "act": "relu"})
    store.add_trial(trial)
    store.enter({(Purpose.TRAINING, 0): joules(5), (Purpose.OPTIMISER, None): joules(2)})
    taken = joules(5.0).total
    store.add_measurement(0, next_point([], 0.5, taken, evaluation_j=1.0, spent_j=7.0), taken)
    store.enter({(Purpose.TRAINING, 0): joules(3)})
    trial.state, trial.end = TrialState.FAILED, TrialEnd(FailureKind.DIVERGED)
    store.set_state(trial)
    snapshot = read_snapshot(path, ACCURACY)
    found = snapshot.trials[0]
    assert (found.config, found.state, found.end) == (trial.config, TrialState.FAILED, trial.end)
    assert (found.score, found.curve[0].energy_j, found.curve[0].evaluation_j) == (0.5, 5.0, 1.0)
    assert found.tail is not None
    assert (found.tail.energy_j, found.energy_j, found.energy.energy_j) == (3.0, 8.0, 8.0)
    assert snapshot.by_purpose[Purpose.OPTIMISER].energy_j == 2
    assert snapshot.spent_j == 10


def test_a_transaction_is_all_or_nothing(store, path):
    with pytest.raises(RuntimeError), store.transaction():
        store.add_trial(Trial(0, {}))
        store.enter({(Purpose.TRAINING, 0): joules(5)})
        raise RuntimeError
    assert read_snapshot(path, ACCURACY).trials == []
    assert read_snapshot(path, ACCURACY).spent_j == 0


def test_joules_in_flight_are_charged_once_after_a_kill(store, path):
    store.add_trial(Trial(0, {}))
    store.note_in_flight({(Purpose.TRAINING, 0): joules(4)})
    store.note_in_flight({(Purpose.TRAINING, 0): joules(6)})  # the step goes on: not a second amount
    again = Store(path, create=False)
    assert again.recover() == 6
    assert again.recover() == 0
    snapshot = again.snapshot(ACCURACY)
    again.close()
    assert snapshot.spent_j == 6
    assert snapshot.trials[0].state is TrialState.STOPPED


def test_joules_in_flight_are_gone_once_their_step_is_entered(store, path):
    store.add_trial(Trial(0, {}))
    store.note_in_flight({(Purpose.TRAINING, 0): joules(4)})
    store.enter({(Purpose.TRAINING, 0): joules(7)})
    assert store.recover() == 0
    assert store.snapshot(ACCURACY).spent_j == 7


def test_a_newer_ledger_is_refused(store, path):
    store.set("schema", SCHEMA_VERSION + 1)
    with pytest.raises(RunFolderError, match="newer ecoml"):
        read_snapshot(path, ACCURACY)
    with pytest.raises(RunFolderError, match="newer ecoml"):
        Store(path, create=False)


@pytest.mark.parametrize("content", [b"", b"not a database at all, only text" * 100])
def test_what_is_no_ledger_is_refused(tmp_path, content):
    path = tmp_path / "other.sqlite"
    path.write_bytes(content)
    with pytest.raises(RunFolderError, match="not an ecoml ledger"):
        read_snapshot(path, ACCURACY)


def test_another_database_is_refused(tmp_path):
    path = tmp_path / "other.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE setting (key, value)")
    connection.close()
    with pytest.raises(RunFolderError, match="not an ecoml ledger"):
        read_snapshot(path, ACCURACY)


def test_joules_in_flight_survive_an_entry_that_was_taken_back(store, path):
    store.add_trial(Trial(0, {}))
    store.note_in_flight({(Purpose.TRAINING, 0): joules(4)})
    with pytest.raises(RuntimeError), store.transaction():
        store.enter({(Purpose.TRAINING, 0): joules(6)})
        raise RuntimeError("the disk is full")
    assert read_in_flight_j(path) == 4
    store.enter({(Purpose.TRAINING, 0): joules(6)})
    assert read_in_flight_j(path) == 0
    assert read_snapshot(path, ACCURACY).spent_j == 6


def test_a_run_that_is_still_opening_its_meters_can_be_looked_at(tmp_path):
    run = {"problem": "digits", "strategy": "sobol", "seed": 0, "budget_j": 100.0}
    RunFolder.create(tmp_path / "run", {"run": run, "space": {}, "executor": {"kind": "cnn", "data": "digits"}})
    result = Result.load(tmp_path / "run")
    assert (result.progress, result.trials, result.energy.total_j) == ((), (), 0.0)
    assert result.energy.budget_j == 100.0


def test_nothing_is_left_of_a_folder_that_cannot_be_made(tmp_path):
    held = len(list(Path("/dev/fd").iterdir()))
    with pytest.raises(TypeError):
        RunFolder.create(tmp_path / "run", {"run": {"budget_j": 10.0}, "executor": {"kind": object()}})
    assert not list(tmp_path.iterdir())
    assert len(list(Path("/dev/fd").iterdir())) == held, "its lock is still open"
