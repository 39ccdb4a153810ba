"""Peers: what is theirs arrives as they would see it, and what is missing is said."""

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from ecoml.errors import UsageError
from ecoml.report.comparison_plan import plan_comparison
from ecoml.report.task import Task
from ecoml.space import Choice, Float, Int, Space
from ecoml.strategy import Start, available_strategies, create_strategy
from ecoml.strategy.peers.optuna_study import OptunaSearch
from ecoml.testing.strategies import Session, mixed_space

LINE = Space({"x": Float(0.0, 1.0), "n": Int(1, 9)})


class Problem:
    def describe(self):
        return {"executor": "made up"}


@pytest.fixture
def without_optuna(monkeypatch):
    monkeypatch.setattr("ecoml.strategy.peers.find_spec", lambda name: None if name == "optuna" else find_spec(name))


@pytest.mark.usefixtures("without_optuna")
def test_a_missing_package_is_one_line_with_the_remedy():
    with pytest.raises(UsageError, match=r"optuna.*pip install 'ecoml\[peers\]'$"):
        create_strategy("optuna-tpe", LINE, 0)
    listed = dict(available_strategies())
    assert "not installed" in listed["optuna-gp"]
    assert "not installed" not in listed["mo-asha"] + listed["paper-bo"]


@pytest.mark.usefixtures("without_optuna")
def test_a_comparison_leaves_out_what_is_not_installed_and_says_so(tmp_path):
    for name in ("random", "optuna"):
        (tmp_path / f"{name}.toml").write_text(f'strategy = "{name}"\n')
    said: list[str] = []
    problem: Any = Problem()
    task = Task(LINE, problem, budget_j=1.0)
    plan = plan_comparison(tmp_path, task, seeds=1, out=tmp_path / "out", say=said.append)
    assert set(plan.strategies) == {"random", "bayes"}
    assert len(said) == 1
    assert "optuna" in said[0]
    assert "pip install" in said[0]
    with pytest.raises(UsageError, match="not installed"):
        plan_comparison(tmp_path / "optuna.toml", task, seeds=1, out=tmp_path / "out")


def test_a_pruner_goes_with_one_objective(tmp_path):
    path = tmp_path / "both.toml"
    path.write_text('strategy = "optuna"\n[settings]\nsampler = "nsga2"\npruner = "median"\n')
    with pytest.raises(UsageError, match=r"both\.toml.*one objective"):
        create_strategy(path, LINE, 0)


def test_optuna_sees_every_trial_with_its_parameters_and_value():
    optuna = pytest.importorskip("optuna")
    strategy = create_strategy("optuna-tpe", mixed_space(), 1)
    session = Session(strategy)
    session.run(6)
    assert isinstance(strategy, OptunaSearch)
    theirs = strategy._study.trials
    assert [trial.params for trial in theirs] == [
        {name: value for name, value in trial.config.items() if name != "epochs"} for trial in session.trials.values()
    ]
    assert [trial.value for trial in theirs] == [trial.accuracy for trial in session.trials.values()]
    seen = theirs[0].distributions
    assert seen["learning_rate"] == optuna.distributions.FloatDistribution(1e-4, 1.0, log=True)
    assert seen["width"] == optuna.distributions.IntDistribution(4, 64, log=True)
    assert seen["optimizer"] == optuna.distributions.CategoricalDistribution(("sgd", "adamw"))
    assert all(("momentum" in trial.params) == (trial.params["optimizer"] == "sgd") for trial in theirs)


def test_a_search_by_tpe_is_that_of_optuna_until_its_first_model():
    """Ten random proposals, and from then on those near the best: better than what ten random ones gave."""
    pytest.importorskip("optuna")
    found = []
    for seed in range(4):
        session = Session(create_strategy("optuna-tpe", Space({"width": Int(1, 10_000), "depth": Choice([1])}), seed))
        session.run(30)
        widths = [trial.config["width"] for trial in session.trials.values()]
        found.append(np.mean(widths[20:]) / np.mean(widths[:10]))
    assert np.median(found) > 1.2


def test_pruned_trials_are_left_and_the_others_are_trained_to_their_end():
    pytest.importorskip("optuna")
    for name in ("optuna-tpe-median", "optuna-tpe-hyperband"):
        session = Session(create_strategy(name, mixed_space(), 0))
        session.run(120)
        pruned = [trial for trial in session.trials.values() if trial.step < 3]
        whole = [trial for trial in session.trials.values() if trial.step == 3]
        assert pruned, name
        assert whole, name
        assert max(t.curve[0].accuracy for t in whole) >= max(t.curve[0].accuracy for t in pruned)


def test_the_papers_search_begins_at_random_and_then_goes_for_accuracy():
    session = Session(create_strategy("paper-bo", Space({"width": Int(1, 2000), "depth": Choice([1])}), 0))
    decisions = session.run(4)
    assert decisions[0] == create_strategy("random", Space({"width": Int(1, 2000), "depth": Choice([1])}), 0).ask()
    assert all(isinstance(decision, Start) and decision.steps is None for decision in decisions)
