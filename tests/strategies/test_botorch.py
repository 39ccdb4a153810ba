"""Bayesian optimisation: what it finds, what it leaves alone, and how quietly it does so."""

import random
import subprocess
import sys

import numpy as np
import pytest
import torch

from ecoml.endings import FailureKind, StopReason, TrialEnd
from ecoml.errors import UsageError
from ecoml.pareto import hypervolume
from ecoml.space import Choice, Float, Int, Space
from ecoml.strategies.base import End, Start
from ecoml.strategies.bayes import Bayes
from ecoml.strategies.botorch import Nehvi
from ecoml.strategies.enumeration import key
from ecoml.strategies.random import RandomSearch
from ecoml.testing.recorder import point
from ecoml.trial import Trial, TrialState

SPACE = Space(
    {
        "rate": Float(1e-4, 1.0, log=True),
        "width": Int(4, 64, log=True),
        "block": Choice(["plain", "residual", "separable"]),
        "momentum": Float(0.0, 0.99, when={"block": ["plain", "residual"]}),
    }
)


def train(config):
    """(accuracy, energy_j) of a made-up training with one best rate, and a price on width."""
    off = np.log10(config["rate"]) + 2.0
    score = 0.9 * np.exp(-0.5 * off**2) * config["width"] / (config["width"] + 8)
    score *= {"plain": 0.7, "residual": 1.0, "separable": 0.8}[config["block"]]
    return float(score), float(100.0 * config["width"] * (1.0 + config.get("momentum", 0.0)))


def asked(strategy):
    decision = strategy.ask()
    assert isinstance(decision, Start)
    return decision.config


def finished(number, config, score, energy_j):
    return Trial(number, config, TrialState.FINISHED, [point(1, score, energy_j)])


def search(strategy, trials, outcome=train):
    """Trials of a search; where `outcome` gives None they fail."""
    done = []
    for number in range(trials):
        decision = strategy.ask()
        if isinstance(decision, End):
            break
        assert isinstance(decision, Start)
        result = outcome(decision.config)
        trial = (
            finished(number, decision.config, *result)
            if result
            else Trial(number, decision.config, TrialState.FAILED, end=TrialEnd(FailureKind.DIVERGED))
        )
        strategy.tell(trial)
        done.append(trial)
    return done


def test_it_finds_more_than_random_search_does():
    def volume(trials):
        return hypervolume([(t.score, np.log(t.energy_j)) for t in trials], (0.2, np.log(2e4)))

    def best(create):
        return np.mean([volume(search(create(SPACE, seed), 11)) for seed in range(2)])

    assert best(Nehvi) > 1.1 * best(lambda space, seed: RandomSearch(space, seed, "sobol"))


def test_the_scale_of_energies_and_accuracies_makes_no_difference():
    def scaled(config):
        score, energy_j = train(config)
        return 0.05 + 0.35 * score, 1000.0 * energy_j

    plain, other = (search(Nehvi(SPACE, 0), 8, outcome) for outcome in (train, scaled))
    assert [t.config for t in plain] == [t.config for t in other]


def test_a_region_that_always_fails_is_proposed_less_and_less():
    space = Space({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)})

    def outcome(config):
        return None if config["x"] > 0.4 else (0.2 + config["x"] + 0.1 * config["y"], 10.0)

    failures = [t.state is TrialState.FAILED for t in search(Nehvi(space, 0), 16, outcome)]
    assert sum(failures[:6]) >= 3
    assert sum(failures[-6:]) < sum(failures[:6])
    assert sum(failures[6:]) / 10 < 0.5  # the region is 0.6 of the space, and accuracy rises towards it


@pytest.mark.parametrize(
    ("space", "outcome"),
    [
        (SPACE, lambda config: None),
        (SPACE, lambda config: (0.5, 10.0)),
        (SPACE, lambda config: (0.5, 10.0) if config["width"] > 55 else None),
        (SPACE, lambda config: (float("nan"), 10.0)),
        (Space({"x": Float(0.0, 1.0)}), lambda config: (config["x"], 1e-9)),
        (Space({"x": Float(0.0, 1.0)}), lambda config: (0.0, 1e9 * (1.0 + config["x"]))),
    ],
    ids=["all fail", "constant", "few results", "not a number", "tiny energies", "zero accuracy"],
)
def test_degenerate_searches_go_on_quietly(space, outcome):
    trials = search(Nehvi(space, 0), 9, outcome)
    assert len({key(trial.config) for trial in trials}) == 9


def test_one_categorical_parameter_is_tried_completely():
    space = Space({"block": Choice(["a", "b", "c", "d", "e", "f"])})
    strategy = Nehvi(space, 0)
    trials = search(strategy, 20, lambda config: ("abcdef".index(config["block"]) / 10, 5.0))
    assert sorted(trial.config["block"] for trial in trials) == list("abcdef")
    assert strategy.ask() == End(StopReason.EXHAUSTED)


def test_the_best_of_what_is_left_comes_first_in_a_finite_space():
    space = Space({"width": Int(1, 60)})
    trials = search(Nehvi(space, 1), 9, lambda config: (config["width"] / 100, 5.0))
    assert max(t.config["width"] for t in trials) == 60


def test_one_result_is_enough_to_go_on():
    strategy = Nehvi(SPACE, 0, initial=2)
    first, second = asked(strategy), asked(strategy)
    strategy.tell(finished(0, first, 0.5, 10.0))
    strategy.tell(Trial(1, second, TrialState.RUNNING))
    assert isinstance(strategy.ask(), Start)


def test_proposals_that_nobody_has_answered_are_not_repeated():
    strategy = Nehvi(SPACE, 0)
    search(strategy, 6)
    configs = [asked(strategy) for _ in range(3)]
    assert len({key(config) for config in configs}) == 3


def test_another_process_decides_the_same():
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "from test_botorch import SPACE, Nehvi, search\n"
        "print([trial.config for trial in search(Nehvi(SPACE, 4), 6)])\n"
    )
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *sys.path, __file__.rpartition("/")[0]],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == str([trial.config for trial in search(Nehvi(SPACE, 4), 6)])
    assert run.stderr == ""


@pytest.mark.parametrize("strategy", [Bayes, Nehvi])
def test_no_compiler_is_started_and_torch_is_left_as_it_was(strategy, monkeypatch, capfd):
    from torch.utils import cpp_extension

    compiled = []
    monkeypatch.setattr(cpp_extension, "load", lambda *args, **kwargs: compiled.append(args))
    strategy = strategy(SPACE, 0)
    search(strategy, 6)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    capfd.readouterr()  # importing cpp_extension may have said something
    try:
        states = torch.get_rng_state(), repr(np.random.get_state()), random.getstate()
        strategy.ask()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert not compiled
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (repr(np.random.get_state()), random.getstate()) == states[1:]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("strategy", [Bayes, Nehvi])
@pytest.mark.parametrize(
    "mode", [torch.no_grad(), torch.inference_mode(), torch.device("meta")], ids=["no grad", "inference", "device"]
)
def test_what_a_training_function_leaves_switched_on_does_no_harm(strategy, mode):
    strategies = [strategy(SPACE, 0) for _ in range(2)]
    for each in strategies:
        search(each, 6)
    with mode:
        decision = strategies[0].ask()
    assert decision == strategies[1].ask()


def test_too_small_an_initial_design_is_refused():
    with pytest.raises(UsageError, match="at least 2"):
        Nehvi(SPACE, 0, initial=1)
