"""A search's CO2e: each joule by the intensity of its time, and a ceiling as hard as that on energy."""

import json
import math
import subprocess
import sys
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rigs.grid import HOUR_S, FakeGrid, table_file
from rigs.meter import FakeMeter
from rigs.scripts import curve, why

import ecoml
from ecoml.carbon.grid import GridProvenance
from ecoml.carbon.table import IntensityTable
from ecoml.endings import EndReason, StopReason
from ecoml.energy import J_PER_KWH, Provenance, Purpose, co2e_g
from ecoml.errors import BudgetError, UsageError
from ecoml.format import describe_co2e, describe_search_end
from ecoml.ledger.gram_counter import GramCounter
from ecoml.report.page.page import write_report
from ecoml.run.hindsight import seen_on


def test_each_joule_counts_by_the_intensity_of_its_time():
    now = [0.0]
    counter = GramCounter(FakeGrid([100.0, 300.0]), clock=lambda: now[0])
    counter.add(J_PER_KWH)
    now[0] = HOUR_S
    counter.add(J_PER_KWH)
    assert counter.spent_g == 400.0
    counter.limit_g = 550.0
    assert counter.left_j == J_PER_KWH / 2, "at the present intensity"
    now[0] = 0.0
    assert counter.left_j == 1.5 * J_PER_KWH


def test_the_account_carries_co2e_per_step_and_by_purpose(space, quick):
    meter = FakeMeter()

    def train(config):
        for score in (0.5, 0.6):
            meter.spend(3600.0)
            yield score

    result = ecoml.Searcher(space, train, budget_j=1e5, meter=meter, max_trials=3, grid_intensity=250, **quick).run()
    co2e = result.energy.co2e
    assert co2e.co2e_g == pytest.approx(co2e_g(result.energy.total_j, 250.0))
    assert math.fsum(co2e.by_purpose.values()) == pytest.approx(co2e.co2e_g)
    assert co2e.by_purpose[Purpose.TRAINING] == pytest.approx(6 * 0.25)
    assert co2e.by_step == pytest.approx({(trial, step): 0.25 for trial in range(3) for step in (1, 2)})
    assert (co2e.provenance, co2e.unknown_j) == (GridProvenance.STATED, 0.0)
    told = json.loads(json.dumps(result.to_dict()))
    assert told["energy"]["co2e"]["provenance"] == "stated"
    assert told["trials"][0]["curve"][0]["co2e_g"] == pytest.approx(0.25)


def test_without_an_intensity_nothing_is_said_of_co2e(space, quick):
    result = ecoml.Searcher(space, curve([0.5]), budget_j=100, energy="reported", max_trials=1, **quick).run()
    assert result.energy.co2e.provenance is None
    assert result.to_dict()["energy"]["co2e"] is None
    assert describe_co2e(result.energy.co2e) == ""


def test_a_run_is_seen_on_a_grid_that_is_named_afterwards(space, quick, tmp_path):
    result = ecoml.Searcher(space, curve([0.5]), budget_j=1e4, energy="reported", max_trials=2, **quick).run()
    seen = seen_on(result, table_file(tmp_path, 200.0, 100.0)).energy.co2e
    assert seen.co2e_g == pytest.approx(co2e_g(20.0, 200.0))
    assert seen.provenance is GridProvenance.TABLE
    long_ago = seen_on(result, table_file(tmp_path, 200.0, begins_s=0.0)).energy.co2e
    assert (long_ago.co2e_g, long_ago.unknown_j) == (0.0, 20.0)


def test_another_grid_named_afterwards_keeps_the_budget_and_what_was_counted_against_it(space, reported, tmp_path):
    result = ecoml.Searcher(
        space, curve([0.5]), budget_gco2e=co2e_g(50.0, 100.0), grid_intensity=100.0, **reported
    ).run()
    seen = seen_on(result, 300.0).energy.co2e
    assert seen.co2e_g == pytest.approx(3 * result.energy.co2e.co2e_g)
    assert (seen.budget_g, seen.counted_g) == (result.energy.co2e.budget_g, result.energy.co2e.co2e_g)
    told = "4.17 mg at 300 g/kWh, as given; the search counted 1.39 mg, 100.0 % of the budget of 1.39 mg"
    assert describe_co2e(seen) == told
    steps = {step: 3 * grams for step, grams in result.energy.co2e.by_step.items()}
    assert steps
    assert seen.by_step == pytest.approx(steps)
    assert told in write_report(result.directory, grid_intensity=300.0).read_text(encoding="utf-8")


@pytest.mark.parametrize("energy", ["reported", "metered"])
def test_a_search_that_outlives_its_table_says_so_once(space, quick, tmp_path, energy, caplog):
    path = table_file(tmp_path, 300.0, 200.0, begins_s=0.0)
    now = [1.5 * HOUR_S]
    meter = FakeMeter()

    def train(config):
        for _ in range(3):
            now[0] += 0.4 * HOUR_S
            meter.spend(10.0)
            yield ecoml.Measurement(0.5, energy_j=10.0 if energy == "reported" else None)

    own = None if energy == "reported" else meter
    searcher = ecoml.Searcher(
        space, train, budget_j=1e4, max_trials=1, grid_intensity=path, energy=energy, meter=own, **quick
    )
    grid = searcher.settings.grid
    assert isinstance(grid, IntensityTable)
    grid.clock = lambda: now[0]
    result = searcher.run()
    told = "grid.csv ends at 1970-01-01 02:00 UTC: its last intensity, 200 g/kWh, is used from then on"
    assert result.energy.gaps.count(told) == caplog.messages.count(told) == 1
    assert result.energy.co2e.co2e_g == pytest.approx(co2e_g(30.0, 200.0))


def test_a_run_folder_holds_the_table_it_was_searched_with(space, quick, tmp_path, run_folder):
    path = table_file(tmp_path, 200.0, 200.0)
    ecoml.Searcher(space, curve([0.5]), budget_j=1.0, energy="reported", grid_intensity=path, **quick).run()
    path.unlink()
    searcher = ecoml.Searcher.resume(run_folder, curve([0.5]), budget_j=2e4)
    assert searcher.settings.grid is not None
    assert searcher.settings.grid.at(time.time()) == 200.0
    searcher.close()


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    budget_g=st.floats(1e-4, 1.0),
    steps_j=st.lists(st.floats(0.01, 1e3), min_size=1, max_size=20),
    values=st.lists(st.floats(10.0, 900.0), min_size=2, max_size=5),
)
def test_a_co2e_budget_is_overshot_by_one_yield_at_most(space, tmp_path_factory, budget_g, steps_j, values):
    folder = tmp_path_factory.mktemp("run")

    def train(config):
        for energy_j in steps_j:
            yield ecoml.Measurement(score=0.5, energy_j=energy_j)

    result = ecoml.Searcher(
        space,
        train,
        strategy="random",
        directory=folder / "r",
        energy="reported",
        max_trials=20,
        budget_gco2e=budget_g,
        grid_intensity=table_file(folder, *values, begins_s=time.time() - 0.01, step_s=0.02, lasts=True),
    ).run()
    worst_g = co2e_g(result.energy.overshoot_bound_j, max(values))
    assert result.energy.co2e.co2e_g <= budget_g + worst_g
    assert result.energy.co2e.budget_g == budget_g


def test_a_co2e_budget_stops_a_training_between_two_batches(space, quick):
    meter = FakeMeter(power_w=3600.0)

    class Batches:
        def prepare(self, space):
            pass

        def describe(self):
            return {"kind": "function", "name": "batches"}

        def start(self, trial, account):
            return Run(account)

    class Run:
        def __init__(self, account):
            self.account, self.steps = account, 0

        def __iter__(self):
            return self

        def __next__(self):
            self.steps += 1
            for _ in range(2 if self.steps == 1 else 10_000):
                self.account.check_budget()
                time.sleep(0.001)
            return ecoml.Measurement(0.5)

        def close(self):
            pass

    result = ecoml.Searcher(
        space, Batches(), meter=meter, budget_gco2e=0.25, grid_intensity=500.0, max_trials=1, **quick
    ).run()
    co2e = result.energy.co2e
    assert 0.1 < co2e.co2e_g <= 0.25 + co2e_g(result.energy.overshoot_bound_j, 500.0)
    assert why(result.trials[0]).reason is EndReason.BUDGET


@pytest.mark.parametrize(("ready_j", "told"), [(0.0, "and the first trial took"), (50.0, "getting ready took")])
def test_a_co2e_budget_that_is_too_small_is_the_one_that_is_named(space, quick, run_folder, ready_j, told):
    meter = FakeMeter()

    class Training:
        def prepare(self, space):
            meter.spend(ready_j)

        def describe(self):
            return {"kind": "function", "name": "training"}

        def start(self, trial, account):
            meter.spend(80.0)
            time.sleep(0.01)
            account.check_budget()
            yield ecoml.Measurement(0.5)

    one_trial = f"the budget of 1.39 mg CO2e is too small for one trial: .*{told}"
    with pytest.raises(BudgetError, match=one_trial) as refused:
        ecoml.Searcher(
            space, Training(), budget_j=1e6, budget_gco2e=co2e_g(50.0, 100.0), meter=meter, grid_intensity=100, **quick
        ).run()
    assert "budget_gco2e=" in str(refused.value)
    assert not run_folder.exists()


def test_both_budgets_hold_and_the_first_to_be_spent_ends_the_search(space, reported):
    run = dict(grid_intensity=100.0, max_trials=1000, **reported)
    grams = ecoml.Searcher(space, curve([0.5]), budget_j=1e6, budget_gco2e=co2e_g(105.0, 100.0), **run).run()
    assert grams.energy.total_j == pytest.approx(100.0)
    assert why(grams).reason is StopReason.BUDGET_SPENT
    assert "CO2e budget" in describe_search_end(why(grams), grams.metric)
    joules = ecoml.Searcher(
        space, curve([0.5]), budget_j=105.0, budget_gco2e=1e3, **{**run, "directory": run["directory"] / "b"}
    ).run()
    assert joules.energy.total_j == pytest.approx(100.0)
    assert "energy budget" in describe_search_end(why(joules), joules.metric)


def test_going_on_needs_a_larger_co2e_budget(space, reported, run_folder):
    first = ecoml.Searcher(
        space, curve([0.5]), budget_gco2e=co2e_g(55.0, 100.0), grid_intensity=100.0, **reported
    ).run()
    assert first.energy.total_j == pytest.approx(50.0)
    # What is left has no room for a step, and is not spent: only a smaller budget than that is refused.
    with pytest.raises(BudgetError, match="--add-gco2e"):
        ecoml.Searcher.resume(run_folder, curve([0.5]), budget_gco2e=first.energy.co2e.co2e_g)
    second = ecoml.Searcher.resume(run_folder, curve([0.5]), budget_gco2e=co2e_g(105.0, 100.0)).run()
    assert second.energy.total_j == pytest.approx(100.0)
    assert second.energy.co2e.co2e_g == pytest.approx(co2e_g(100.0, 100.0))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"budget_gco2e": 5.0}, "--grid-intensity"),
        ({"budget_gco2e": -5.0, "grid_intensity": 100}, "CO2e budget"),
        ({"budget_gco2e": math.nan, "grid_intensity": 100}, "finite"),
        ({"when_clean_g_per_kwh": 100.0, "grid_intensity": 100}, "--until"),
        ({"when_clean_g_per_kwh": 100.0, "until": "+1h", "grid_intensity": 100}, "never gets cleaner"),
        ({"until": "+1h"}, "--when-clean"),
        ({"when_clean_g_per_kwh": 100.0, "until": "soon", "grid_intensity": 100}, "until is 'soon'"),
        ({"when_clean_g_per_kwh": 100.0, "until": "2020-01-01", "grid_intensity": 100}, "which has passed"),
        ({"grid_intensity": "nowhere.csv"}, "cannot be read"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_written(space, reported, run_folder, options, told):
    with pytest.raises(UsageError, match=told):
        ecoml.Searcher(space, curve([0.5]), budget_j=100, **reported, **options)
    assert not run_folder.exists()


def test_a_killed_search_keeps_the_co2e_of_what_was_in_flight(tmp_path):
    script = f"""
import os, threading, time, sys
sys.path.insert(0, "tests")
import ecoml
from rigs.meter import FakeMeter
def train(config):
    yield 0.5
    threading.Timer(1.6, lambda: os._exit(9)).start()
    time.sleep(5)
    yield 0.6
space = ecoml.Space({{"x": ecoml.Float(0, 1)}})
ecoml.Searcher(space, train, budget_j=1e6, strategy="random", directory={str(tmp_path / "run")!r},
               meter=FakeMeter(power_w=1000.0), grid_intensity=100).run()
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9
    before = ecoml.Result.load(tmp_path / "run")
    searcher = ecoml.Searcher.resume(
        tmp_path / "run", lambda config: iter([0.5]), budget_j=2e6, meter=FakeMeter(Provenance.MEASURED)
    )
    with searcher:
        result = searcher.result
    assert result.energy.total_j > before.energy.total_j + 400.0
    assert result.energy.co2e.co2e_g == pytest.approx(co2e_g(result.energy.total_j, 100.0))
