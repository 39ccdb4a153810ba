"""The programs in `examples/` do what they say, on a small budget."""

import json
import runpy
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(name, *arguments, monkeypatch, folder):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    return runpy.run_path(str(EXAMPLES / name), run_name="__main__")


@pytest.mark.parametrize("name", ["pytorch_loop.py", "scikit_learn.py"])
def test_a_search_over_a_training_of_ones_own(name, tmp_path, monkeypatch, capsys):
    budget_kwh = 3e-6
    result = run(name, str(budget_kwh), monkeypatch=monkeypatch, folder=tmp_path)["result"]
    assert result.energy.total_kwh <= budget_kwh + result.energy.overshoot_bound_j / 3.6e6
    assert result.recommended.score > 0.8
    assert "recommended" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:Some inputs do not have OOB scores")  # of few trees
def test_the_forest_in_steps():
    names = runpy.run_path(str(EXAMPLES / "scikit_learn.py"))
    scores = list(names["train_in_steps"]({**names["space"].default, "n_estimators": 40}))
    assert len(scores) == 5
    assert scores[-1] > scores[0]


def test_lightning(tmp_path, monkeypatch, capsys):
    pytest.importorskip("lightning")
    result = run("lightning_training.py", "2e-5", monkeypatch=monkeypatch, folder=tmp_path)["result"]
    curve = [point.score for point in result.trials[0].curve]
    assert len(curve) > 1
    assert curve[-1] > curve[0]  # it goes on with the same network


def test_a_comparison_for_a_paper(tmp_path, monkeypatch, capfd):
    run("compare_for_paper.py", "1", "1.5e-6", monkeypatch=monkeypatch, folder=tmp_path)
    told = json.loads((tmp_path / "runs/for-paper/all/compare.json").read_text())
    assert {"random", "mo-asha", "bayes"} <= set(json.dumps(told).split('"'))
    assert (tmp_path / "runs/for-paper/all/compare.csv").is_file()
