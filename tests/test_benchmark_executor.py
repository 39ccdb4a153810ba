"""The benchmark of the training: that each way trains, and that each report has its figures."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
SHORT = (
    "--data",
    "digits",
    "--width",
    "8",
    "--epochs",
    "2",
    "--seeds",
    "1",
    "--threads",
    "1",
    "--device",
    "cpu",
    "--least-seconds",
    "0",
)


def run(*arguments):
    return subprocess.run(
        [sys.executable, ROOT / "benchmarks/executor.py", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    from ecoml.training.images.data.loader import load

    found = load("digits")
    path = tmp_path_factory.mktemp("digits") / "data.npz"
    np.savez(path, x=found.train.images, y=found.train.labels)
    return path


@pytest.mark.slow
def test_all_ways_are_compared():
    done = run("compare", *SHORT)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()[2:]]
    assert [row[0] for row in rows] == ["plain", "tuned", "ecoml-full", "ecoml"]
    assert rows[0][-2:] == ["1.00", "1.00"]
    assert all(float(row[5]) > 40 for row in rows), "each has learnt something"


@pytest.mark.slow
def test_a_further_trial_has_its_price():
    done = run("fixed", *SHORT)
    assert done.returncode == 0, done.stderr
    assert "ms CPU" in done.stdout
    assert "ms wall beside its epochs" in done.stdout


def test_without_a_gpu_there_is_nothing_to_record():
    done = run("graph", *SHORT)
    assert done.returncode == 1
    assert done.stderr == "graph: there is no GPU here\n"


def test_both_precisions_train_as_well(digits):
    import executor_steps
    import executor_ways

    config = {**executor_ways.RECIPE, "width": 8, "depth": 2, "epochs": 3}
    found = executor_steps.both_precisions(digits, config, 0, {"device": "cpu", "threads": 1})
    ways = [found["float32"], found["bfloat16"]]
    assert all(way["training"] > way["evaluation"] > 0 for way in ways)
    scores = [way["accuracy"] for way in ways]
    assert scores[0] == pytest.approx(scores[1], abs=0.02)
    assert min(scores) > 0.9
    assert found["batch_flop"] > 1e6


def test_recorded_and_eager_steps_train_the_same_network(digits):
    import executor_steps
    import executor_ways

    config = {**executor_ways.RECIPE, "width": 8, "depth": 2, "epochs": 6}
    found = executor_steps.recorded_and_eager(digits, config, 0, {"device": "cpu", "threads": 1, "least_s": 0})
    assert found["apart"] == 0.0, "bit for bit"
    assert found["recorded"]["accuracy"] == found["eager"]["accuracy"] > 0.4
    assert (found["recorded"]["was_recorded"], found["eager"]["was_recorded"]) == (True, False)
