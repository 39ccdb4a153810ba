"""SIGKILL at any moment, resumed each time: nothing recorded is lost, nothing is charged twice."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ecoml.endings import SearchEnd, StopReason
from ecoml.run.result import Result

SEARCH = """
import sys, time
import ecoml

space = ecoml.Space({"rate": ecoml.Float(1e-4, 1e-1, log=True), "width": ecoml.Int(8, 64)})

def train(config):
    for step in range(5):
        until = time.process_time() + 0.004
        while time.process_time() < until:
            pass
        yield 0.5 + step / 10

folder, how = sys.argv[1:]
if how == "new":
    searcher = ecoml.Searcher(space, train, budget_j=BUDGET, strategy="random", directory=folder)
else:
    searcher = ecoml.Searcher.resume(folder, train)
searcher.run()
"""
KILLS = 10


def rows(folder: Path, table: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(f"file:{folder / 'ledger.sqlite'}?mode=ro", uri=True) as connection:
        found = connection.execute(f"SELECT * FROM {table} ORDER BY id").fetchall()  # noqa: S608 - names from this file
    connection.close()
    return found


def errors(process: subprocess.Popen[bytes]) -> str:
    """What an ended process wrote to standard error."""
    return process.communicate()[1].decode()


def start(script: Path, folder: Path, how: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, script, str(folder), how], stderr=subprocess.PIPE)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_killed_ten_times_and_resumed(tmp_path, seed):
    folder, script = tmp_path / "run", tmp_path / "search.py"
    script.write_text(SEARCH.replace("BUDGET", "1000"))
    moments = random.Random(seed)
    measurements: list[tuple[Any, ...]] = []
    entries: list[tuple[Any, ...]] = []
    spent_j = 0.0
    for kill in range(KILLS):
        process = start(script, folder, "resume" if (folder / "ledger.sqlite").exists() else "new")
        deadline = time.monotonic() + 60
        while not folder.exists() or len(rows(folder, "measurement")) <= len(measurements):
            assert time.monotonic() < deadline, "the search does not get on"
            assert process.poll() is None, errors(process)
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 0.3 if kill % 2 else 1.3))  # some before, some after a heartbeat
        os.kill(process.pid, signal.SIGKILL)
        errors(process)
        now_measurements, now_entries = rows(folder, "measurement"), rows(folder, "entry")
        assert now_measurements[: len(measurements)] == measurements
        assert now_entries[: len(entries)] == entries
        measurements, entries = now_measurements, now_entries
        result = Result.load(folder)  # readable without being repaired first
        assert result.energy.total_j >= spent_j
        spent_j = result.energy.total_j
    with sqlite3.connect(folder / "ledger.sqlite") as connection:  # the last session gets 5 J more
        connection.execute("UPDATE setting SET value = ? WHERE key = 'budget_j'", (str(spent_j + 5),))
    connection.close()
    process = start(script, folder, "resume")
    said = errors(process)
    assert process.returncode == 0, said
    result = Result.load(folder)
    assert rows(folder, "measurement")[: len(measurements)] == measurements
    assert rows(folder, "entry")[: len(entries)] == entries
    assert not rows_in_flight(folder)
    assert result.energy.total_j <= result.energy.budget_j + result.energy.overshoot_bound_j
    assert sum(part.energy_j for part in result.energy.by_purpose.values()) == pytest.approx(
        sum(row[5] for row in rows(folder, "entry"))
    )
    # A trial's joules: those of its points, and of the step that was cut.
    charged = sum(row[5] for row in rows(folder, "entry") if row[3] is not None)
    assert sum(trial.energy_j for trial in result.trials) == pytest.approx(charged)
    configs = [tuple(trial.config.values()) for trial in result.trials]
    assert len(set(configs)) == len(configs)


def rows_in_flight(folder: Path) -> int:
    with sqlite3.connect(folder / "ledger.sqlite") as connection:
        found = connection.execute("SELECT * FROM in_flight").fetchall()
    connection.close()
    return len(found)


def test_a_second_process_on_the_same_folder_is_refused(tmp_path):
    folder, script = tmp_path / "run", tmp_path / "search.py"
    script.write_text(SEARCH.replace("BUDGET", "1000"))
    first = start(script, folder, "new")
    try:
        deadline = time.monotonic() + 60
        while not (folder / "ledger.sqlite").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        second = subprocess.run(
            [sys.executable, "-m", "ecoml", "resume", str(folder)], capture_output=True, text=True, check=False
        )
    finally:
        first.kill()
        errors(first)
    assert second.returncode == 2
    assert f"another process (number {first.pid}) is writing this run" in second.stderr
    assert len(second.stderr.splitlines()) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_in_order(tmp_path, number):
    folder, script = tmp_path / "run", tmp_path / "search.py"
    script.write_text(SEARCH.replace("BUDGET", "1000"))
    process = start(script, folder, "new")
    deadline = time.monotonic() + 60
    while not folder.exists() or len(rows(folder, "measurement")) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    assert "KeyboardInterrupt" in errors(process)
    assert process.returncode != 0
    result = Result.load(folder)
    assert result.ended == SearchEnd(StopReason.INTERRUPTED)
    assert all(trial.state.ended for trial in result.trials)
    assert not rows_in_flight(folder)
