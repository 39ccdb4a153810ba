"""Recorded trainings, and synthetic ones: that a recording survives a kill, and what strategies are told of either."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import record
import small_budgets
import strategy_recorded
from strategy_prior import Centred, with_prior
from strategy_recorded import Measured, mappings, open_recorded, recording
from strategy_synthetic import SYNTHETIC, open_synthetic

import ecoml
from ecoml.errors import UsageError

ROOT = Path(record.__file__).parents[1]
EPOCHS = 12


def test_the_default_comes_first_and_no_other_configuration_twice():
    space = ecoml.load_space("cnn-small")
    found = [config for config, _ in zip(record.configs(space), range(60), strict=False)]
    assert found[: record.DEFAULTS] == [space.default] * record.DEFAULTS
    others = [tuple(sorted(config.items())) for config in found[record.DEFAULTS - 1 :]]
    assert len(set(others)) == len(others)


@pytest.mark.slow
def test_a_killed_recording_goes_on_where_it_was(tmp_path):
    command = [sys.executable, str(ROOT / "benchmarks/record.py"), "--data", "digits", "--out", str(tmp_path)]
    command += ["--kept-in", str(tmp_path / "data")]
    file, environment = tmp_path / "digits.parquet", os.environ | {"PYTHONPATH": str(ROOT)}
    killed = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    deadline_s = time.monotonic() + 200
    while not file.is_file() and time.monotonic() < deadline_s:
        time.sleep(0.02)
    killed.kill()
    killed.wait()
    before, about = record.read(file)
    assert len(before) >= 1
    assert len(before[0]["validation"]) == len(before[0]["test"]) == len(before[0]["cpu_s"]) == EPOCHS
    assert before[0]["test"][-1] > 0.95
    assert min(before[0]["cpu_s"]) > 0
    assert "benchmarks/record.py --data digits" in about["command"]
    subprocess.run([*command, "--trainings", str(len(before) + 1)], env=environment, check=True, capture_output=True)
    after, _ = record.read(file)
    assert after[:-1] == before
    assert after[-1]["number"] == len(before)


def test_data_that_are_not_there_are_said(tmp_path, capsys):
    arguments = ["--out", str(tmp_path), "--kept-in", str(tmp_path)]
    assert record.main(["--data", "no-such-data", *arguments]) == 2
    assert "no-such-data" in capsys.readouterr().err


@pytest.fixture
def made_up(tmp_path, monkeypatch):
    """A recording of a made-up data set: tests are 0.01 below validations, one training diverged in its fifth epoch."""
    space = ecoml.load_space("cnn-small")
    kept = record.Recording(tmp_path / "made-up.parquet", [], {"command": "none"})
    rng = np.random.default_rng(0)
    for number, config in zip(range(30), record.configs(space), strict=False):
        validation = np.sort(rng.uniform(0.2, 0.9, EPOCHS)).tolist()[: 4 if number == 20 else EPOCHS]
        row = {"number": number, **{name: config.get(name) for name in space.free}, "began": "now"}
        row |= {
            "validation": validation,
            "test": [v - 0.01 for v in validation],
            "cpu_s": [2.0 + number] * len(validation),
        }
        kept.add(row)
    monkeypatch.setattr(strategy_recorded, "FOLDER", tmp_path)
    return kept.rows, space


def test_strategies_are_told_validations_and_judged_by_tests(made_up, tmp_path):
    rows, space = made_up
    assert record.read(tmp_path / "made-up.parquet")[0] == rows
    problem = open_recorded("recorded", "made-up", 1, tmp_path)
    assert isinstance(problem, Measured)
    for number, config in zip(range(30), record.configs(space), strict=False):
        if number < record.DEFAULTS and number != 1:
            continue  # of the default's trainings this seed sees the second
        told, step_j = problem.curve(config)
        steps = len(rows[number]["validation"])
        assert told[:steps].tolist() == rows[number]["validation"]
        assert problem.exact.curve(config)[0][:steps] == pytest.approx(told[:steps] - 0.01)
        assert step_j == pytest.approx(np.full(EPOCHS, 3.5 * (2.0 + number)))
        assert (told[steps:] == 0.1).all(), "what diverged is at chance from then on"


def test_the_default_alone_is_its_best_validated_training(made_up):
    rows, _ = made_up
    of = recording("made-up")
    ends = [row["test"][-1] for row in rows[: record.DEFAULTS]]
    assert of.default_alone(1) == pytest.approx(np.mean(ends))
    assert of.default_alone(64) == pytest.approx(max(ends))
    assert of.default_alone(1) < of.default_alone(2) < of.default_alone(64)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_small_budgets_are_compared_on_a_recording(made_up, tmp_path, capsys):
    cell = small_budgets.Cell("made-up", "random", 2.0, 0, "recorded", None, tmp_path, True)
    row = small_budgets.run(cell)
    assert row["steps"][0] == EPOCHS, "the default is trained to its end"
    assert row["spent"] <= 1.0 + 1e-9
    assert row["default"] == recording("made-up").default_alone(2)
    assert "recorded | made-up | random | " in small_budgets.table([row])


def test_a_prior_can_be_put_around_a_default(made_up):
    space = with_prior(recording("made-up").space, 0.55)
    assert (space.free["width"].prior_width, space.free["head"].prior_width) == (0.55, 0.5)
    assert space.fixed == recording("made-up").space.fixed
    assert Centred(open_recorded("recorded", "made-up", 0, Path()), space).space is space


def test_a_recording_that_is_not_there_or_too_small_is_said(made_up, tmp_path, capsys):
    arguments = ["--trainings", "2", "--seeds", "0", "--strategies", "random", "--out", str(tmp_path)]
    assert small_budgets.main(["--recorded", "elsewhere", *arguments]) == 2
    assert "benchmarks/record.py --data elsewhere" in capsys.readouterr().err
    assert mappings("made-up") == ("recorded",)
    with pytest.raises(UsageError, match=r"30 trainings on 'made-up' are recorded, and a smooth model needs 1000"):
        open_recorded("recorded-smooth", "made-up", 0, tmp_path)
    with pytest.raises(UsageError, match=r"made-up.*benchmarks/record.py --data elsewhere"):
        recording("elsewhere")


def curves(task, count=200):
    problem = open_synthetic(task)
    configs = [problem.space.sample(np.random.default_rng(seed)) for seed in range(count)]
    found = [problem.curve(config) for config in configs]
    return np.array([score for score, _ in found]), np.array([step_j.sum() for _, step_j in found])


def ranks(values):
    return np.argsort(np.argsort(values))


def early_tells(score, step=3):
    return np.corrcoef(ranks(score[:, step - 1]), ranks(score[:, -1]))[0, 1]


def test_what_makes_synthetic_curves_hard_is_there():
    plain, cheap_to_dear = curves("noise-0")
    assert early_tells(plain) > 0.9
    plateaus, _ = curves("plateaus-0")
    good = np.argsort(-plateaus[:, -1])[:20]
    assert np.median(plateaus[good, 12]) < 0.15 < 0.6 < plateaus[good, -1].min(), "a third of the training at chance"
    assert early_tells(plateaus) < 0
    crossings, _ = curves("crossings-0")
    assert early_tells(crossings) < 0.5 < early_tells(crossings, 10)
    divergence, _ = curves("divergence-0")
    assert 0.15 < (divergence[:, -1] == 0.1).mean() < 0.45
    _, joules = curves("costs-0")
    assert joules.max() / joules.min() > 50 > 5 > cheap_to_dear.max() / cheap_to_dear.min()


@pytest.mark.parametrize("trait", SYNTHETIC)
def test_a_landscape_follows_from_its_number(trait):
    one, again, other = (open_synthetic.__wrapped__(f"{trait}-{number}") for number in (0, 0, 1))
    config = one.space.sample(np.random.default_rng(0))
    assert (one.curve(config)[0] == again.curve(config)[0]).all()
    assert (one.curve(config)[0] != other.curve(config)[0]).any()
    assert ((one.curve(config)[0] >= 0) & (one.curve(config)[0] <= 1)).all()
    assert (one.curve(config)[1] > 0).all()


def test_a_synthetic_problem_that_is_not_there_is_said():
    with pytest.raises(UsageError, match="valleys-0"):
        open_synthetic("valleys-0")
