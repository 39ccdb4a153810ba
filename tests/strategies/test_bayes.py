"""Bayesian optimisation by freeze and thaw: what it finds, what it leaves alone, and how quietly it does so."""

import subprocess
import sys
import time

import numpy as np
import pytest

from ecoml.endings import StopReason
from ecoml.energy import Provenance
from ecoml.errors import UsageError
from ecoml.limits import Limits
from ecoml.space import Choice, Float, Int, Space
from ecoml.strategies.base import Continue, End, Goal, Start
from ecoml.strategies.bayes import Bayes
from ecoml.strategies.enumeration import key
from ecoml.strategies.random import RandomSearch
from ecoml.testing.strategies import point
from ecoml.trial import Trial, TrialState

STEPS = 20

SPACE = Space(
    {
        "rate": Float(1e-4, 1.0, log=True),
        "width": Int(4, 64, log=True),
        "block": Choice(["plain", "residual", "separable"]),
        "momentum": Float(0.0, 0.99, when={"block": ["plain", "residual"]}),
    }
)


def train(config, step):
    """(accuracy, joules of the step) of a made-up training with one best rate, and a price on width."""
    off = np.log10(config["rate"]) + 2.0
    score = 0.9 * np.exp(-0.5 * off**2) * config["width"] / (config["width"] + 8)
    score *= {"plain": 0.7, "residual": 1.0, "separable": 0.8}[config["block"]]
    return float(score * (1.0 - np.exp(-step / 4.0))), float(config["width"] * (1.0 + config.get("momentum", 0.0)))


class Search:
    """Does what a strategy decides.

    Args:
        strategy: Who decides.
        outcome: config, step → (accuracy, joules), or None: the trial fails.
        steps: Of a whole training.
        provenance: Of the joules.
    """

    def __init__(self, strategy, outcome=train, steps=STEPS, provenance=Provenance.REPORTED):
        self.strategy, self.outcome, self.steps, self.provenance = strategy, outcome, steps, provenance
        self.trials = []
        self.spent_j = 0.0
        self.decisions = []
        self.end = None

    def run(self, *, decisions=10_000, energy_j=np.inf, target=np.inf):
        """Until a limit is reached; whether it was the target."""
        for _ in range(decisions):
            if self.spent_j >= energy_j:
                return False
            decision = self.strategy.ask()
            self.decisions.append(decision)
            if isinstance(decision, End):
                self.end = decision
                return False
            if isinstance(decision, Start):
                trial = Trial(len(self.trials), decision.config)
                self.trials.append(trial)
            else:
                trial = self.trials[decision.number]
                assert trial.state is TrialState.SUSPENDED
            self.advance(trial, decision.steps)
            self.strategy.tell(trial)
            if trial.curve and trial.curve[-1].score >= target:
                return True
        return False

    def advance(self, trial, steps):
        """As the searcher would."""
        for _ in range(steps or self.steps):
            if trial.step == self.steps:
                trial.state = TrialState.FINISHED
                return
            result = self.outcome(trial.config, trial.step + 1)
            if result is None:
                trial.state = TrialState.FAILED
                return
            score, energy_j = result
            self.spent_j += energy_j
            total_j = trial.energy_j + energy_j
            trial.curve.append(point(trial.step + 1, score, total_j, provenance=self.provenance))
        trial.state = TrialState.SUSPENDED


def test_it_reaches_a_target_with_a_fraction_of_the_energy_of_random_search():
    def energy_j(create, seed):
        search = Search(create(SPACE, seed))
        search.run(decisions=200, energy_j=60_000.0, target=0.7)
        return search.spent_j

    ours = np.mean([energy_j(Bayes, seed) for seed in range(3)])
    randoms = np.mean([energy_j(RandomSearch, seed) for seed in range(3)])
    assert ours < randoms / 3


def test_bad_starts_are_left_early_and_good_ones_trained_to_their_end():
    search = Search(Bayes(SPACE, 0))
    search.run(decisions=80)
    whole = [trial for trial in search.trials if trial.step == STEPS]
    left = [trial for trial in search.trials if trial.step < STEPS]
    assert whole
    assert len(left) > len(whole)

    def end(trial):
        return train(trial.config, STEPS)[0]

    assert np.mean([end(trial) for trial in whole]) > np.mean([end(trial) for trial in left])


def test_with_a_target_it_goes_for_that():
    def spent_j(aim, seed):
        strategy = Bayes(SPACE, seed)
        if aim:
            strategy.pursue(Goal(Limits(target=0.75)))
        search = Search(strategy)
        assert search.run(decisions=200, target=0.75)
        return search.spent_j

    assert sum(spent_j(True, seed) for seed in range(3)) < 1.2 * sum(spent_j(False, seed) for seed in range(3))


def test_the_scale_of_energies_and_accuracies_makes_no_difference():
    def lower(config, step):  # far from 100 %, which is known to be the most
        score, energy_j = train(config, step)
        return 0.45 * score, energy_j

    def scaled(config, step):
        score, energy_j = train(config, step)
        return 0.05 + 0.35 * score, 1000.0 * energy_j

    searches = [Search(Bayes(SPACE, 0), outcome) for outcome in (lower, scaled)]
    for search in searches:
        search.run(decisions=30)
    assert [t.config for t in searches[0].trials] == [t.config for t in searches[1].trials]


def test_trainings_of_one_step_are_searched_too():
    search = Search(Bayes(SPACE, 0), lambda config, step: (train(config, STEPS)[0], 10.0), steps=1)
    search.run(decisions=40)
    assert all(trial.step <= 1 for trial in search.trials)
    best = max(trial.curve[-1].score for trial in search.trials)
    assert best > 0.7


def test_an_initial_design_of_whole_trainings_is_short_and_cheap():
    """From the second on they are drawn, and after two the model of energy knows which are cheap."""

    def outcome(config, step):
        return train(config, STEPS)[0], float(config["width"] ** 2)

    spent_j: dict[str, list[float]] = {"sobol": [], "bayes": []}
    for seed in range(30):
        sobol = Search(RandomSearch(SPACE, seed, "sobol"), outcome, steps=1)
        sobol.run(decisions=4)
        bayes = Search(Bayes(SPACE, seed), outcome, steps=1)
        bayes.run(decisions=4)
        assert bayes.trials[0].config == sobol.trials[0].config
        assert len({key(trial.config) for trial in bayes.trials}) == 4
        for name, search in (("sobol", sobol), ("bayes", bayes)):
            spent_j[name].append(sum(trial.energy_j for trial in search.trials[2:]))
    assert np.median(spent_j["bayes"]) < 0.5 * np.median(spent_j["sobol"])


@pytest.mark.parametrize(("initial", "expected"), [(None, 4), (6, 6)])
def test_so_many_whole_trainings_come_before_the_first_reasoned(initial, expected, monkeypatch):
    reasoned, best = [], Bayes._best

    def watched(bayes, *arguments):
        reasoned.append(len(search.trials))
        return best(bayes, *arguments)

    monkeypatch.setattr(Bayes, "_best", watched)
    search = Search(Bayes(SPACE, 0, initial), lambda config, step: (train(config, STEPS)[0], 10.0), steps=1)
    search.run(decisions=8)
    assert reasoned[0] == expected


def test_a_cheap_initial_design_is_feasible():
    bayes = Bayes(SPACE, 0)
    bayes.pursue(Goal(feasible=lambda config: config["width"] > 32))
    search = Search(bayes, lambda config, step: (0.5, float(config["width"])), steps=1)
    search.run(decisions=8)
    assert len(search.trials) == 8
    assert all(trial.config["width"] > 32 for trial in search.trials)


def test_cheap_trainings_do_not_go_on_for_ever():
    """Of energies from 1 to 100,000 J the dear ones are a little better."""
    space = Space({"size": Float(1.0, 1e5, log=True), "x": Float(0.0, 1.0), "y": Float(0.0, 1.0)})

    def outcome(config, step):
        return 0.8 + 0.02 * np.log10(config["size"]) - 0.1 * abs(config["x"] - 0.3) * config["y"], config["size"]

    bayes = Bayes(space, 0)
    bayes.pursue(Goal(Limits(spend_all=True)))
    search = Search(bayes, outcome, steps=1)
    search.run(decisions=100, energy_j=1e6)
    assert search.spent_j >= 1e6


def test_a_region_that_always_fails_is_proposed_less_and_less():
    space = Space({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)})
    search = Search(
        Bayes(space, 0),
        lambda config, step: None if config["x"] > 0.4 else (0.2 + config["x"] + 0.1 * config["y"], 10.0),
        steps=1,
    )
    search.run(decisions=40)
    failures = [trial.state is TrialState.FAILED for trial in search.trials]
    assert sum(failures[-8:]) <= sum(failures[:8])
    assert np.mean(failures[6:]) < 0.6  # the share of the region, and accuracy rises towards it


@pytest.mark.parametrize(
    ("space", "outcome"),
    [
        (SPACE, lambda config, step: None),
        (SPACE, lambda config, step: (0.5, 10.0)),
        (SPACE, lambda config, step: (0.5, 10.0) if config["width"] > 55 else None),
        (Space({"x": Float(0.0, 1.0)}), lambda config, step: (config["x"], 1e-9)),
        (Space({"x": Float(0.0, 1.0)}), lambda config, step: (0.0, 1e9 * (1.0 + config["x"]))),
        (SPACE, lambda config, step: (1.0, 5.0)),
    ],
    ids=["all fail", "constant", "few results", "tiny energies", "zero accuracy", "perfect"],
)
@pytest.mark.parametrize("steps", [1, 7])
def test_degenerate_searches_go_on_quietly(space, outcome, steps, recwarn):
    search = Search(Bayes(space, 0), outcome, steps=steps)
    search.run(decisions=25)
    assert len({key(trial.config) for trial in search.trials}) == len(search.trials) >= 4
    assert [str(warning.message) for warning in recwarn] == []


def test_one_categorical_parameter_is_tried_completely():
    space = Space({"block": Choice(["a", "b", "c", "d", "e", "f"])})
    search = Search(Bayes(space, 0), lambda config, step: ("abcdef".index(config["block"]) / 10 + step / 100, 5.0))
    search.run()
    assert sorted(trial.config["block"] for trial in search.trials) == list("abcdef")
    assert search.end == search.strategy.ask() == End(StopReason.EXHAUSTED)


def test_a_trial_that_repeats_another_is_not_gone_on_with():
    def table(config, step):  # looked up by the first digit alone
        cell = int(10 * config["x"]) / 10
        return 0.3 + 0.5 * (cell + 0.1) * (1 - 0.8**step), 1.0 + cell

    search = Search(Bayes(Space({"x": Float(0.0, 1.0)}), 0), table)
    search.run(decisions=60)
    longest: dict[int, list[int]] = {}
    for trial in search.trials:
        cell = int(10 * trial.config["x"])
        longest.setdefault(cell, []).append(trial.step)
    assert any(len(steps) > 1 for steps in longest.values())
    assert all(sorted(steps)[-2] <= 2 for steps in longest.values() if len(steps) > 1)


def test_a_metered_stretch_is_worth_the_thinking_before_it():
    def cheap(config, step):
        return train(config, step)[0], 0.05

    stretches = []
    for provenance in (Provenance.REPORTED, Provenance.MEASURED):
        search = Search(Bayes(SPACE, 0), cheap, steps=200, provenance=provenance)
        search.run(decisions=60)
        stretches.append(sum(trial.step for trial in search.trials) / len(search.decisions))
    assert stretches[1] > 3 * stretches[0]


def test_it_thinks_fast_with_many_trials_and_dimensions():
    space = Space({f"x{i}": Float(0.0, 1.0) for i in range(20)})
    strategy = Bayes(space, 0)
    rng = np.random.default_rng(0)
    for number in range(2000):
        config = {f"x{i}": float(v) for i, v in enumerate(rng.random(20))}
        score = float(rng.random())
        points = [point(1, score, 5.0)]
        strategy.tell(Trial(number, config, TrialState.FINISHED, points))
    strategy.ask()
    started = time.process_time()
    strategy.ask()
    assert time.process_time() - started < 3.0


def test_proposals_that_nobody_has_answered_are_not_repeated():
    strategy = Bayes(SPACE, 0)
    search = Search(strategy)
    search.run(decisions=30)
    asked = []
    for number in range(3):
        decision = strategy.ask()
        if isinstance(decision, Start):
            asked.append(key(decision.config))
            strategy.tell(Trial(len(search.trials) + number, decision.config))
    assert len(set(asked)) == len(asked)
    assert not set(asked) & {key(trial.config) for trial in search.trials}


def test_another_process_decides_the_same_without_torch():
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "from test_bayes import SPACE, Bayes, Search\n"
        "search = Search(Bayes(SPACE, 4)); search.run(decisions=25)\n"
        "assert 'torch' not in sys.modules\n"
        "print(search.decisions)\n"
    )
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *sys.path, __file__.rpartition("/")[0]],
        capture_output=True,
        text=True,
        check=True,
    )
    search = Search(Bayes(SPACE, 4))
    search.run(decisions=25)
    assert run.stdout.strip() == str(search.decisions)
    assert run.stderr == ""


def test_too_small_an_initial_design_is_refused():
    with pytest.raises(UsageError, match="at least 2"):
        Bayes(SPACE, 0, initial=1)


def test_a_suspended_trial_is_thawed_when_the_rest_is_tried():
    space = Space({"a": Choice([1, 2, 3])})
    search = Search(Bayes(space, 0), lambda config, step: (config["a"] * step / 100, 5.0))
    search.run()
    assert all(trial.state is TrialState.FINISHED for trial in search.trials)
    assert any(isinstance(decision, Continue) for decision in search.decisions)


def test_it_is_not_caught_in_copies_of_the_best():
    """Near the best a copy promises next to nothing; without a margin it is started again and again."""
    for seed in (2, 4, 5):
        search = Search(Bayes(SPACE, seed))
        assert search.run(decisions=120, target=0.75)


def test_the_right_combination_of_options_is_found_among_many():
    """Of 5 · 5 · 5 · 5 combinations, where one option each is right and each wrong one costs as much."""
    space = Space({name: Choice(list("vwxyz")) for name in "abcd"})
    right = {"a": "v", "b": "x", "c": "z", "d": "w"}

    def outcome(config, step):
        return 0.1 + 0.2 * sum(config[name] == option for name, option in right.items()), 1.0

    def spent_j(create):
        searches = [Search(create(space, seed), outcome, steps=1) for seed in range(3)]
        for search in searches:
            search.run(decisions=400, target=0.85)
        return sum(search.spent_j for search in searches)

    assert spent_j(Bayes) < spent_j(RandomSearch) / 5
