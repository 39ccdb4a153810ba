"""The budget, and what is charged to it."""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rigs.meter import FakeMeter
from rigs.scripts import CONFIG, Script, curve, purposes, why

import ecoml
from ecoml.endings import StopReason
from ecoml.energy import Provenance
from ecoml.errors import BudgetError, MeterError, TrainingError
from ecoml.format import describe_search_end
from ecoml.trial import TrialState


@pytest.mark.parametrize("budget", [0, -1, math.nan, math.inf, True, "2"])
def test_a_budget_is_a_positive_number(space, quick, budget):
    with pytest.raises(BudgetError):
        ecoml.Searcher(space, curve([0.5]), budget_kwh=budget, **quick)


def test_a_budget_is_given_once(space, reported):
    with pytest.raises(BudgetError):
        ecoml.Searcher(space, curve([0.5]), **reported)
    with pytest.raises(BudgetError):
        ecoml.Searcher(space, curve([0.5]), budget_kwh=1, budget_j=1, **reported)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    budget_j=st.floats(1, 1e4), steps_j=st.lists(st.floats(0.01, 1e3), min_size=1, max_size=30), seed=st.integers(0, 99)
)
def test_reported_joules_are_charged_exactly_and_overshoot_by_one_yield_at_most(
    space, tmp_path_factory, budget_j, steps_j, seed
):
    def train(config):
        for energy_j in steps_j:
            yield ecoml.Measurement(score=0.5, energy_j=energy_j)

    directory = tmp_path_factory.mktemp("run") / "r"
    result = ecoml.Searcher(
        space,
        train,
        budget_j=budget_j,
        strategy="random",
        seed=seed,
        directory=directory,
        energy="reported",
        max_trials=20,
    ).run()
    yielded = [step_j for trial in result.trials for step_j in steps_j[: trial.step]]
    assert result.energy.total_j == pytest.approx(math.fsum(yielded), rel=1e-12)
    assert result.energy.total_j <= budget_j + result.energy.overshoot_bound_j
    assert result.energy.overshoot_bound_j == pytest.approx(max(yielded))
    assert result.energy.provenance is Provenance.REPORTED


def test_reported_energy_opens_no_meter(space, reported, alone):
    def train(config):
        assert not alone.exists(), "a meter of this host announces itself there"
        yield from curve([0.5, 0.6])(config)

    result = ecoml.Searcher(space, train, budget_j=100, **reported).run()
    assert result.trials[0].step == 2
    assert purposes(result) == {"training": 100, "evaluation": 0, "optimiser": 0, "overhead": 0}


@pytest.mark.parametrize("source", ["metered", "reported"])
def test_energy_comes_from_where_it_was_said_to_come_from(space, quick, meter, source):
    def train(config):
        meter.spend(4)
        yield ecoml.Measurement(0.5, energy_j=None if source == "reported" else 4.0)

    own_meter = {"meter": meter} if source == "metered" else {}
    searcher = ecoml.Searcher(space, train, budget_j=100, energy=source, **own_meter, **quick)
    with pytest.raises(TrainingError, match='energy="reported"'):
        searcher.run()


def test_energy_is_reported_always(space, reported):
    def train(config):
        yield ecoml.Measurement(0.5, energy_j=1.0)
        yield 0.6

    with pytest.raises(TrainingError, match="reports no energy_j"):
        ecoml.Searcher(space, train, budget_j=100, **reported).run()


def test_metered_purposes_sum_to_the_meter(space, quick, meter):
    def train(config):
        for score in (0.5, 0.6):
            meter.spend(7)
            yield score

    class Thinker(Script):
        def ask(self):
            meter.spend(2)
            return super().ask()

    strategy = Thinker([ecoml.Start(CONFIG)] * 3)
    quick["strategy"] = strategy
    result = ecoml.Searcher(space, train, budget_j=1000, meter=meter, **quick).run()
    assert purposes(result) == {"training": 42, "evaluation": 0, "optimiser": 8, "overhead": 0}
    assert result.energy.total_j == meter.spent_j
    assert sum(trial.energy_j for trial in result.trials) == 42
    assert result.progress[-1].point.spent_j == 48


def test_a_step_that_does_not_fit_is_not_started(space, quick, meter):
    def train(config):
        for _ in range(10):
            meter.spend(30)
            yield 0.5

    result = ecoml.Searcher(space, train, budget_j=100, meter=meter, **quick).run()
    assert result.energy.total_j == 90
    assert why(result).reason is StopReason.BUDGET_SPENT
    assert "a further step takes about 30.0 J" in describe_search_end(why(result), result.metric)


def test_the_executor_is_cut_between_two_batches(space, quick, meter):
    class Batches:
        def prepare(self, space):
            pass

        def describe(self):
            return {"kind": "batches"}

        def start(self, trial, account):
            def run():
                while True:
                    for _ in range(100):
                        account.check_budget()
                        meter.spend(1)
                        time.sleep(0.001)
                    yield ecoml.Measurement(0.5)

            return run()

    result = ecoml.Searcher(space, Batches(), budget_j=250, meter=meter, **quick).run()
    assert result.energy.total_j <= 250 + result.energy.overshoot_bound_j
    assert result.energy.total_j == pytest.approx(200, abs=55)  # the forecast of a third epoch does not fit
    assert result.trials[-1].state is TrialState.STOPPED


def test_a_budget_for_less_than_one_measurement_is_refused_and_leaves_nothing(space, quick, run_folder, meter):
    class Greedy:
        def prepare(self, space):
            meter.spend(1)

        def describe(self):
            return {"kind": "greedy"}

        def start(self, trial, account):
            def run():
                for _ in range(1000):
                    meter.spend(1)
                    account.check_budget()
                    time.sleep(0.001)
                yield ecoml.Measurement(0.5)

            return run()

    (there := run_folder.parent / "there").mkdir()
    for deep in (run_folder / "a" / "b", there / "a" / "b"):
        with pytest.raises(BudgetError, match="too small for one trial") as raised:
            ecoml.Searcher(space, Greedy(), budget_j=20, meter=meter, **{**quick, "directory": deep}).run()
        assert raised.value.spent_j > 0
    assert not run_folder.exists(), "nor a folder that was made for it"
    assert not list(there.iterdir())


def test_an_estimate_is_refused_where_a_measurement_is_required(space, quick, run_folder):
    meter = FakeMeter(Provenance.ESTIMATED)
    with pytest.raises(MeterError, match="ecoml meters"):
        ecoml.Searcher(space, lambda config: 0.5, budget_j=9, meter=meter, require_measured=True, **quick).run()
    assert not run_folder.exists()
