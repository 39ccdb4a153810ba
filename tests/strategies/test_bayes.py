"""Bayesian optimisation by freeze and thaw: what it finds, what it leaves alone, and how quietly it does so."""

import subprocess
import sys
import time

import numpy as np
import pytest
from rigs.meter import FakeMeter

from ecoml.endings import StopReason
from ecoml.energy import Provenance
from ecoml.errors import UsageError
from ecoml.space import Choice, Float, Int, Space
from ecoml.strategies.base import Continue, End, Start
from ecoml.strategies.bayes import Bayes
from ecoml.strategies.enumeration import key
from ecoml.strategies.random import RandomSearch
from ecoml.testing.recorder import point, record_search
from ecoml.trial import Measurement, Trial, TrialState

STEPS = 20

SPACE = Space(
    {
        "rate": Float(1e-4, 1.0, log=True),
        "width": Int(4, 64, log=True),
        "block": Choice(["plain", "residual", "separable"]),
        "momentum": Float(0.0, 0.99, when={"block": ["plain", "residual"]}),
    }
)


def outcome(config, step):
    """(accuracy, joules of the step) of a made-up training with one best rate, and a price on width."""
    off = np.log10(config["rate"]) + 2.0
    score = 0.9 * np.exp(-0.5 * off**2) * config["width"] / (config["width"] + 8)
    score *= {"plain": 0.7, "residual": 1.0, "separable": 0.8}[config["block"]]
    return float(score * (1.0 - np.exp(-step / 4.0))), float(config["width"] * (1.0 + config.get("momentum", 0.0)))


def training(outcome=outcome, steps=STEPS):
    """A training function. `outcome`: config, step → (accuracy, joules), or None: the training fails."""

    def train(config):
        for step in range(1, steps + 1):
            if (result := outcome(config, step)) is None:
                raise MemoryError(str(config))
            yield Measurement(*result)

    return train


def search(strategy, train=None, space=SPACE, **settings):
    """What it decided, and the trials in order."""
    return record_search(strategy, space, train or training(), **settings)


def trials_of(search):
    return list(search.trials.values())


def spent_j(search):
    return sum(trial.energy_j for trial in trials_of(search))


def reaches(target):
    return lambda trial: trial.score >= target


def test_it_reaches_a_target_with_a_fraction_of_the_energy_of_random_search():
    def energy_j(create, seed):
        return spent_j(search(create(SPACE, seed), decisions=200, budget_j=60_000.0, enough=reaches(0.7)))

    ours = np.mean([energy_j(Bayes, seed) for seed in range(3)])
    randoms = np.mean([energy_j(RandomSearch, seed) for seed in range(3)])
    assert ours < randoms / 3


def test_bad_starts_are_left_early_and_good_ones_trained_to_their_end():
    trials = trials_of(search(Bayes(SPACE, 0), decisions=80))
    whole = [trial for trial in trials if trial.step == STEPS]
    left = [trial for trial in trials if trial.step < STEPS]
    assert whole
    assert len(left) > len(whole)

    def end(trial):
        return outcome(trial.config, STEPS)[0]

    assert np.mean([end(trial) for trial in whole]) > np.mean([end(trial) for trial in left])


def test_with_a_target_it_goes_for_that():
    aimed, other = (
        [search(Bayes(SPACE, seed), decisions=200, enough=reaches(0.75), **goal) for seed in range(3)]
        for goal in ({"target": 0.75}, {})
    )
    assert all(max(trial.score for trial in trials_of(one)) >= 0.75 for one in aimed + other)
    assert sum(map(spent_j, aimed)) < 1.2 * sum(map(spent_j, other))


def test_the_scale_of_energies_and_accuracies_makes_no_difference():
    def lower(config, step):  # far from 100 %, which is known to be the most
        score, energy_j = outcome(config, step)
        return 0.45 * score, energy_j

    def scaled(config, step):
        score, energy_j = outcome(config, step)
        return 0.05 + 0.35 * score, 1000.0 * energy_j

    one, other = (trials_of(search(Bayes(SPACE, 0), training(of), decisions=30)) for of in (lower, scaled))
    assert [trial.config for trial in one] == [trial.config for trial in other]


def test_trainings_of_one_step_are_searched_too():
    train = training(lambda config, step: (outcome(config, STEPS)[0], 10.0), steps=1)
    trials = trials_of(search(Bayes(SPACE, 0), train, decisions=40))
    assert all(trial.step <= 1 for trial in trials)
    assert max(trial.score for trial in trials) > 0.7


def test_an_initial_design_of_whole_trainings_is_short_and_cheap():
    """From the second on they are drawn, and after two the model of energy knows which are cheap."""

    train = training(lambda config, step: (outcome(config, STEPS)[0], float(config["width"] ** 2)), steps=1)
    taken_j: dict[str, list[float]] = {"sobol": [], "bayes": []}
    for seed in range(30):
        sobol = trials_of(search(RandomSearch(SPACE, seed, "sobol"), train, decisions=4))
        bayes = trials_of(search(Bayes(SPACE, seed), train, decisions=4))
        assert bayes[0].config == sobol[0].config
        assert len({key(trial.config) for trial in bayes}) == 4
        for name, trials in (("sobol", sobol), ("bayes", bayes)):
            taken_j[name].append(sum(trial.energy_j for trial in trials[2:]))
    assert np.median(taken_j["bayes"]) < 0.5 * np.median(taken_j["sobol"])


@pytest.mark.parametrize(("initial", "expected"), [(None, 4), (6, 6)])
def test_so_many_whole_trainings_come_before_the_first_reasoned(initial, expected):
    reasoned = []

    class Watched(Bayes):
        def _best(self, *arguments):
            reasoned.append(len(self._trials))
            return super()._best(*arguments)

    train = training(lambda config, step: (outcome(config, STEPS)[0], 10.0), steps=1)
    search(Watched(SPACE, 0, initial), train, decisions=8)
    assert reasoned[0] == expected


def test_a_cheap_initial_design_is_feasible():
    train = training(lambda config, step: (0.5, float(config["width"])), steps=1)
    size = {"max_parameters": 64, "parameters": lambda config: 96 - config["width"]}
    trials = trials_of(search(Bayes(SPACE, 0), train, decisions=8, **size))
    assert len(trials) == 8
    assert all(trial.config["width"] >= 32 for trial in trials)


def test_cheap_trainings_do_not_go_on_for_ever():
    """Of energies from 1 to 100,000 J the dear ones are a little better."""
    space = Space({"size": Float(1.0, 1e5, log=True), "x": Float(0.0, 1.0), "y": Float(0.0, 1.0)})

    def outcome(config, step):
        return 0.8 + 0.02 * np.log10(config["size"]) - 0.1 * abs(config["x"] - 0.3) * config["y"], config["size"]

    found = search(
        Bayes(space, 0),
        training(outcome, steps=1),
        space,
        decisions=100,
        spend_all=True,
        enough=lambda trial: trial.curve[-1].spent_j >= 1e6,
    )
    assert spent_j(found) >= 1e6


def test_a_region_that_always_fails_is_proposed_less_and_less():
    space = Space({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)})

    def outcome(config, step):
        return None if config["x"] > 0.4 else (0.2 + config["x"] + 0.1 * config["y"], 10.0)

    trials = trials_of(search(Bayes(space, 0), training(outcome, steps=1), space, decisions=40))
    failures = [trial.state is TrialState.FAILED for trial in trials]
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
    trials = trials_of(search(Bayes(space, 0), training(outcome, steps), space, decisions=19))
    assert len({key(trial.config) for trial in trials}) == len(trials) >= 4
    assert [str(warning.message) for warning in recwarn] == []


def test_one_categorical_parameter_is_tried_completely():
    space = Space({"block": Choice(["a", "b", "c", "d", "e", "f"])})
    train = training(lambda config, step: ("abcdef".index(config["block"]) / 10 + step / 100, 5.0))
    strategy = Bayes(space, 0)
    found = search(strategy, train, space)
    assert sorted(trial.config["block"] for trial in trials_of(found)) == list("abcdef")
    assert found.decisions[-1] == strategy.ask() == End(StopReason.EXHAUSTED)


def test_a_trial_that_repeats_another_is_not_gone_on_with():
    def table(config, step):  # looked up by the first digit alone
        cell = int(10 * config["x"]) / 10
        return 0.3 + 0.5 * (cell + 0.1) * (1 - 0.8**step), 1.0 + cell

    space = Space({"x": Float(0.0, 1.0)})
    longest: dict[int, list[int]] = {}
    for trial in trials_of(search(Bayes(space, 0), training(table), space, decisions=60)):
        cell = int(10 * trial.config["x"])
        longest.setdefault(cell, []).append(trial.step)
    assert any(len(steps) > 1 for steps in longest.values())
    assert all(sorted(steps)[-2] <= 2 for steps in longest.values() if len(steps) > 1)


@pytest.mark.parametrize("provenance", [Provenance.MEASURED, Provenance.ESTIMATED])
def test_a_metered_stretch_is_worth_the_thinking_before_it(provenance):
    meter = FakeMeter(provenance)

    def metered(config):
        for step in range(1, 201):
            meter.spent_j += 0.05
            yield outcome(config, step)[0]

    reported = training(lambda config, step: (outcome(config, step)[0], 0.05), steps=200)
    searches = (
        search(Bayes(SPACE, 0), reported, decisions=60),
        search(Bayes(SPACE, 0), metered, decisions=60, energy="metered", meter=meter),
    )
    stretches = [sum(trial.step for trial in trials_of(one)) / len(one.decisions) for one in searches]
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
    trials = trials_of(search(strategy, decisions=30))
    asked = []
    for number in range(3):
        decision = strategy.ask()
        if isinstance(decision, Start):
            asked.append(key(decision.config))
            strategy.tell(Trial(len(trials) + number, decision.config))
    assert len(set(asked)) == len(asked)
    assert not set(asked) & {key(trial.config) for trial in trials}


def test_another_process_decides_the_same():
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "from test_bayes import SPACE, Bayes, search\n"
        "print(search(Bayes(SPACE, 4), decisions=25).decisions)\n"
    )
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *sys.path, __file__.rpartition("/")[0]],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == str(search(Bayes(SPACE, 4), decisions=25).decisions)
    assert run.stderr == ""


def test_too_small_an_initial_design_is_refused():
    with pytest.raises(UsageError, match="at least 2"):
        Bayes(SPACE, 0, initial=1)


def test_a_suspended_trial_is_thawed_when_the_rest_is_tried():
    space = Space({"a": Choice([1, 2, 3])})
    found = search(Bayes(space, 0), training(lambda config, step: (config["a"] * step / 100, 5.0)), space)
    assert all(trial.state is TrialState.FINISHED for trial in trials_of(found))
    assert any(isinstance(decision, Continue) for decision in found.decisions)


def test_it_is_not_caught_in_copies_of_the_best():
    """Near the best a copy promises next to nothing; without a margin it is started again and again."""
    for seed in (2, 4, 5):
        trials = trials_of(search(Bayes(SPACE, seed), decisions=120, target=0.75))
        assert max(trial.score for trial in trials) >= 0.75


def test_the_right_combination_of_options_is_found_among_many():
    """Of 5 · 5 · 5 · 5 combinations, where one option each is right and each wrong one costs as much."""
    space = Space({name: Choice(list("vwxyz")) for name in "abcd"})
    right = {"a": "v", "b": "x", "c": "z", "d": "w"}

    def outcome(config, step):
        return 0.1 + 0.2 * sum(config[name] == option for name, option in right.items()), 1.0

    def taken_j(create):
        train = training(outcome, steps=1)
        searches = [search(create(space, s), train, space, decisions=400, enough=reaches(0.85)) for s in range(3)]
        return sum(map(spent_j, searches))

    assert taken_j(Bayes) < taken_j(RandomSearch) / 5
