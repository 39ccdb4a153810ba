"""Arguments of `Searcher` and of `Searcher.resume`: each is used, kept or refused."""

from __future__ import annotations

import pytest
from rigs.meter import FakeMeter
from rigs.scripts import CONFIG, Script, curve

import ecoml
from ecoml.run.result import Result
from ecoml.strategies.base import Continue
from ecoml.strategies.random import RandomSearch


def search(space, train, settings, **options):
    return ecoml.Searcher(space, train, **{"budget_j": 100, **settings, **options}).run()


def test_an_object_as_strategy_is_given_again(space, reported, run_folder):
    class Random(RandomSearch):
        """Has the name of a built-in strategy, in small letters."""

    search(space, curve([0.5]), reported, strategy=Random(space, 0))
    with pytest.raises(ecoml.UsageError, match=r"resume\(…, strategy=…\)"):
        ecoml.Searcher.resume(run_folder, curve([0.5]), budget_j=200)
    again = ecoml.Searcher.resume(run_folder, curve([0.5]), budget_j=200, strategy=Random(space, 0)).run()
    assert len(again.trials) == 20


def test_a_strategy_without_length_is_used(space, reported):
    class Empty(Script):
        def __len__(self):
            return 0

    result = search(space, curve([0.5]), reported, strategy=Empty([ecoml.Start(CONFIG)]))
    assert result.trials[0].config == CONFIG


def test_a_named_strategy_goes_on(space, reported, run_folder):
    search(space, curve([0.5]), reported)
    with pytest.raises(ecoml.UsageError, match="leave strategy= out"):
        ecoml.Searcher.resume(run_folder, curve([0.5]), budget_j=200, strategy=RandomSearch(space, 1))


def test_another_metric_is_refused_on_resume(space, reported, run_folder):
    class Training:
        def __init__(self, metric):
            self.metric = metric

        def prepare(self, space):
            pass

        def start(self, trial, account):
            return curve([0.5])(trial.config)

        def describe(self):
            return {"kind": "own"}

    search(space, Training(ecoml.Metric("accuracy", low=0, high=1)), reported)
    with pytest.raises(ecoml.UsageError, match="its scores are accuracy"):
        ecoml.Searcher.resume(run_folder, Training(ecoml.Metric("loss", minimize=True)), budget_j=200).run()


def test_the_seed_is_that_of_the_training_unless_one_is_given(space, reported, tmp_path):
    class Training:
        seed = 5

        def prepare(self, space):
            pass

        def start(self, trial, account):
            return curve([self.seed / 10])(trial.config)

        def describe(self):
            return {"kind": "own", "seed": self.seed}

    for given, seed in (({}, 5), ({"seed": 0}, 0)):
        result = search(space, Training(), {**reported, "directory": tmp_path / str(seed)}, **given)
        assert (result.seed, result.settings["executor"]["seed"], result.trials[0].score) == (seed, seed, seed / 10)


def test_what_a_resumed_search_changes_stays(space, reported, run_folder, tmp_path):
    def resumed(budget_j, **options):
        return ecoml.Searcher.resume(run_folder, curve([0.5]), budget_j=budget_j, **options).run()

    search(space, curve([0.5]), reported, grid_intensity=100, budget_gco2e=1.0)
    resumed(200, grid_intensity=500, budget_gco2e=2.0, spend_all=True)
    result = resumed(300)
    assert (result.settings["run"]["grid_intensity"], result.settings["run"]["budget_j"]) == ("500", 300)
    assert (result.limits.budget_gco2e, result.limits.spend_all) == (2.0, True)
    assert result.energy.co2e.co2e_g == pytest.approx((100 * 100 + 200 * 500) / 3.6e6)

    table = tmp_path / "mine.csv"
    table.write_text("time,g_per_kwh\n2020-01-01T00:00,40\n2090-01-01T00:00,40\n", encoding="utf-8")
    resumed(400, grid_intensity=table)
    table.unlink()
    assert resumed(500).energy.co2e.co2e_g == pytest.approx((100 * 100 + 200 * 500 + 200 * 40) / 3.6e6)
    resumed(600, grid_intensity=100)
    assert not (run_folder / "grid.csv").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"energy": "reported", "meter": FakeMeter(power_w=1)}, "leave out meter="),
        ({"energy": "reported", "require_measured": True}, "leave out require_measured"),
        ({"workers": "local:2", "meter": FakeMeter(power_w=1)}, "either meter= or workers="),
        ({"strategey": "random"}, "did you mean .strategy"),
        ({"buget_kwh": 2}, "did you mean .budget_kwh"),
        ({"max_trial": 2}, "did you mean .max_trials"),
    ],
)
def test_what_would_be_ignored_is_refused(space, quick, run_folder, options, told):
    with pytest.raises(ecoml.UsageError, match=told):
        search(space, curve([0.5]), quick, **options)
    assert not run_folder.exists()


@pytest.mark.parametrize("decision", [ecoml.Start(CONFIG, steps=0), Continue(0, steps=-1)])
def test_steps_of_a_decision_are_positive(space, reported, decision):
    strategy = Script([ecoml.Start(CONFIG, steps=1), decision])
    with pytest.raises(ecoml.EcomlError, match="give 1 or more"):
        search(space, curve([0.5] * 4), {**reported, "strategy": strategy})


def test_a_function_that_has_returned_needs_no_further_energy(space, reported):
    costs = iter([1.0] * 5 + [60.0] + [1.0] * 100)
    result = search(
        space, lambda _: ecoml.Measurement(0.5, energy_j=next(costs)), reported, max_trials=30, spend_all=True
    )
    assert (len(result.trials), result.energy.total_j) == (30, 89.0)
    assert {trial.end.reason.value for trial in result.trials} == {"finished"}


def test_the_last_measurement_of_a_generator_ends_its_training(space, reported):
    def train(config):
        yield ecoml.Measurement(0.5, energy_j=1.0)
        yield ecoml.Measurement(0.6, energy_j=60.0, last=True)
        raise AssertionError("it is not continued")

    result = search(space, train, reported)
    assert (result.trials[0].state.value, result.trials[0].step) == ("finished", 2)


def test_an_energy_budget_within_a_training_is_not_that_of_the_search(space, quick, meter):
    def train(config):
        with ecoml.energy_budget(j=2, meter=inner) as budget:
            for score in (0.5, 0.6, 0.7, 0.8):
                meter.spend(1)
                inner.spend(1)
                budget.check()
                yield score

    inner = type(meter)()
    result = search(space, train, quick, meter=meter, max_trials=3)
    assert result.ended.reason.value == "max-trials"
    assert {trial.end.reason.value for trial in result.trials} == {"finished"}
    assert Result.load(result.directory).energy.total_j < 100
