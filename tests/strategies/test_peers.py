"""Peers: what is theirs arrives as they would see it, and what is missing is said."""

import sys
from typing import Any

import numpy as np
import pytest
from rigs.peers import LINE, trials_of

from ecoml.errors import UsageError
from ecoml.space import Choice, Float, Int, Space
from ecoml.strategies import Start, available_strategies, create_strategy
from ecoml.strategies.peers import alone, quiet, remedy
from ecoml.strategies.peers.optuna_study import OptunaSearch
from ecoml.strategies.peers.requests import PeerSearch, as_ours
from ecoml.testing.recorder import record_search
from ecoml.testing.strategies import STEPS, mixed_space, outcome, train


class Problem:
    def describe(self):
        return {"executor": "made up"}


@pytest.fixture
def without_peers(monkeypatch):
    for name in ("flaml", "optuna", "smac", "syne_tune"):
        monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed


@pytest.mark.usefixtures("without_peers")
@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("optuna-tpe", "optuna"),
        ("smac-multi-fidelity", "smac"),
        ("flaml-cfo", "flaml"),
        ("syne-tune-asha", "syne_tune"),
    ],
)
def test_a_missing_package_is_one_line_with_the_remedy(name, package):
    extra = "syne-tune" if package == "syne_tune" else "peers"
    with pytest.raises(UsageError, match=rf"{package}.*pip install 'ecoml\[{extra}\]'$"):
        create_strategy(name, LINE, 0)
    listed = dict(available_strategies())
    assert f"{package} is not installed" in listed[name]
    assert "not installed" not in listed["mo-asha"] + listed["paper-bo"]


def test_what_syne_tune_needs_beside_it_is_in_the_same_extra():
    assert remedy("huggingface_hub") == remedy("syne_tune") == "pip install 'ecoml[syne-tune]'"


@pytest.mark.usefixtures("without_peers")
def test_a_comparison_leaves_out_what_is_not_installed_and_says_so(tmp_path):
    from ecoml.experiments.compare import Task
    from ecoml.experiments.compare.plan import plan_comparison

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
    trials = trials_of(strategy, mixed_space(), 6)
    assert isinstance(strategy, OptunaSearch)
    theirs = strategy._study.trials
    assert [trial.params for trial in theirs] == [
        {name: value for name, value in trial.config.items() if name != "epochs"} for trial in trials
    ]
    assert [trial.value for trial in theirs] == [trial.score for trial in trials]
    seen = theirs[0].distributions
    assert seen["learning_rate"] == optuna.distributions.FloatDistribution(1e-4, 1.0, log=True)
    assert seen["width"] == optuna.distributions.IntDistribution(4, 64, log=True)
    assert seen["optimizer"] == optuna.distributions.CategoricalDistribution(("sgd", "adamw"))
    assert all(("momentum" in trial.params) == (trial.params["optimizer"] == "sgd") for trial in theirs)


def test_a_search_by_tpe_is_that_of_optuna_until_its_first_model():
    """Ten random proposals, and from then on those near the best: better than what ten random ones gave."""
    pytest.importorskip("optuna")
    found = []
    space = Space({"width": Int(1, 10_000), "depth": Choice([1])})
    for seed in range(4):
        trials = trials_of(create_strategy("optuna-tpe", space, seed), space, 30)
        widths = [trial.config["width"] for trial in trials]
        found.append(np.mean(widths[20:]) / np.mean(widths[:10]))
    assert np.median(found) > 1.2


def test_pruned_trials_are_left_and_the_others_are_trained_to_their_end():
    pytest.importorskip("optuna")
    for name in ("optuna-tpe-median", "optuna-tpe-hyperband"):
        trials = trials_of(create_strategy(name, mixed_space(), 0), mixed_space(), 120)[:-1]  # the last one is cut
        pruned = [trial for trial in trials if trial.step < 3]
        whole = [trial for trial in trials if trial.step == 3]
        assert pruned, name
        assert whole, name
        assert max(t.curve[0].score for t in whole) >= max(t.curve[0].score for t in pruned)


def test_the_papers_search_begins_at_random_and_then_goes_for_accuracy():
    space = Space({"width": Int(1, 2000), "depth": Choice([1])})
    decisions = record_search(create_strategy("paper-bo", space, 0), space, train, decisions=4).decisions
    assert decisions[0] == create_strategy("random", space, 0).ask()
    assert all(isinstance(decision, Start) and decision.steps is None for decision in decisions)


def test_flaml_is_told_utility_joules_and_steps():
    pytest.importorskip("flaml")
    space = mixed_space()
    strategy = create_strategy("flaml-blendsearch-steps", space, 1)
    trials = trials_of(strategy, space, 30)
    assert isinstance(strategy, PeerSearch)
    peer: Any = strategy._peer
    told = [result for result in peer._searcher._result.values() if result]
    assert len(told) > 8
    steps = "steps of the training"
    expected = {(point.utility, point.energy_j, point.step) for trial in trials for point in trial.curve if trial.curve}
    assert {(result["utility"], result["joules"], result["config"][steps]) for result in told} <= expected
    assert {trial.step for trial in trials[1:]} == {1, STEPS}, "some were left after a step, and others went on"


@pytest.mark.parametrize("name", ["flaml-cfo", "flaml-blendsearch", "flaml-blendsearch-steps"])
def test_flamls_own_loop_evaluates_the_same_configurations(name):
    pytest.importorskip("flaml")
    from ecoml.strategies.peers import flaml_search

    space = Space({"width": Int(1, 10_000, log=True), "depth": Int(1, 4), "learning_rate": Float(1e-4, 1.0, log=True)})
    found = [trial.config for trial in trials_of(create_strategy(name, space, 5), space, 30)]
    with alone("flaml", [0]), quiet("optuna"), flaml_search._without_ray():
        from flaml import CFO, BlendSearch, tune

        given = {"metric": "utility", "mode": "max"}
        resource = {"resource_attr": "steps", "min_resource": 1, "max_resource": STEPS} if "steps" in name else {}
        searcher = (CFO if name == "flaml-cfo" else BlendSearch)(
            **given,
            space={name: flaml_search._domain(parameter) for name, parameter in space.free.items()},
            seed=5,
            cost_attr="joules",
            **resource,
        )
        seen: list[dict[str, Any]] = []

        def evaluate(config):
            ours = as_ours(space, config)
            if len(seen) == 20:
                return None  # ends the loop
            if ours not in seen:
                seen.append(ours)
            reached = outcome(ours, round(config.get("steps", STEPS)))
            return {"utility": reached.utility, "joules": reached.energy_j}

        tune.run(evaluate, search_alg=searcher, num_samples=-1, verbose=0, **given)
    assert len(seen) == 20
    assert found[: len(seen)] == seen[: len(found)]


@pytest.mark.parametrize("name", ["flaml-cfo", "flaml-blendsearch"])
def test_flaml_learns_what_is_good(name):
    pytest.importorskip("flaml")
    space = Space({"width": Int(1, 10_000), "depth": Int(1, 4), "k": Int(1, 9)})
    trials = trials_of(create_strategy(name, space, 0), space, 41)
    scores = [trial.score or 0.0 for trial in trials]
    assert {trial.step for trial in trials[:-1]} == {STEPS}, "trainings are complete"
    assert np.mean(scores[25:]) > np.mean(scores[:5])


@pytest.mark.parametrize("name", ["syne-tune-asha", "syne-tune-bohb", "syne-tune-moasha"])
def test_syne_tune_stops_trainings_early_and_sees_every_measurement(name):
    pytest.importorskip("syne_tune")
    strategy = create_strategy(name, mixed_space(), 0)
    trials = trials_of(strategy, mixed_space(), 60)[:-1]  # the last one is cut
    assert {trial.step for trial in trials} == {1, STEPS}
    assert isinstance(strategy, PeerSearch)
    peer: Any = strategy._peer
    rung = next(recorded for step, recorded in peer._scheduler.brackets[0].rungs if step == 1)
    seen = [list(rung[trial.number].values()) for trial in trials]
    if name == "syne-tune-moasha":
        assert seen == [[-trial.curve[0].utility, trial.curve[0].energy_j] for trial in trials]
    else:
        assert seen == [[-trial.curve[0].utility] for trial in trials]


@pytest.mark.slow
def test_syne_tunes_quantiles_learn_what_is_good():
    pytest.importorskip("syne_tune")
    pytest.importorskip("huggingface_hub")
    space = Space({"width": Int(1, 10_000), "depth": Choice([1])})
    trials = trials_of(create_strategy("syne-tune-asha-cqr", space, 0), space, 40)
    widths = [trial.config["width"] for trial in trials]
    assert np.mean(widths[-10:]) > 1.2 * np.mean(widths[:5])


@pytest.mark.parametrize("name", ["priorband", "mo_hyperband"])
def test_neps_requests_rungs_and_promotes_the_best(name):
    """In an environment with NePS; ecoml's has another GPyTorch."""
    pytest.importorskip("neps")
    from peer_neps import Neps

    space = [{"name": "x", "kind": "Float", "low": 0.0, "high": 1.0, "log": False, "options": None, "default": 0.5}]

    def requests(first):
        peer = Neps(name, {"space": space, "seed": 3, "length": 9, "first": first})
        found = []
        for number in range(17):
            values, until = peer.suggest()
            found.append((values["x"], until))
            peer.report(number, [(values["x"], 1.0 + step) for step in range(until)], "failed" if number == 4 else None)
        return found

    found = requests({"x": 0.5})
    assert found == requests({"x": 0.5})
    assert found[0] == (0.5, 1)
    assert found[0] != requests(None)[0]
    assert [until for _, until in found[:13]] == [1] * 9 + [3] * 3 + [9]
    assert found[4][0] not in [x for x, _ in found[9:13]], "a failed training is not promoted"
    if name == "priorband":
        assert sorted(x for x, _ in found[9:12]) == sorted(x for x, _ in found[:9] if x != found[4][0])[-3:]
        assert found[12][0] == max(x for x, _ in found[9:12])
