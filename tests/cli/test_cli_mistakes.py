"""A user's mistake: one line that says what, where and the way out; exit code 2; the disk as it was."""

from __future__ import annotations

import shutil
from inspect import signature
from pathlib import Path

import numpy as np
import pytest
from rigs.run_folders import Course, write_run

from ecoml import Searcher, UsageError
from ecoml.cli.options import in_flags
from ecoml.cli.searching import search

BUDGET = ("--budget-kwh", "1")


def snapshot(folder):
    return {path: path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


def refused(typed, tmp_path, *arguments):
    """The one line with which a call is refused."""
    before = snapshot(tmp_path)
    done = typed(*arguments)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("ecoml: ")
    assert snapshot(tmp_path) == before
    return done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--budget-kwh"),
        (("--budget-kwh", "0"), "positive"),
        (("--budget-kwh", "-1"), "positive"),
        (("--budget-kwh", "nan"), "positive"),
        (("--budget-kwh", "much"), "--budget-kwh"),
        (("--budget-kwh", "1e-9"), "too small for one trial"),
        ((*BUDGET, "--space", "nope"), "known are cnn, cnn-small"),
        ((*BUDGET, "--space", "nope.toml"), "no such file"),
        ((*BUDGET, "--strategy", "nope"), "known are bayes"),
        ((*BUDGET, "--data", "nope"), "known are digits"),
        ((*BUDGET, "--nope", "1"), "No such option: --nope"),
        ((*BUDGET, "--device", "warp"), "warp"),
        ((*BUDGET, "--seed", "-1"), "seed"),
        ((*BUDGET, "--target", "91"), "such as 0.95"),
        ((*BUDGET, "--max-trials", "0"), "whole number of 1 or more"),
        ((*BUDGET, "--grid-intensity", "0"), "give grams of CO2e per kWh"),
        ((*BUDGET, "--max-parameters", "0"), "of 1 or more"),
        ((*BUDGET, "--max-energy-per-training", "-1"), "--max-energy-per-training is -1 kWh; give a positive, finite"),
        ((*BUDGET, "--max-latency", "-1"), "--max-latency is -1 ms; give a positive number"),
        ((*BUDGET, "--warm-start", "nope"), "nope: no such folder"),
        ((*BUDGET, "--data", "fashion-mnist", "--data-dir", ".", "--no-download"), "fashion-mnist"),
    ],
)
def test_a_wrong_option(typed, tmp_path, arguments, said):
    assert said in refused(typed, tmp_path, "search", *arguments)


RATE = '[parameters.learning_rate]\ntype = "float"\n'


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (RATE + 'low = "a"\nhigh = 1\n', "parameters.learning_rate.low = 'a'"),
        (RATE + "low = 1\nhigh = 0.5\n", "swap them"),
        (RATE + "low = 0\nhigh = 0.5\nlog = true\n", "raise low, or leave out log"),
        ('[parameters.block]\ntype = "choice"\noptions = []\n', "list at least one"),
        (RATE + "low = 0.1\nhigh = 0.5\nlogg = true\n", "known are type, low, high, log, when"),
        (RATE.replace("rate", "rat") + "low = 0.1\nhigh = 0.5\n", "did you mean 'learning_rate'"),
        (RATE.replace("]", ""), "not TOML"),
        ("", "parameter"),
    ],
)
def test_a_broken_space(typed, tmp_path, content, said):
    path = tmp_path / "mine.toml"
    path.write_text(content)
    line = refused(typed, tmp_path, "search", *BUDGET, "--space", path)
    assert said in line
    assert "mine" in line


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ("missing", "no such folder"),
        ("empty", "no images by class"),
        ("one class", "at least two"),
        ("broken image", "9.png: cannot be read as an image"),
    ],
)
def test_a_data_folder_that_cannot_be_used(typed, tmp_path, images, trouble, said):
    if trouble in ("missing", "empty"):
        shutil.rmtree(images)
    if trouble == "empty":
        images.mkdir()
    if trouble == "one class":
        shutil.rmtree(images / "dark")
    if trouble == "broken image":
        (images / "dark" / "9.png").write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    assert said in refused(typed, tmp_path, "search", *BUDGET, "--data", images)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": np.zeros((20, 3)), "y": np.zeros(20, int)}, "shape"),
        ({"x": np.zeros((20, 8, 8)), "y": np.zeros(19, int)}, "as many"),
        ({"x": np.array([{}] * 20, dtype=object), "y": np.zeros(20, int)}, "Python objects"),
        ({"x": np.zeros((20, 8, 8))}, "y"),
    ],
)
def test_an_npz_that_cannot_be_used(typed, tmp_path, arrays, said):
    np.savez(tmp_path / "mine.npz", **arrays)
    line = refused(typed, tmp_path, "search", *BUDGET, "--data", tmp_path / "mine.npz")
    assert "mine.npz" in line
    assert said in line


def test_an_output_folder_that_is_there(typed, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    assert "choose another --out" in refused(typed, tmp_path, "search", *BUDGET, "--out", tmp_path / "out")


@pytest.mark.parametrize("command", ["resume", "report", "watch"])
def test_a_folder_that_is_no_run(typed, tmp_path, command):
    assert "no such folder" in refused(typed, tmp_path, command, tmp_path / "nowhere")
    (tmp_path / "there").mkdir()
    assert "not a run folder" in refused(typed, tmp_path, command, tmp_path / "there")
    (tmp_path / "there" / "run.toml").write_text("format = 999\n")
    assert "newer ecoml" in refused(typed, tmp_path, command, tmp_path / "there")
    (tmp_path / "there" / "run.toml").write_text("format = ")
    assert "run.toml" in refused(typed, tmp_path, command, tmp_path / "there")


def test_an_estimate_where_a_measurement_is_required(typed, tmp_path):
    from ecoml.energy import Provenance
    from ecoml.meter import open_meter

    meter = open_meter()
    provenance = meter.provenance
    meter.close()
    if provenance is Provenance.MEASURED:
        pytest.skip("this host measures its energy")
    line = refused(typed, tmp_path, "search", *BUDGET, "--require-measured")
    assert "measured energy is required" in line


def test_a_limit_that_makes_no_sense_is_told_in_the_unit_of_its_option(typed, tmp_path):
    write_run(tmp_path / "r", [Course([(0.9, 10.0)])])
    line = refused(typed, tmp_path, "report", tmp_path / "r", "--max-latency", "-1")
    assert "--max-latency is -1 ms; give a positive number" in line
    strategy = tmp_path / "random.toml"
    strategy.write_text('strategy = "random"\n')
    line = refused(typed, tmp_path, "compare", strategy, "--max-energy-per-training", "-1")
    assert "--max-energy-per-training is -1 kWh" in line


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("resume",), "continue from Python: ecoml.Searcher.resume("),
        (("search", "--config"), "repeat it from Python: ecoml.Searcher(space, train, …).run()"),
        (("profile",), "instead: ecoml profile FILE.py:FUNCTION"),
    ],
)
@pytest.mark.parametrize("executor", ['kind = "function"', 'kind = "own"', 'kind = "cnn"\nmodel = "mine:build"'])
def test_a_run_with_a_training_of_ones_own_names_the_way_out_of_each_command(typed, tmp_path, executor, command, said):
    folder = write_run(tmp_path / "r", [Course([(0.9, 10.0)])])
    settings = (folder / "run.toml").read_text()
    (folder / "run.toml").write_text(settings.replace('kind = "cnn"', executor))
    done = typed(*command, folder)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert "no file contains it" in done.stderr
    assert said in done.stderr


@pytest.mark.parametrize("arguments", [(), ("nowhere",), ("nowhere.csv",)])
def test_nothing_to_compare(typed, tmp_path, arguments):
    refused(typed, tmp_path, "compare", *arguments)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--target", "91", "such as 0.95"),
        ("--reference", "nope", "'nope' is not among the strategies; use one of random"),
        ("--grid-intensity", "-3", "give grams of CO2e per kWh"),
    ],
)
def test_a_comparison_that_makes_no_sense(typed, tmp_path, option, value, said):
    table = tmp_path / "table.csv"
    table.write_text("problem,strategy,seed,trial,energy_j,accuracy\np,random,0,0,10,0.5\n")
    assert said in refused(typed, tmp_path, "compare", table, option, value)


@pytest.mark.parametrize(
    "option",
    [
        ("--budget-kwh", "1"),
        ("--data", "digits"),
        ("--data-dir", "."),
        ("--no-download",),
        ("--space", "cnn"),
        ("--seeds", "3"),
        ("--max-parameters", "9"),
        ("--max-energy-per-training", "1"),
        ("--spend-all",),
        ("--device", "cpu"),
        ("--threads", "2"),
        ("--deterministic",),
        ("--workers", "local:2"),
    ],
)
def test_finished_runs_are_compared_without_options_of_searches(typed, tmp_path, option):
    table = tmp_path / "table.csv"
    table.write_text("problem,strategy,seed,trial,energy_j,accuracy\np,random,0,0,10,0.5\n")
    assert f"nothing is to be run; leave out {option[0]}" in refused(typed, tmp_path, "compare", table, *option)


@pytest.mark.parametrize(
    ("python", "command_line"),
    [
        ("give several times that, at least budget_kwh=0.02", "give several times that, at least --budget-kwh 0.02"),
        ("max_trials is 0; give a whole number of 1 or more", "--max-trials is 0; give a whole number of 1 or more"),
        ("runs/seed: already there; choose another directory=", "runs/seed: already there; choose another --out"),
        ("already there; another directory=; or resume", "already there; another --out; or resume"),
        ("without require_measured=True the search runs", "without --require-measured the search runs"),
        ("start from another run, or leave warm_start= out", "start from another run, or leave --warm-start out"),
        ("the seed is -1; the data in my_data/metric.csv", "the seed is -1; the data in my_data/metric.csv"),
        ("in Python the new total as `budget_kwh`", "in Python the new total as `budget_kwh`"),
    ],
)
def test_errors_name_options_here_and_arguments_in_python(python, command_line):
    assert in_flags(python, signature(search).parameters) == command_line


def test_an_error_in_python_names_its_arguments(space):
    with pytest.raises(UsageError, match=r"already there; choose another directory="):
        Searcher(space, budget_kwh=1, directory=Path(__file__).parent)
