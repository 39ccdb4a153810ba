"""Optimisers of other projects: their requests are carried out, replayed, and answered from what is known."""

import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import peer_process
import pytest

from ecoml.errors import UsageError
from ecoml.space import Choice, Float, Int, Space
from ecoml.strategies import Continue, Start
from ecoml.strategies.base import Goal
from ecoml.strategies.peers import alone
from ecoml.strategies.peers.requests import PeerSearch, Request, all_values, as_ours
from ecoml.testing.recorder import record_search
from ecoml.testing.strategies import STEPS, STRATEGY_CHECKS, mixed_space, train, train_or_fail
from ecoml.trial import TrialState


class Best:
    """Random configurations for a step each; the best so far goes on, step by step."""

    def __init__(self, space, seed, first):
        self.space, self.seed, self.first = space, seed, first
        self.told, self.best, self.number = {}, -np.inf, 0

    def suggest(self):
        rng = np.random.default_rng([self.seed, self.number])
        values = {name: p.decode(rng.random()) for name, p in self.space.free.items()}
        self.number += 1
        return Request(self.first if self.first and self.number == 1 else values, until=1)

    def report(self, number, curve, state):
        self.told.setdefault(number, []).append((len(curve), state))
        if not curve or curve[-1].utility < self.best:
            return None
        self.best = curve[-1].utility
        return len(curve) + 1


def search_of(space, seed, peers=None):
    def connect(length, first):
        peer = Best(space, seed, first)
        if peers is not None:
            peers.append((length, peer))
        return peer

    return PeerSearch(space, seed, connect, partial=True)


@pytest.mark.parametrize("check", STRATEGY_CHECKS)
def test_conformance(check):
    check(search_of)


def test_the_first_training_shows_the_length_and_later_ones_are_continued():
    peers: list[Any] = []
    search = record_search(search_of(mixed_space(), 0, peers), mixed_space(), train, decisions=30)
    assert [length for length, _ in peers] == [None, STEPS]
    assert search.decisions[0] == Start(search.trials[0].config, None)
    assert {d.steps for d in search.decisions[1:] if isinstance(d, Start)} == {1}
    assert {d.steps for d in search.decisions if isinstance(d, Continue)} == {1, None}, "the last step has no limit"
    told = peers[-1][1].told
    assert told[0] == [(step, None) for step in range(1, STEPS + 1)] + [(STEPS, TrialState.FINISHED)]
    assert all(told[number][-1][0] == search.trials[number].step for number in list(told)[1:-1])


def test_a_length_that_is_known_is_used_at_once():
    peers: list[Any] = []
    strategy = search_of(mixed_space(), 0, peers)
    strategy.pursue(Goal(steps=lambda config: config["epochs"]))
    decision = strategy.ask()
    assert isinstance(decision, Start)
    assert decision.steps == 1
    assert [length for length, _ in peers] == [STEPS]


def test_failures_and_refusals_are_told_and_known_results_are_not_trained_again():
    peers: list[Any] = []
    space = Space({"depth": Int(1, 4), "width": Int(1, 3)})
    strategy = search_of(space, 1, peers)
    strategy.pursue(Goal(feasible=lambda config: config["width"] > 1))
    search = record_search(strategy, space, train_or_fail, decisions=40, spend_all=True)
    configs = [trial.config for trial in search.trials.values()]
    assert all(configs.count(config) == 1 for config in configs)
    states = {state for entries in peers[-1][1].told.values() for _, state in entries}
    assert {None, TrialState.FAILED} <= states
    assert peers[-1][1].number > len(configs), "repeats were answered, and then the rest was tried at random"


def test_a_peers_values_become_a_configuration():
    space = Space(
        {
            "rate": Float(1e-4, 1e-1, log=True, default=1e-2),
            "width": Int(4, 64),
            "kind": Choice(["a", "b"]),
            "share": Float(0.0, 1.0, when={"kind": ["b"]}),
        }
    )
    values = {"rate": np.float64(0.1 + 1e-12), "width": np.int64(64), "kind": "a", "share": 0.3}
    assert as_ours(space, values) == {"rate": 0.1, "width": 64, "kind": "a"}
    assert all_values(space) == {"rate": 1e-2, "width": 34, "kind": "b", "share": 0.5}


def test_a_package_has_random_numbers_of_its_own():
    random.seed(3)
    np.random.seed(3)
    expected = random.random(), np.random.random()
    random.seed(3)
    np.random.seed(3)
    drawn = []
    for entropy in ([1, 2], [1, 2], [1, 3]):
        with alone("anything", entropy):
            drawn.append((random.random(), np.random.random()))
    assert drawn[0] == drawn[1] != drawn[2]
    assert (random.random(), np.random.random()) == expected


CHILD = """
import sys
from peer_process import serve

class Peer:
    def __init__(self, told):
        self.space, self.number = told["space"], told["first"] is None

    def suggest(self):
        self.number += 1
        print("a peer may print")
        share = self.number / 100
        return {p["name"]: p["low"] + share * (p["high"] - p["low"]) for p in self.space}, 2

    def report(self, number, curve, state):
        if state == "failed":
            sys.exit(3)

serve(Peer)
"""


@pytest.fixture
def child(tmp_path, monkeypatch):
    path = tmp_path / "child.py"
    path.write_text(CHILD, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(Path(peer_process.__file__).parent))
    return path


def test_a_peer_in_a_process_of_its_own(child):
    space = Space({"width": Int(0, 100), "depth": Int(200, 300)})
    strategy, process = peer_process.search_by_process(space, 0, Path(sys.executable), str(child))
    trials = record_search(strategy, space, train, decisions=4).trials
    assert [trial.config for trial in trials.values()] == [{"width": n, "depth": 200 + n} for n in (2, 3, 4, 5)]
    assert [trial.step for trial in trials.values()] == [STEPS, 2, 2, 2]
    assert process.cpu_s > 0


def test_a_peer_whose_process_ends_is_one_line(child):
    space = Space({"width": Int(0, 100), "depth": Int(200, 300)})
    strategy, _ = peer_process.search_by_process(space, 0, Path(sys.executable), str(child))
    with pytest.raises(UsageError, match=r"^the peer's process has ended.*child\.py$"):
        record_search(strategy, space, train_or_fail, decisions=9)
