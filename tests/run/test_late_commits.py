"""Steps that end within an instant of each other are put on disk together, and none waits longer than that instant."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from typing import Any

import pytest

import ecoml
from ecoml.errors import StorageError
from ecoml.run.result import Result
from ecoml.run.storage.store import Store
from ecoml.trial import Trial


def on_disk(path):
    """Numbers of the trials that another process would see."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        found = [number for (number,) in connection.execute("SELECT number FROM trial ORDER BY number")]
    connection.close()
    return found


@pytest.fixture
def store(tmp_path):
    opened = Store(tmp_path / "ledger.sqlite", create=True)
    opened.delay(5.0)
    yield opened
    opened.close()


def test_the_first_change_is_there_at_once_and_the_others_after_the_delay(store):
    time.sleep(0.01)
    store.delay(0.01)
    store.add_trial(Trial(0, {}))
    assert on_disk(store.path) == [0]
    store.delay(0.5)
    store.add_trial(Trial(1, {}))
    assert on_disk(store.path) == [0]
    deadline = time.monotonic() + 20
    while on_disk(store.path) != [0, 1]:
        assert time.monotonic() < deadline, "nothing more happens, and the change is not on disk"
        time.sleep(0.05)


def test_what_waits_is_on_disk_when_the_file_is_closed(store):
    for number in range(3):
        store.add_trial(Trial(number, {}))
    assert on_disk(store.path) == []
    store.close()
    assert on_disk(store.path) == [0, 1, 2]


def test_a_change_that_fails_takes_none_of_those_before_it_along(store):
    store.add_trial(Trial(0, {}))
    with pytest.raises(RuntimeError), store.transaction():
        store.add_trial(Trial(1, {}))
        raise RuntimeError
    with pytest.raises(sqlite3.IntegrityError):
        store.add_trial(Trial(0, {}))
    store.add_trial(Trial(2, {}))
    store.close()
    assert on_disk(store.path) == [0, 2]


REPLAY = """
import sys
import ecoml

space = ecoml.Space({"x": ecoml.Float(0.0, 1.0)})

def train(config):
    for step in range(50):
        yield ecoml.Measurement(config["x"], energy_j=1.0)

how = {"budget_j": 1e9, "strategy": "random", "directory": sys.argv[1], "energy": "reported"}
searcher = ecoml.Searcher(space, train, **how) if sys.argv[2] == "new" else ecoml.Searcher.resume(sys.argv[1], train)
searcher.run()
"""


def test_a_replay_that_is_killed_goes_on_with_all_that_is_recorded(tmp_path):
    folder, known = tmp_path / "run", 0
    for how in ("new", "resume", "resume"):
        with subprocess.Popen([sys.executable, "-c", REPLAY, str(folder), how]) as process:
            deadline = time.monotonic() + 60
            while not folder.exists() or len(Result.load(folder).progress) <= known:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)
            time.sleep(0.3)
            process.send_signal(signal.SIGKILL)
        result = Result.load(folder)
        assert len(result.progress) > known
        assert result.energy.total_j == pytest.approx(len(result.progress)), "each measurement with its joule"
        assert [entry.point.spent_j for entry in result.progress] == list(range(1, len(result.progress) + 1))
        known = len(result.progress)


def test_a_measurement_is_on_disk_before_an_hour_long_step_begins(tmp_path):
    seen = []

    def train(config):
        for _ in range(5):
            yield ecoml.Measurement(0.5, energy_j=1.0)
        time.sleep(0.5)  # the hour
        seen.append(len(Result.load(tmp_path / "run").progress))

    how: dict[str, Any] = {"budget_j": 100.0, "strategy": "random", "energy": "reported", "max_trials": 1}
    ecoml.Searcher(ecoml.Space({"x": ecoml.Float(0.0, 1.0)}), train, directory=tmp_path / "run", **how).run()
    assert seen == [5]


def test_a_disk_that_is_full_is_said_and_what_is_on_it_is_gone_on_with(tmp_path, monkeypatch):
    folder, space = tmp_path / "run", ecoml.Space({"x": ecoml.Float(0.0, 1.0)})

    def train(config):
        for _ in range(1000):
            yield ecoml.Measurement(config["x"], energy_j=1.0)

    opened = Store.__init__

    def small(store, path, *, create):
        opened(store, path, create=create)
        store._connection.execute("PRAGMA max_page_count = 200")

    how: dict[str, Any] = {"budget_j": 1e6, "strategy": "random", "energy": "reported"}
    with monkeypatch.context() as full:
        full.setattr(Store, "__init__", small)
        with pytest.raises(StorageError, match=r"disk is full.*free some space.*ecoml resume"):
            ecoml.Searcher(space, train, directory=folder, **how).run()
    kept = Result.load(folder)
    assert 100 < len(kept.progress) == pytest.approx(kept.energy.total_j)
    result = ecoml.Searcher.resume(folder, train, budget_j=kept.energy.total_j + 1500).run()
    assert len(kept.progress) + 1000 < len(result.progress) == pytest.approx(result.energy.total_j)
    assert result.progress[: len(kept.progress)] == kept.progress
