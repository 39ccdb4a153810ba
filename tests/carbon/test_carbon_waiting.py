"""Waiting for a cleaner grid: the deadline, the pause, the plan, and what it saves over a recorded year."""

import contextlib
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path

import clean_waiting
import pytest
from rigs.grid import HOUR_S, FakeGrid
from rigs.meter import FakeMeter
from rigs.scripts import curve

import ecoml
from ecoml.carbon.plan import wait_for_clean
from ecoml.energy import Purpose, co2e_g
from ecoml.errors import UsageError
from ecoml.format import describe_co2e, describe_plan
from ecoml.limits import Limits
from ecoml.searcher.energy.waiting import CleanWait


@pytest.mark.parametrize("until", ["+0h", "+-3h", "2020-01-01T00:00"])
def test_a_deadline_that_has_passed_is_refused_for_a_search_that_begins(until):
    with pytest.raises(UsageError, match="which has passed; give a time in the future"):
        Limits(when_clean_g_per_kwh=100.0, until=until).refuse_past()


@pytest.mark.parametrize("until", ["18:00", "06:30:15", "+24h", "+0.5h", "2026-11-28T06:00", "2026-11-28T06:00+01:00"])
def test_a_deadline_becomes_a_moment_and_stays_it(until):
    limits = Limits(when_clean_g_per_kwh=100.0, until=until)
    assert Limits.of(limits.to_dict()) == limits
    if not until.startswith("2026"):
        assert 0 < limits.until_s - time.time() <= 24 * HOUR_S + 1


class Clocks:
    """Time of day and monotonic time, which a test moves; and a machine that idles meanwhile."""

    def __init__(self, meter, idle_w=50.0):
        self.wall_s = self.mono_s = 0.0
        self.meter, self.idle_w = meter, idle_w
        self.slept_s = 0.0
        self.jumps = {}

    def sleep(self, seconds):
        self.wall_s += 600 * seconds
        self.mono_s += 600 * seconds
        self.slept_s += 600 * seconds
        self.meter.spend(self.idle_w * 600 * seconds)
        for at_s in [at_s for at_s in self.jumps if self.slept_s >= at_s]:
            self.jumps.pop(at_s)()


@pytest.fixture
def waiting(space, quick):
    """A search's account, and what makes a `CleanWait` on it."""
    meter = FakeMeter()
    clocks = Clocks(meter)
    searcher = ecoml.Searcher(space, curve([0.5]), budget_j=1e9, meter=meter, grid_intensity=1.0, **quick)
    ledger = searcher._session.open().ledger

    def wait(hours, limit=200.0, until_h=24.0):
        until = datetime.fromtimestamp(until_h * HOUR_S, UTC).isoformat()
        grid = FakeGrid(hours)
        limits = Limits(when_clean_g_per_kwh=limit, until=until)
        return CleanWait(
            grid,
            limits,
            ledger,
            contextlib.nullcontext(),
            clock=lambda: clocks.wall_s,
            monotonic=lambda: clocks.mono_s,
            sleep=clocks.sleep,
        ), grid

    yield wait, clocks, ledger
    searcher.close()


def test_it_waits_until_the_grid_is_clean_and_counts_idling_as_overhead(waiting):
    wait, clocks, ledger = waiting
    pause, _ = wait([400.0, 300.0, 250.0, 150.0, 400.0])
    before_j = ledger.spent_j
    pause()
    assert clocks.slept_s == 3 * HOUR_S
    assert ledger.spent_j - before_j == 50.0 * 3 * HOUR_S
    account = ledger.snapshot()
    assert account.by_purpose[Purpose.OVERHEAD].energy_j == pytest.approx(ledger.spent_j)
    assert account.settings["paused_s"] == 3 * HOUR_S
    assert account.settings["paused_j"] == 50.0 * 3 * HOUR_S
    pause()
    assert clocks.slept_s == 3 * HOUR_S, "a clean grid is not waited for"


def test_it_waits_no_longer_than_its_deadline(waiting):
    wait, clocks, _ = waiting
    pause, _ = wait([400.0] * 10, until_h=2.0)
    pause()
    assert clocks.slept_s == 2 * HOUR_S
    pause()
    assert clocks.slept_s == 2 * HOUR_S


def test_a_clock_set_back_does_not_prolong_the_deadline(waiting):
    wait, clocks, _ = waiting
    pause, _ = wait([400.0] * 48, until_h=5.0)
    clocks.jumps[HOUR_S] = lambda: setattr(clocks, "wall_s", clocks.wall_s - 100 * HOUR_S)
    pause()
    assert clocks.slept_s == 5 * HOUR_S


def test_a_clock_set_forward_ends_the_pause_where_the_grid_is_clean_then(waiting):
    wait, clocks, _ = waiting
    pause, _ = wait([400.0] * 10 + [100.0] * 10)
    clocks.jumps[HOUR_S] = lambda: setattr(clocks, "wall_s", clocks.wall_s + 9 * HOUR_S)
    pause()
    assert clocks.slept_s == HOUR_S


def test_a_machine_that_sleeps_wakes_to_the_present_hour(waiting):
    """The time of day goes on, the monotonic clock does not."""
    wait, clocks, _ = waiting
    pause, _ = wait([400.0] * 30, until_h=24.0)
    clocks.jumps[HOUR_S] = lambda: setattr(clocks, "wall_s", clocks.wall_s + 30 * HOUR_S)
    pause()
    assert clocks.slept_s == HOUR_S, "its deadline has passed meanwhile"


def test_it_does_not_wait_for_a_grid_it_knows_nothing_of(waiting):
    wait, clocks, _ = waiting
    pause, grid = wait([400.0] * 10)
    clocks.jumps[HOUR_S] = lambda: setattr(grid, "known", False)
    pause()
    assert clocks.slept_s == HOUR_S


def test_idling_that_takes_the_budget_ends_the_pause(waiting):
    wait, clocks, ledger = waiting
    pause, _ = wait([400.0] * 1000, until_h=1000.0)
    clocks.idle_w = 1e6
    pause_limit_j = ledger.budget_j

    def beat():
        ledger.settle()
        clocks.jumps[clocks.slept_s + 60] = beat

    clocks.jumps[60] = beat
    pause()
    assert pause_limit_j * 0.5 < ledger.spent_j <= pause_limit_j + 1e6 * 1200


def test_an_interruption_leaves_the_pause_counted(waiting):
    wait, clocks, ledger = waiting
    pause, _ = wait([400.0] * 10)

    def interrupt():
        raise KeyboardInterrupt

    clocks.jumps[HOUR_S] = interrupt
    with pytest.raises(KeyboardInterrupt):
        pause()
    assert ledger.snapshot().settings["paused_s"] == HOUR_S


def test_a_search_pauses_between_its_steps(space, quick, tmp_path, monkeypatch):
    """The real thing: half a second of a dirty grid, in real time."""
    monkeypatch.setattr("ecoml.searcher.energy.waiting.SLICE_S", 0.02)
    now_s = time.time()
    path = tmp_path / "grid.csv"
    rows = [(now_s - 10, 400.0), (now_s + 1.5, 90.0), (now_s + 600, 90.0)]
    path.write_text("".join(f"{datetime.fromtimestamp(at, UTC).isoformat()},{g}\n" for at, g in rows))
    meter = FakeMeter(power_w=10.0)
    stepped_s = []

    def train(config):
        for _ in range(2):
            stepped_s.append(time.time())
            yield 0.5

    result = ecoml.Searcher(
        space, train, budget_j=1e4, meter=meter, max_trials=1, grid_intensity=path, when_clean_g_per_kwh=100.0,
        until="+1h", **quick,
    ).run()  # fmt: skip
    assert min(stepped_s) >= now_s + 1.5
    co2e = result.energy.co2e
    assert 0 < co2e.paused_s < 1.6
    assert co2e.paused_j == pytest.approx(10.0 * co2e.paused_s, rel=0.2)
    assert co2e.by_purpose[Purpose.OVERHEAD] >= co2e_g(co2e.paused_j, 300.0)  # the last beat is at the next hour's
    assert "paused for" in describe_co2e(co2e)


def foreseen(*arguments, **options):
    plan = wait_for_clean(*arguments, **options)
    assert plan is not None
    return plan


def test_the_plan_weighs_waiting_against_going_straight_on():
    course = FakeGrid([400.0, 400.0, 100.0, 100.0, 400.0, 100.0]).course(0.0, 6 * HOUR_S)
    plan = foreseen(course, 2.0, 200.0, 24 * HOUR_S)
    assert (plan.straight_g_per_kwh, plan.clean_g_per_kwh, plan.waited_s) == (400.0, 100.0, 2 * HOUR_S)
    assert (plan.ends_s, plan.saved) == (4 * HOUR_S, 0.75)
    idle = foreseen(course, 2.0, 200.0, 24 * HOUR_S, idle_share=0.5)
    assert idle.idle_g_per_kwh == pytest.approx(0.5 * 400.0 * 2 / 2)
    assert idle.saved == pytest.approx(1 - 300 / 400)
    assert idle.break_even == pytest.approx(300 / 400)
    late = foreseen(course, 2.0, 200.0, 1.5 * HOUR_S)
    assert (late.clean_g_per_kwh, late.waited_s) == (0.25 * 400 + 0.75 * 100, 1.5 * HOUR_S)
    assert wait_for_clean(course, 5.0, 200.0, 24 * HOUR_S) is None, "no forecast of the grid is known"
    assert wait_for_clean([], 1.0, 200.0, HOUR_S) is None


def test_the_plan_is_told_with_what_eats_it_up():
    course = FakeGrid([400.0, 400.0, 100.0, 100.0, 400.0, 100.0]).course(0.0, 6 * HOUR_S)
    plans = [foreseen(course, 2.0, 200.0, 24 * HOUR_S), foreseen(course[2:], 2.0, 200.0, 24 * HOUR_S)]
    first, waits, goes_on = describe_plan(plans, 200.0, 24 * HOUR_S)
    assert "above 200 g/kWh" in first
    assert "2 h of work: 400 g/kWh at once, 100 with 2.0 h of waiting (75 % less" in waits
    assert "idling at 75 %" in waits
    assert "no waiting" in goes_on
    assert "cannot be predicted" in list(describe_plan([], 200.0, 24 * HOUR_S))[1]


def test_the_documented_table_is_what_the_benchmark_prints(capsys):
    clean_waiting.main()
    documented = (Path(__file__).parents[2] / "docs/results/waiting.md").read_text(encoding="utf-8")
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 2 + 2 * 3 * 3
    assert all(line in documented for line in printed)


@pytest.mark.parametrize("grid", clean_waiting.GRIDS)
def test_the_recorded_years_are_whole_and_of_2019(grid):
    """The tables' source names no year: its weeks do, as Saturdays and Sundays are cleaner."""
    year = clean_waiting.year_of(grid)
    assert len(year) == 365 * 24
    assert all(end_s - begin_s == HOUR_S for begin_s, end_s, _ in year)
    assert (year[0][0], year[-1][1]) == tuple(datetime(at, 1, 1, tzinfo=UTC).timestamp() for at in (2019, 2020))
    by_weekday: dict[int, list[float]] = {day: [] for day in range(7)}
    for begin_s, _, intensity in year:
        by_weekday[datetime.fromtimestamp(begin_s - 6 * HOUR_S, UTC).weekday()].append(intensity)
    means = {day: statistics.fmean(found) for day, found in by_weekday.items()}
    assert max(means[5], means[6]) < min(means[day] for day in range(5)) - 5
