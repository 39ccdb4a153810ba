"""What users' programs do to a search: each of these has lost results, hung or lied once."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
from typing import Any

import numpy as np
import pytest
import torch
from rigs.scripts import asked, curve, why

import ecoml
from ecoml.endings import FailureKind
from ecoml.errors import RunFolderError, RunLockedError, SearchFailed, TrainingError, UsageError
from ecoml.run.result import Result

KINDS = [np.float32, np.float64, np.int64, torch.tensor, lambda value: np.array(float(value))]


@pytest.mark.parametrize("number", KINDS)
def test_numbers_of_other_libraries_are_numbers(space, reported, run_folder, number):
    def train(config):
        yield ecoml.Measurement(number(1), energy_j=number(10), uncertainty_j=number(1))

    result = ecoml.Searcher(space, train, budget_j=30, **reported).run()
    assert [(trial.score, trial.energy_j) for trial in result.trials] == [(1.0, 10.0)] * 3
    assert Result.load(run_folder) == result


@pytest.mark.parametrize("score", [None, "0.9", True, np.bool_(True), [0.5, 0.6], torch.zeros(2), {"accuracy": 0.9}])
def test_what_is_no_number_is_one_clear_error_before_it_is_stored(space, reported, run_folder, score):
    with ecoml.Searcher(space, budget_j=100, **reported) as searcher:
        trial = asked(searcher)
        with pytest.raises(TrainingError, match="score is") as error:
            searcher.tell(trial, score, energy_j=1.0)
        assert "\n" not in str(error.value)
        searcher.tell(trial, 0.5, energy_j=1.0)  # and nothing is lost
    assert [trial.score for trial in Result.load(run_folder).trials] == [0.5]


@pytest.mark.parametrize("half_j", [float("nan"), -1.0, "wide"])
def test_an_uncertainty_that_makes_no_sense_is_refused(half_j):
    with pytest.raises(TrainingError, match="uncertainty_j is"):
        ecoml.Measurement(0.5, 1.0, half_j)


def test_single_precision_may_pass_a_bound_and_no_more(space, reported):
    scores = iter([1.0000001, 1.00001])

    def train(config):
        yield ecoml.Measurement(next(scores), energy_j=1.0)

    result = ecoml.Searcher(space, train, budget_j=100, max_trials=2, **reported).run()
    assert result.trials[0].score == 1.0
    assert why(result.trials[1]).reason is FailureKind.OUT_OF_RANGE


def test_a_training_that_ends_without_a_measurement_has_failed(space, quick, run_folder, meter):
    def train(config):
        meter.spend(1)
        yield from ()

    with pytest.raises(SearchFailed, match="without a measurement"):
        ecoml.Searcher(space, train, budget_j=1e6, meter=meter, **quick).run()
    trials = Result.load(run_folder).trials
    assert 0 < len(trials) <= 20
    assert {why(trial).reason for trial in trials} == {FailureKind.NO_MEASUREMENT}


def test_a_stop_iteration_that_leaves_a_function_is_an_error_with_its_place(space, reported):
    def train(config):
        return next(iter([]))  # an empty loader

    with pytest.raises(
        SearchFailed, match=r"3 trials in a row failed.*StopIteration left.*\(test_searcher_faults\.py:\d+\)"
    ):
        ecoml.Searcher(space, train, budget_j=1e6, **reported).run()


def test_open_trials_count_although_nothing_is_known_of_them(space, reported):
    with ecoml.Searcher(space, budget_j=40, **reported) as searcher:
        given = []
        while (trial := searcher.ask()) is not None:
            given.append(trial)
        assert len(given) == 10
        for trial in given:
            searcher.tell(trial, 0.5, energy_j=1.0)
        while (trial := searcher.ask()) is not None:
            given.append(trial)
        assert len(given) == 40  # what a trial takes is known now
        for trial in given[10:]:
            searcher.tell(trial, 0.5, energy_j=1.0)
        assert searcher.ask() is None
        assert searcher.result.energy.total_j == 40


def test_an_error_while_a_training_is_closed_ends_nothing(space, reported):
    def train(config):
        try:
            for _ in range(9):
                yield ecoml.Measurement(0.5, energy_j=10)
        finally:
            raise OSError("the log file is gone")

    result = ecoml.Searcher(space, train, budget_j=1e3, target=0.5, **reported).run()
    assert len(result.trials) == 1
    assert any("the log file is gone" in gap for gap in result.energy.gaps)


def printed(reported, script):
    """What a process prints that has little to fork; nothing went wrong in it."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)],
        capture_output=True, text=True, timeout=60, cwd=reported["directory"].parent, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout.strip()


def test_a_child_that_a_training_forks_ends_however_early_it_is_told_to(reported):
    """A signal that comes before the child is set up is not forgotten: a pool that ends at once would wait for ever."""
    assert printed(reported, """
        import os, signal, time, ecoml

        def train(config):
            outlived = []
            for _ in range(150):
                if (child := os.fork()) == 0:
                    time.sleep(20)
                    os._exit(0)
                os.kill(child, signal.SIGTERM)
                _, status = os.waitpid(child, 0)
                outlived.append(os.WTERMSIG(status) != signal.SIGTERM)
            yield ecoml.Measurement(1 - sum(outlived) / 150, energy_j=1.0)

        space = ecoml.Space({"x": ecoml.Float(0, 1)})
        result = ecoml.Searcher(space, train, budget_j=1, strategy="random", energy="reported", directory="run").run()
        print(result.trials[0].score)
    """) == "1.0"  # fmt: skip


def test_a_pool_inside_a_training_ends(reported):
    assert printed(reported, """
        import multiprocessing, ecoml

        def train(config):
            with multiprocessing.get_context("fork").Pool(2) as pool:
                return ecoml.Measurement(sum(pool.map(abs, [0.1, 0.2])), energy_j=1.0)

        space = ecoml.Space({"x": ecoml.Float(0, 1)})
        result = ecoml.Searcher(space, train, budget_j=3, strategy="random", energy="reported", directory="run").run()
        print(len(result.trials))
    """) == "3"  # fmt: skip


def test_a_forked_child_holds_no_lock(space, reported, run_folder):
    searcher = ecoml.Searcher(space, budget_j=100, **reported)
    asked(searcher)
    done = multiprocessing.get_context("fork").Event()
    child = multiprocessing.get_context("fork").Process(target=done.wait, args=(60,))
    child.start()
    try:
        searcher.close()
        ecoml.Searcher.resume(run_folder).close()
    finally:
        done.set()
        child.join()


def test_a_cell_that_is_run_twice_is_told_what_to_close(space, reported, run_folder):
    first = ecoml.Searcher(space, budget_j=100, **reported)
    asked(first)
    with pytest.raises(RunLockedError, match="this very process"):
        ecoml.Searcher.resume(run_folder)
    first.close()


def test_run_ends_a_searcher(space, reported):
    searcher = ecoml.Searcher(space, curve([0.5]), budget_j=30, **reported)
    searcher.run()
    with pytest.raises(UsageError, match="this search has ended"):
        searcher.run()


def test_searches_that_start_in_the_same_second_have_folders_of_their_own(space, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options: dict[str, Any] = {"budget_j": 30, "strategy": "random", "energy": "reported"}
    searchers = [ecoml.Searcher(space, curve([0.5]), **options) for _ in range(3)]
    folders = {searcher.run().directory for searcher in searchers}
    assert len(folders) == 3
    assert all(Result.load(folder).complete for folder in folders)


def test_a_file_of_that_name_is_no_strategy(space, reported, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "random").write_text("my notes")
    assert ecoml.Searcher(space, curve([0.5]), budget_j=30, **reported).run().strategy == "random"


def test_what_a_failed_start_left_behind_blocks_nobody(space, reported, run_folder):
    left = run_folder.parent / f".{run_folder.name}.{os.getpid()}"
    (left / "models").mkdir(parents=True)
    assert ecoml.Searcher(space, curve([0.5]), budget_j=30, **reported).run().complete


def test_numpy_may_raise_all_it_likes(space, quick, meter):
    def train(config):
        meter.spend(1)
        yield config["width"] / 100

    with np.errstate(all="raise"):
        result = ecoml.Searcher(space, train, budget_j=25, meter=meter, **{**quick, "strategy": "bayes"}).run()
    assert len(result.trials) > 10


@pytest.fixture
def finished(space, reported, run_folder):
    ecoml.Searcher(space, curve([0.5] * 30), budget_j=3000, **reported).run()
    return run_folder


def test_a_damaged_ledger_is_called_damaged(finished):
    ledger = finished / "ledger.sqlite"
    content = bytearray(ledger.read_bytes())
    content[4096 : 4096 + 2048] = bytes(2048)
    ledger.write_bytes(content)
    with pytest.raises(RunFolderError, match="damaged"):
        Result.load(finished)


def test_a_truncated_ledger_is_called_damaged(finished):
    ledger = finished / "ledger.sqlite"
    ledger.write_bytes(ledger.read_bytes()[:6000])
    with pytest.raises(RunFolderError, match="damaged"):
        Result.load(finished)


def test_a_missing_key_is_named(finished):
    file = finished / "run.toml"
    file.write_text(file.read_text().replace("seed =", "sead ="))
    with pytest.raises(RunFolderError, match=r"run\.seed is missing"):
        Result.load(finished)


def test_a_run_is_read_where_nothing_can_be_written(finished, tmp_path):
    """As on a read-only mount: SQLite can make no file beside the ledger there."""
    mount = tmp_path / "mount"
    shutil.copytree(finished, mount)
    with sqlite3.connect(mount / "ledger.sqlite") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
    for beside in ("ledger.sqlite-wal", "ledger.sqlite-shm"):
        (mount / beside).unlink(missing_ok=True)
        (mount / beside).mkdir()  # nobody, root included, can open these for writing
    assert len(Result.load(mount).trials) == len(Result.load(finished).trials)


def test_three_that_fail_alike_at_once_are_enough_and_the_line_is_named(space, quick, meter, run_folder):
    def train(config):
        raise KeyError("no such column")

    with pytest.raises(
        SearchFailed, match=r"3 trials in a row failed.*no such column.*\(test_searcher_faults\.py:\d+\)"
    ):
        ecoml.Searcher(space, train, budget_j=1e6, meter=meter, **quick).run()
    assert len(Result.load(run_folder).trials) == 3


def test_numbers_of_numpy_are_numbers_wherever_one_may_be_given(tmp_path):
    def number(kind, value) -> Any:
        return kind(value)

    widths: Any = np.array([8, 16, 32])
    space = ecoml.Space(
        {
            "width": ecoml.Choice(widths),
            "rate": ecoml.Float(number(np.float32, 0.25), number(np.float64, 1.0)),
            "depth": ecoml.Int(number(np.int64, 1), number(np.int32, 5)),
            "fixed": number(np.int16, 3),
        }
    )
    given: dict[str, Any] = {"budget_j": np.int64(20), "seed": np.uint8(3), "energy": "reported", "strategy": "random"}
    given |= {"directory": tmp_path / "r"}
    result = ecoml.Searcher(space, lambda _: iter([ecoml.Measurement(0.5, 1.0)]), **given).run()
    kept = ecoml.Result.load(tmp_path / "r")
    assert [trial.config for trial in kept.trials] == [trial.config for trial in result.trials]
    assert {type(value) for trial in result.trials for value in trial.config.values()} == {int, float}
    assert kept.seed == 3


def test_an_error_whose_message_cannot_be_shown_fails_its_trial_only(tmp_path):
    class BrokenError(Exception):
        def __str__(self):
            raise ValueError("no words")

    def train(config):
        if config["x"] < 0.5:
            raise BrokenError
        yield ecoml.Measurement(config["x"], 1.0)

    space = ecoml.Space({"x": ecoml.Float(0, 1)})
    given: dict[str, Any] = {"energy": "reported", "strategy": "random", "directory": tmp_path / "r"}
    result = ecoml.Searcher(space, train, budget_j=10, **given).run()
    failed = [trial.end for trial in result.trials if trial.end is not None and trial.end.failed]
    assert failed
    assert all("its message cannot be shown (ValueError)" in end.details["message"] for end in failed)


def test_trainings_that_all_fail_after_a_measurement_leave_what_they_measured(space):
    def train(config):
        yield ecoml.Measurement(0.5, energy_j=1.0)
        raise RuntimeError("no such layer")

    result = ecoml.Searcher(space, train, budget_j=3.5, energy="reported", strategy="random", directory=None).run()
    assert [trial.state for trial in result.trials[:2]] == ["failed", "failed"]
    assert result.recommended is not None
    assert result.recommended.score == 0.5
