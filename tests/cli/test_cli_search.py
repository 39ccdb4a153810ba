"""The main job end to end, through the command line, on real data."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from shutil import copyfile

import pytest
import torch

from ecoml import CnnTraining, load_model
from ecoml.run.result import Result


def truth(folder):
    """What the database itself says, read without ecoml."""
    with sqlite3.connect(folder / "ledger.sqlite") as db:
        entries = db.execute("SELECT purpose, SUM(energy_j) FROM entry GROUP BY purpose").fetchall()
        points = db.execute("SELECT trial, step, score, energy_j FROM measurement ORDER BY id").fetchall()
        trials = db.execute("SELECT COUNT(*) FROM trial").fetchone()[0]
    db.close()
    cumulative: dict[int, float] = {}
    curve = []
    for trial, step, score, energy_j in points:
        cumulative[trial] = cumulative.get(trial, 0.0) + energy_j
        curve.append((trial, step, score, cumulative[trial]))
    front = [
        (t, s) for t, s, a, e in curve if not any(a2 >= a and e2 <= e and (a2, e2) != (a, e) for _, _, a2, e2 in curve)
    ]
    return dict(entries), trials, front


def check(done, folder, budget_j):
    """What must hold of every search that ended well."""
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    by_purpose, trials, front = truth(folder)
    energy = told["energy"]
    assert energy["total_j"] <= budget_j + energy["overshoot_bound_j"]
    told_by_purpose = {purpose: part["energy_j"] for purpose, part in energy["by_purpose"].items()}
    assert sum(told_by_purpose.values()) == pytest.approx(energy["total_j"])
    assert {p: e for p, e in told_by_purpose.items() if e} == pytest.approx(by_purpose)
    assert len(told["trials"]) == trials
    assert sorted((t["trial"], t["step"]) for t in told["front"]) == sorted(front)
    assert told["recommended"]["score"] >= max(t["score"] for t in told["front"]) - 0.0101
    assert Path(told["card"]).read_text().startswith(f"# {Path(told['problem']).name}: an image classifier")
    page = (folder / "report.html").read_text()
    assert f"{100 * told['recommended']['score']:.2f} %" in page
    assert energy["provenance"] in page
    return told


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["bayes", "random"])
def test_fashion_mnist_from_a_folder(ecoml, tmp_path, fashion_mnist, tiny_space, strategy):
    folder = tmp_path / "run"
    done = ecoml(
        *("search", "--budget-kwh", 0.00002, "--data", "fashion-mnist", "--data-dir", fashion_mnist, "--no-download"),
        *("--space", tiny_space, "--strategy", strategy, "--out", folder, "--json"),
    )
    told = check(done, folder, 72)
    assert told["recommended"]["score"] > 0.7
    assert told["recommended"]["test_score"] == pytest.approx(told["recommended"]["score"], abs=0.05)


@pytest.mark.slow
def test_digits_by_default_and_what_can_be_done_with_the_run(ecoml, typed, tmp_path):
    folder = tmp_path / "run"
    done = ecoml("search", "--budget-kwh", 0.00002, "--out", folder, "--json", "--seed", 3)
    told = check(done, folder, 72)
    assert told["recommended"]["score"] > 0.9
    best = told["recommended"]
    network = load_model(folder, best["trial"], step=best["step"])
    with torch.inference_mode():
        assert network(torch.rand(2, 1, 8, 8)).shape == (2, 10)
    assert set(told["front"][0]) >= {"score", "energy_j", "provenance", "test_score"}

    refused = typed("resume", folder)
    if refused.returncode == 2:  # the rest of the budget would not even start a process
        assert "--add-kwh" in refused.stderr
    again = typed("resume", folder, "--add-kwh", 0.00001, "--json")
    more = check(again, folder, 72 + 36)
    for trial, later in zip(told["trials"], more["trials"], strict=False):
        assert trial["usage"] in (None, later["usage"])
    for trial in (*told["trials"], *more["trials"]):
        trial.pop("believed_score", None)  # more is known by then
        trial.pop("usage")
    assert more["trials"][: len(told["trials"]) - 1] == told["trials"][:-1]
    assert more["energy"]["total_j"] > told["energy"]["total_j"]

    shown = typed("report", folder, "--grid-intensity", 250)
    assert shown.returncode == 0
    assert "at 250 g/kWh, as given" in (folder / "report.html").read_text()
    watched = typed("watch", folder)
    assert watched.returncode == 0, watched.stderr
    assert f"trial {more['recommended']['trial']} after" in watched.stdout
    assert {path.suffix for path in (folder / "figures").iterdir()} == {".png", ".svg", ".pdf"}
    again = [sys.executable, "-X", "importtime", "-m", "ecoml", "report", str(folder), "--no-figures"]
    loaded = subprocess.run(again, capture_output=True, text=True, check=True, timeout=120)
    assert loaded.stdout.splitlines() == [str(folder / "report.html"), str(folder / "card.md")]
    imported = {line.rpartition("|")[2].strip() for line in loaded.stderr.splitlines()}
    assert "altair" in imported
    assert "torch" not in imported


@pytest.mark.slow
def test_a_folder_of_images_of_mixed_sizes(typed, tmp_path, images, tiny_space):
    folder = tmp_path / "run"
    done = typed(
        *("search", "--budget-kwh", 0.0001, "--data", images, "--space", tiny_space, "--strategy", "random"),
        *("--max-trials", 3, "--target", 0.99, "--out", folder, "--json"),
    )
    told = check(done, folder, 360)
    assert told["recommended"]["score"] > 0.9


@pytest.mark.slow
def test_limits_and_a_warm_start(typed, tmp_path, images, tiny_space):
    what = ("--data", images, "--space", tiny_space, "--strategy", "random", "--json")
    limits = ("--max-parameters", 700, "--max-energy-per-training", 1.2e-6)
    done = typed("search", "--budget-kwh", 0.0001, *what, *limits, "--max-trials", 3, "--out", tmp_path / "first")
    told = json.loads(done.stdout)
    assert len(told["trials"]) == 3
    training = CnnTraining(images)
    assert all(training.parameters(trial["config"]) <= 700 for trial in told["trials"])
    assert all(trial["energy_j"] <= 1.2e-6 * 3.6e6 for trial in told["front"])
    assert told["limits"]["max_parameters"] == 700

    models = {(model["trial"], model["step"]): Path(model["path"]) for model in told["models"]}
    assert set(models) >= {(trial["trial"], trial["step"]) for trial in told["front"]}, "and those that nearly tie"
    assert all(path.is_file() for path in models.values())

    kept = copyfile(tmp_path / "first" / "run.toml", tmp_path / "mine.toml")
    more = typed("search", "--config", kept, "--max-trials", 1, "--warm-start", tmp_path / "first", "--json")
    again = json.loads(more.stdout)
    assert again["warm_start"]["trials"] == 3
    assert "learns nothing" in more.stderr
    assert again["limits"] == {**told["limits"], "max_trials": 1}
    assert again["trials"][0]["config"] == told["trials"][0]["config"]
    assert (again["problem"], again["energy"]["budget_j"]) == (told["problem"], 360)

    none = typed("search", "--budget-kwh", 0.0001, *what, "--max-parameters", 10, "--out", tmp_path / "none")
    assert none.returncode == 2
    assert "the smallest of those proposed has" in none.stderr.splitlines()[-1]
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
def test_same_seed_same_proposals_in_another_process(ecoml, typed, tmp_path, images, tiny_space):
    configs = []
    for run, search in (("a", typed), ("b", ecoml)):
        done = search(
            *("search", "--budget-kwh", 0.0001, "--data", images, "--space", tiny_space, "--strategy", "random"),
            *("--max-trials", 3, "--out", tmp_path / run, "--json"),
        )
        told = json.loads(done.stdout)
        configs.append([(trial["config"], trial["score"]) for trial in told["trials"]])
    assert configs[0] == configs[1]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_stopped_in_the_middle_and_resumed(typed, tmp_path, number):
    folder = tmp_path / "run"
    arguments = ["search", "--budget-kwh", "0.01", "--strategy", "sobol", "--out", str(folder)]
    process = subprocess.Popen(
        [sys.executable, "-m", "ecoml", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not folder.exists() or len(Result.load(folder).progress) < 15:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.1)
    os.kill(process.pid, number)
    out, err = process.communicate(timeout=60)
    before = Result.load(folder)
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert f"ecoml resume {folder}" in err
        assert "Traceback" not in err
        assert "Recommended" in out
    with sqlite3.connect(folder / "ledger.sqlite") as db:  # a budget that is soon spent
        db.execute("UPDATE setting SET value = ? WHERE key = 'budget_j'", (str(before.energy.total_j + 30),))
    db.close()
    told = check(typed("resume", folder, "--json"), folder, before.energy.total_j + 30)
    after = Result.load(folder)
    assert after.progress[: len(before.progress)] == before.progress
    assert told["energy"]["total_j"] > before.energy.total_j
    assert before.trials[0].usage in (None, after.trials[0].usage)
    assert after.trials[0] == replace(before.trials[0], usage=after.trials[0].usage)


def test_stopped_before_anything_has_begun(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED_WHILE_GETTING_READY, "search", "--budget-kwh", "1", "--out", "run"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "ecoml: interrupted before the search started\n")
    assert list(tmp_path.iterdir()) == []


INTERRUPTED_WHILE_GETTING_READY = """
from ecoml import CnnTraining
from ecoml.cli import main

def interrupted(self, space=None):
    raise KeyboardInterrupt

CnnTraining.prepare = interrupted
main()
"""


def test_what_can_be_named_is_listed(typed):
    for command, name in (("spaces", "paper-3"), ("strategies", "bayes"), ("data", "fashion-mnist"), ("meters", "cpu")):
        done = typed(command)
        assert done.returncode == 0, done.stderr
        assert name in done.stdout
        rows = json.loads(typed(command, "--json").stdout)
        assert any(name in str(row.values()) for row in rows)
        first = [next(iter(row.values())) for row in rows]
        assert len(first) == len(set(first)) or command == "meters", "nothing is listed twice"


def test_help_names_every_command(typed):
    done = typed("--help")
    for command in ("search", "resume", "compare", "report", "watch", "meters", "spaces", "strategies", "data"):
        assert f"\n  {command} " in done.stdout
        assert typed(command, "--help").returncode == 0
