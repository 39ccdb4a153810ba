"""Run folders of an older ecoml: read as they are, brought up to date when they are written."""

from __future__ import annotations

import hashlib
import sqlite3

import pytest

import ecoml
from ecoml.energy import Provenance, Purpose
from ecoml.metric import ACCURACY
from ecoml.run.result import Result
from ecoml.run.storage.schema import SCHEMA_VERSION
from ecoml.run.storage.snapshot import read_snapshot, read_trace
from ecoml.run.storage.store import Store

VERSION_1 = """
CREATE TABLE setting (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE trial (
    number INTEGER PRIMARY KEY, config TEXT NOT NULL, state TEXT NOT NULL, failure TEXT, traceback TEXT);
CREATE TABLE measurement (
    id INTEGER PRIMARY KEY, trial INTEGER NOT NULL REFERENCES trial, step INTEGER NOT NULL, accuracy REAL NOT NULL,
    energy_j REAL NOT NULL, uncertainty_j REAL NOT NULL, provenance TEXT NOT NULL, evaluation_j REAL NOT NULL,
    spent_j REAL NOT NULL, at REAL NOT NULL, UNIQUE (trial, step));
CREATE TABLE entry (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, purpose TEXT NOT NULL, trial INTEGER REFERENCES trial,
    domain TEXT NOT NULL, energy_j REAL NOT NULL, uncertainty_j REAL NOT NULL, provenance TEXT NOT NULL);
CREATE TABLE in_flight (
    purpose TEXT NOT NULL, trial INTEGER, domain TEXT NOT NULL, energy_j REAL NOT NULL, uncertainty_j REAL NOT NULL,
    provenance TEXT NOT NULL);
CREATE TABLE test (trial INTEGER NOT NULL REFERENCES trial, step INTEGER NOT NULL, accuracy REAL NOT NULL,
    PRIMARY KEY (trial, step)) WITHOUT ROWID;
CREATE TABLE gap (id INTEGER PRIMARY KEY, at REAL NOT NULL, text TEXT NOT NULL);
INSERT INTO setting VALUES ('schema', '1'), ('budget_j', '100.0'), ('ended', '""'), ('overshoot_bound_j', '2.0');
INSERT INTO trial VALUES (0, '{"learning_rate": 0.01, "width": 16, "activation": "relu"}', 'running', NULL, NULL);
INSERT INTO measurement VALUES (1, 0, 1, 0.5, 20.0, 2.0, 'measured', 3.0, 25.0, 1000.0);
INSERT INTO entry VALUES (1, 999.0, 'optimiser', NULL, 'cpu:0', 5.0, 0.5, 'measured');
INSERT INTO entry VALUES (2, 1000.0, 'training', 0, 'cpu:0', 20.0, 2.0, 'measured');
INSERT INTO in_flight VALUES ('training', 0, 'cpu:0', 4.0, 0.4, 'measured');
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "ledger.sqlite"
    with sqlite3.connect(path) as connection:
        connection.executescript(VERSION_1)
    connection.close()
    return path


def test_an_old_ledger_is_read_without_being_touched(path):
    before = hashlib.sha256(path.read_bytes()).digest()
    snapshot = read_snapshot(path, ACCURACY)
    assert snapshot.spent_j == 25
    assert snapshot.trials[0].curve[0].energy.uncertainty_j == 2
    assert snapshot.by_purpose[Purpose.TRAINING].uncertainty_j == 2
    assert not snapshot.host
    assert read_trace(path) == []
    assert hashlib.sha256(path.read_bytes()).digest() == before


def test_an_old_ledger_is_brought_up_to_date_when_it_is_written(path):
    for _ in range(2):  # the second time there is nothing left to do
        store = Store(path, create=False)
        assert store.snapshot(ACCURACY).settings["schema"] == SCHEMA_VERSION
        store.close()
    store = Store(path, create=False)
    assert store.recover() == 4
    snapshot = store.snapshot(ACCURACY)
    store.close()
    assert snapshot.spent_j == 29
    tail = snapshot.trials[0].tail
    assert tail is not None
    assert tail.energy_j == pytest.approx(4)
    assert tail.provenance is Provenance.MEASURED


def test_a_new_ledger_has_the_layout_of_one_brought_up_to_date(path, tmp_path):
    Store(path, create=False).close()
    Store(tmp_path / "new.sqlite", create=True).close()
    layouts = []
    for file in (path, tmp_path / "new.sqlite"):
        with sqlite3.connect(file) as connection:
            tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            layouts.append({name: connection.execute(f"PRAGMA table_info({name})").fetchall() for name in tables})
        connection.close()
    assert layouts[0] == layouts[1]


def test_an_old_run_goes_on(space, run_folder, quick, meter, path):
    def train(config):
        meter.spend(10)
        yield 0.6

    ecoml.Searcher(space, train, budget_j=15, meter=meter, **quick).run()
    (run_folder / "ledger.sqlite").unlink()
    path.rename(run_folder / "ledger.sqlite")
    assert Result.load(run_folder).energy.total_j == 25
    result = ecoml.Searcher.resume(run_folder, train, budget_j=60, meter=meter).run()
    assert result.energy.total_j == 59  # 29 of before, and three trials
    assert [trial.step for trial in result.trials] == [1, 1, 1, 1]
    assert (result.energy.idle, result.energy.idle_note) == (None, "idle power of cpu:0 is not known")
