"""SMAC as a strategy: what it is told, what it promotes, and how it goes on in another process."""

import os
import subprocess
import sys

import numpy as np
import pytest
from rigs.peers import LINE, trials_of

from ecoml.space import Choice, Float, Int, Space
from ecoml.strategies import Continue, End, Start, create_strategy
from ecoml.strategies.peers.smac_facade import SmacSearch
from ecoml.testing.recorder import record_search
from ecoml.testing.strategies import STEPS, mixed_space, outcome, train, train_or_fail
from ecoml.trial import Trial, TrialState


def test_smac_sees_every_parameter_as_it_is_and_every_accuracy():
    ConfigSpace = pytest.importorskip("ConfigSpace")  # noqa: N806
    strategy = create_strategy("smac", mixed_space(), 1)
    trials = trials_of(strategy, mixed_space(), 8, train_or_fail)
    strategy.ask()  # it is told what has become of the last one
    assert isinstance(strategy, SmacSearch)
    assert strategy._smac is not None
    seen = strategy._smac.scenario.configspace
    assert seen["learning_rate"] == ConfigSpace.UniformFloatHyperparameter("learning_rate", 1e-4, 1.0, log=True)
    assert seen["width"] == ConfigSpace.UniformIntegerHyperparameter("width", 4, 64, log=True)
    assert seen["optimizer"] == ConfigSpace.CategoricalHyperparameter("optimizer", [0, 1])
    told = list(strategy._smac.runhistory.values())[:8]
    states = [trial.state for trial in trials]
    assert set(states) == {TrialState.FINISHED, TrialState.FAILED}
    assert [value.status.name for value in told] == ["CRASHED" if s is TrialState.FAILED else "SUCCESS" for s in states]
    assert [value.cost for value in told] == [1.0 - (trial.score or 0.0) for trial in trials]


def test_smac_keeps_to_conditions_of_every_kind():
    pytest.importorskip("smac")
    space = Space(
        {
            "norm": True,
            "option": Choice([3.0, 3.5, 4.0]),
            "depth": Int(1, 4),
            "both": Float(0.0, 1.0, when={"option": [3.0, 3.5], "depth": [2, 3]}),
            "fixed": Int(1, 1 << 40, log=True, when={"norm": True}),
            "below": Choice(["only"], when={"option": 4.0}),
        }
    )
    configs = [trial.config for trial in trials_of(create_strategy("smac", space, 0), space, 20)]
    for config in configs:
        space.validate(config)
    assert {config["option"] for config in configs} == {3.0, 3.5, 4.0}
    assert any("both" in config for config in configs)
    nothing_free = Space({"depth": 2})
    search = record_search(create_strategy("smac-multi-fidelity", nothing_free, 0), nothing_free, train)
    assert [type(decision) for decision in search.decisions] == [Start, End]


def test_smac_trains_the_first_whole_and_promotes_by_going_on():
    pytest.importorskip("smac")
    strategy = create_strategy("smac-multi-fidelity", mixed_space(), 0)
    search = record_search(strategy, mixed_space(), train, decisions=40)
    decisions, trials = search.decisions, list(search.trials.values())
    assert isinstance(decisions[0], Start)
    assert decisions[0].steps is None
    assert all(decision.steps == 1 for decision in decisions[1:] if isinstance(decision, Start) and decision.steps)
    promoted = [decision.number for decision in decisions if isinstance(decision, Continue)]
    assert promoted
    assert len(set(promoted)) == len(promoted), "a promotion goes to the last rung at once, with three steps"
    left = [trial for trial in trials if trial.step == 1]
    assert {trial.step for trial in trials} == {1, STEPS}
    best = max(trial.curve[0].score for trial in trials)
    assert all(trial.curve[0].score < best for trial in left)


def test_a_stopped_training_counts_for_smac_as_far_as_it_came():
    pytest.importorskip("smac")
    strategy = create_strategy("smac-multi-fidelity", LINE, 0)
    for number, (state, steps) in enumerate(
        [(TrialState.STOPPED, 1), (TrialState.STOPPED, 0), (TrialState.FINISHED, 9)]
    ):
        decision = strategy.ask()
        assert isinstance(decision, Start)
        assert decision.steps is None, "how long a training is, is not known yet"
        curve = [outcome(decision.config, step) for step in range(1, steps + 1)]
        strategy.tell(Trial(number, decision.config, state, curve))
    decision = strategy.ask()
    assert isinstance(decision, Start)
    assert decision.steps == 1
    assert isinstance(strategy, SmacSearch)
    assert strategy._smac is not None
    told = [(value.status.name, value.cost) for value in strategy._smac.runhistory.values()]
    expected = 1.0 - outcome({}, 1).score
    assert told[:3] == [("SUCCESS", expected), ("CRASHED", 1.0), ("SUCCESS", expected)]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["smac", "smac-multi-fidelity"])
def test_smac_goes_on_in_another_process_after_its_first_model_and_leaves_nothing_behind(
    name, tmp_path, monkeypatch, capfd
):
    """Thirty trials: 25 of its initial design, then those of its forest."""
    pytest.importorskip("smac")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    space, run = mixed_space(), tmp_path / "run"
    whole = record_search(create_strategy(name, space, 3), space, train, decisions=34).decisions
    begun = record_search(create_strategy(name, space, 3), space, train, decisions=30, directory=run)
    assert begun.decisions == whole[:30]
    resumed = record_search(create_strategy(name, space, 3), space, train, decisions=4, directory=run)
    assert resumed.decisions == whole[30:]
    code = (
        "from ecoml.strategies import create_strategy\n"
        "from ecoml.testing.recorder import record_search\n"
        "from ecoml.testing.strategies import mixed_space, train\n"
        f"strategy = create_strategy({name!r}, mixed_space(), 3)\n"
        "print(record_search(strategy, mixed_space(), train, decisions=34).decisions)"
    )
    there = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=os.environ | {"PYTHONHASHSEED": "12"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert there.stdout.strip() == str(whole)
    assert there.stderr == ""
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == [run]


def test_smac_learns_what_is_good():
    pytest.importorskip("smac")
    space = Space({"width": Int(1, 10_000), "depth": Int(1, 4), "k": Int(1, 9)})
    scores = [trial.score or 0.0 for trial in trials_of(create_strategy("smac", space, 0), space, 41)]
    assert np.mean(scores[25:]) > np.mean(scores[:25])
