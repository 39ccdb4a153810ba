"""What a network and its training may be: limits on size and on the energy of one training, and --spend-all."""

from __future__ import annotations

import tomllib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rigs.scripts import CONFIG, Script, asked, curve, why

import ecoml
from ecoml.endings import SearchEnd, StopReason
from ecoml.errors import UsageError
from ecoml.format import describe_search_end, describe_trial_end
from ecoml.report.page.page import write_report
from ecoml.report.terminal.summary import print_result
from ecoml.run.result import Result
from ecoml.searcher.setup.network_limits import SizeLimit
from ecoml.strategies import Start, create_strategy
from ecoml.strategies.base import End, Goal, ask_feasible


def size(config):
    return 10 * config["width"]


def configs(result):
    return [trial.config for trial in result.trials]


# The size of a network


@pytest.mark.parametrize("strategy", ["random", "sobol", "grid"])
def test_networks_that_are_too_large_are_never_started_and_resuming_changes_nothing(
    space, reported, run_folder, tmp_path, strategy
):
    reported["strategy"] = strategy
    limits: dict[str, Any] = {"max_parameters": 200, "parameters": size}
    first = ecoml.Searcher(space, curve([0.5]), budget_j=45, **limits, **reported).run()
    assert len(first.trials) == 4  # infeasible proposals cost nothing
    resumed = ecoml.Searcher.resume(run_folder, curve([0.5]), budget_j=120, parameters=size).run()
    whole = ecoml.Searcher(
        space, curve([0.5]), budget_j=120, **limits, **{**reported, "directory": tmp_path / "whole"}
    ).run()
    assert configs(resumed) == configs(whole)
    assert all(size(config) <= 200 for config in configs(whole))
    assert len(whole.trials) == 12
    assert whole.settings["limits"]["max_parameters"] == 200


def test_a_finite_space_is_searched_as_far_as_it_is_small_enough(reported, capsys):
    space = ecoml.Space({"width": ecoml.Int(1, 8), "kind": ecoml.Choice(["a", "b"])})
    result = ecoml.Searcher(
        space, curve([0.5]), budget_j=1e4, max_parameters=30, parameters=size, **reported
    ).run()  # fmt: skip
    assert len(result.trials) == 6
    assert "networks of more than 30 parameters were left out" in describe_search_end(why(result), result.metric)
    print_result(result)
    assert "Limits: at most 30 parameters a network" in capsys.readouterr().out
    assert result.to_dict()["limits"]["max_parameters"] == 30


def test_a_limit_below_every_network_is_refused_with_the_smallest(space, reported, run_folder):
    searcher = ecoml.Searcher(space, curve([0.5]), budget_j=1e4, max_parameters=79, parameters=size, **reported)
    with pytest.raises(UsageError, match="the smallest of those proposed has 80; give a larger") as refused:
        searcher.run()
    assert "\n" not in str(refused.value)
    assert not run_folder.exists()


def test_a_training_of_which_no_size_is_known_asks_for_a_function(space, reported, run_folder):
    with pytest.raises(UsageError, match="parameters=lambda"):
        ecoml.Searcher(space, curve([0.5]), budget_j=10, max_parameters=100, **reported)
    ecoml.Searcher(space, curve([0.5]), budget_j=25, max_parameters=300, parameters=size, **reported).run()
    with pytest.raises(UsageError, match="parameters=lambda"):
        ecoml.Searcher.resume(run_folder, curve([0.5]), budget_j=100)


@pytest.mark.parametrize("count", [lambda config: config["nothing"], lambda config: "many", lambda config: 1 / 0])
def test_a_function_that_cannot_count_is_said_in_one_line(space, reported, count):
    searcher = ecoml.Searcher(space, curve([0.5]), budget_j=10, max_parameters=100, parameters=count, **reported)
    with pytest.raises(UsageError, match="must return the number of trainable parameters") as refused:
        searcher.run()
    assert "\n" not in str(refused.value)


def test_the_built_in_training_counts_what_torch_counts():
    from ecoml.training.images.network.network import Network
    from ecoml.training.images.settings import Settings

    training, space = ecoml.CnnTraining("digits"), ecoml.load_space("cnn")
    for seed in range(8):
        config = space.sample(np.random.default_rng(seed))
        network = Network(Settings.of(config), (1, 8, 8), [str(digit) for digit in range(10)])
        assert training.parameters(config) == sum(weight.numel() for weight in network.parameters())


def test_by_ask_and_tell_too(space, reported):
    with ecoml.Searcher(space, budget_j=35, max_parameters=150, parameters=size, **reported) as searcher:
        while (trial := searcher.ask()) is not None:
            assert size(trial.config) <= 150
            searcher.tell(trial, 0.5, energy_j=10)
        assert len(searcher.result.trials) == 3


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), most=st.integers(80, 700))
def test_asking_again_gives_what_random_search_would_have_given_without_the_infeasible(seed, most):
    space = ecoml.Space({"width": ecoml.Int(8, 64), "rate": ecoml.Float(0, 1)})
    limit = SizeLimit(most, size)
    all_of_them, limited = create_strategy("random", space, seed), create_strategy("random", space, seed)
    started = [decision.config for _ in range(40) if isinstance(decision := all_of_them.ask(), Start)]
    feasible = [config for config in started if size(config) <= most]
    asked_for = [ask_feasible(limited, limit) for _ in feasible]
    assert [decision.config for decision in asked_for if isinstance(decision, Start)] == feasible


def test_who_always_proposes_the_same_is_not_asked_for_ever():
    class Stubborn:
        asked = 0

        def ask(self):
            self.asked += 1
            return ecoml.Start(CONFIG)

        def tell(self, trial):
            pass

    stubborn = Stubborn()
    assert isinstance(ask_feasible(stubborn, lambda config: False), End)
    assert stubborn.asked < 20


# The energy of one training


def test_no_training_goes_past_its_limit(space, reported, run_folder, capsys):
    reported["strategy"] = Script([ecoml.Start({**CONFIG, "width": width}) for width in (8, 9, 50)])

    def train(config):
        for score in (0.6, 0.7, 0.8, 0.9, 0.95):
            yield ecoml.Measurement(score + config["width"] / 1000, energy_j=config["width"])

    result = ecoml.Searcher(space, train, budget_j=1e4, max_energy_per_training_j=27, **reported).run()
    assert [(trial.step, trial.state.value) for trial in result.trials] == [
        (3, "stopped"),
        (3, "stopped"),
        (1, "stopped"),
    ]
    reasons = [describe_trial_end(why(trial), result.metric) for trial in result.trials]
    assert reasons[0] == "a further step would exceed the 27.0 J that a training may take: it took 24.0 J (reported)"
    assert reasons[2] == "it took 50.0 J (reported), more than the 27.0 J that a training may take"
    assert [(trial.number, trial.step) for trial in result.front] == [(0, 1), (1, 1), (0, 2), (1, 2), (0, 3), (1, 3)]
    assert (result.frugal, result.recommended) == result.front[-2:]
    assert Result.load(run_folder) == result
    print_result(result)
    assert "Limits: at most 27.0 J a training" in capsys.readouterr().out


def test_a_target_beyond_the_limit_is_not_reached(space, reported):
    train = curve([0.5, 0.9], energy_j=10.0)
    result = ecoml.Searcher(
        space, train, budget_j=60, max_energy_per_training_j=15, target=0.8, **reported
    ).run()  # fmt: skip
    assert why(result).reason is StopReason.BUDGET_SPENT
    assert [trial.step for trial in result.trials] == [1] * 6


def test_a_limit_below_every_first_step_leaves_no_front(space, reported, run_folder, capsys):
    result = ecoml.Searcher(space, curve([0.5]), budget_j=30, max_energy_per_training_j=9, **reported).run()
    assert result.front == ()
    assert result.recommended is None
    print_result(result)
    assert "Every training exceeded its energy limit" in capsys.readouterr().out
    assert write_report(run_folder, figures=False).is_file()


def test_the_limit_holds_after_resuming_and_for_trials_one_drives_oneself(space, reported, run_folder):
    with ecoml.Searcher(space, budget_j=1e3, max_energy_per_training_j=25, **reported) as searcher:
        searcher.tell(asked(searcher), 0.5, energy_j=10, done=True)
    with ecoml.Searcher.resume(run_folder) as searcher:
        trial = asked(searcher)
        searcher.tell(trial, 0.5, energy_j=10, done=False)
        assert not trial.state.ended
        searcher.tell(trial, 0.6, energy_j=10, done=False)
        assert trial.state.ended
        assert asked(searcher).number == trial.number + 1


def test_metered_joules_are_limited_as_well(space, quick, meter):
    def train(config):
        for step in range(9):
            meter.spend(10)
            yield 0.5 + step / 20

    result = ecoml.Searcher(
        space, train, budget_j=100, meter=meter, max_energy_per_training_j=30, max_trials=2, **quick
    ).run()  # fmt: skip
    assert [(trial.step, trial.energy_j) for trial in result.trials] == [(3, 30), (3, 30)]


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"max_parameters": 0}, "max_parameters is 0"),
        ({"max_parameters": 1.5}, "whole number"),
        ({"max_energy_per_training_j": 0.0}, "positive"),
        ({"max_energy_per_training_j": float("nan")}, "finite"),
        ({"max_energy_per_training_j": "much"}, "finite"),
        ({"max_trials": True}, "whole number"),
        ({"target": 1.5}, "between 0 and 1"),
        ({"max_trails": 3}, "did you mean 'max_trials'"),
    ],
)
def test_limits_that_make_no_sense_are_refused(space, reported, run_folder, wish, said):
    with pytest.raises(UsageError, match=said):
        ecoml.Searcher(space, curve([0.5]), budget_j=10, parameters=size, **wish, **reported)
    assert not run_folder.exists()


# What the strategy hears of it, and what it leaves


class Listening(Script):
    def __init__(self, decisions=()):
        super().__init__(decisions)
        self.heard: list[Goal] = []

    def pursue(self, goal):
        assert not self.told, "the goal comes before anything else"
        self.heard.append(goal)


def test_the_strategy_hears_the_goal_before_anything_else_and_again_after_resuming(space, reported, run_folder):
    wishes: dict[str, Any] = {
        "target": 0.9,
        "spend_all": True,
        "max_energy_per_training_j": 50.0,
        "max_parameters": 200,
    }
    listening = [Listening([ecoml.Start({**CONFIG, "width": width})]) for width in (8, 9)]
    ecoml.Searcher(
        space, curve([0.5]), budget_j=100, parameters=size, **wishes, **{**reported, "strategy": listening[0]}
    ).run()  # fmt: skip
    ecoml.Searcher.resume(run_folder, curve([0.5]), strategy=listening[1], parameters=size).run()
    for strategy in listening:
        (goal,) = strategy.heard
        assert (goal.target, goal.limits.spend_all, goal.limits.max_energy_per_training_j) == (0.9, True, 50.0)
        assert [goal.feasible({**CONFIG, "width": width}) for width in (20, 21)] == [True, False]


def test_what_an_early_end_leaves_unspent_is_said(space, reported, capsys):
    reported["strategy"] = Script([ecoml.Start(CONFIG), ecoml.End("the rest is not worth its energy")])
    result = ecoml.Searcher(space, curve([0.5]), budget_j=40, **reported).run()
    told = result.to_dict()
    assert told["ended"] == {"reason": "strategy", "message": "the rest is not worth its energy"}
    assert told["energy"]["left_j"] == 30
    print_result(result)
    shown = capsys.readouterr().out
    assert "Ended: the rest is not worth its energy" in shown
    assert "Left unspent: 30.0 J (reported), 75" in shown


class Careful(Script):
    """Ends the search after its first trial, unless it is told to spend the entire budget."""

    def __init__(self):
        super().__init__(ecoml.Start({**CONFIG, "width": width}) for width in range(8, 20))

    def pursue(self, goal):
        self.spend_all = goal.limits.spend_all

    def ask(self):
        if self.told and not self.spend_all:
            return ecoml.End(StopReason.NOT_WORTH_IT, {"spent_j": 10.0, "promise": 0.0, "worth": 0.1})
        return super().ask()


def test_a_search_that_ended_early_is_continued_to_the_end_of_its_budget(space, reported, run_folder, capsys):
    reported["strategy"] = Careful()
    result = ecoml.Searcher(space, curve([0.5]), budget_j=40, **reported).run()
    print_result(result)
    assert f"ecoml resume {run_folder} --spend-all" in "".join(capsys.readouterr().out.splitlines())
    before = tomllib.loads((run_folder / "run.toml").read_text())
    result = ecoml.Searcher.resume(run_folder, curve([0.5]), strategy=Careful(), spend_all=True).run()
    assert (result.energy.left_j, result.limits.spend_all) == (0.0, True)
    assert tomllib.loads((run_folder / "run.toml").read_text()) == {**before, "limits": {"spend_all": True}}
    print_result(result)
    assert "Told to spend the entire budget" in capsys.readouterr().out
    result = ecoml.Searcher.resume(run_folder, curve([0.5]), strategy=Careful(), budget_j=60).run()
    assert result.energy.left_j == 0.0, "it remembers"


@pytest.mark.parametrize(("trials", "told"), [(1, "1 trial was made"), (2, "2 trials were made")])
def test_the_end_after_so_many_trials_is_told_in_their_number(trials, told):
    assert describe_search_end(SearchEnd(StopReason.MAX_TRIALS, {"trials": trials}), ecoml.Metric()) == told
