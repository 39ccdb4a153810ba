"""A counter that updates ten times a second, and work in much smaller pieces: what they are told, how far it holds."""

import itertools
import json
import math
import random
import tempfile
from contextlib import closing
from pathlib import Path

import hypothesis.strategies as st
import pytest
import slow_counter
from hypothesis import given, settings
from slow_counter import LOADS, measure

import ecoml
from ecoml.energy import Provenance
from ecoml.meter import open_meter
from ecoml.meter.repair.counter import Counter
from ecoml.testing.hosts import SimulatedCounter, SimulatedHost

MOST_W = 700.0

boards = pytest.mark.parametrize("power", [True, False], ids=["energy and power", "energy alone"])
loads = pytest.mark.parametrize("load", LOADS)


@pytest.fixture(autouse=True)
def no_setting(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@loads
@pytest.mark.parametrize(
    ("epochs", "epoch_s", "most"),
    [(10, 0.03, 0.1), (3, 0.1, 0.1), (1, 0.3, 0.1), (12, 0.1, 0.1), (20, 0.1, 0.03), (4, 0.5, 0.03), (60, 0.05, 0.03)],
)
def test_a_trial_is_known_to_a_tenth_from_three_updates_on_and_to_three_hundredths_from_twenty(
    load, epochs, epoch_s, most
):
    found = measure(load, epochs, epoch_s, power=True, seconds=60.0, seeds=3)
    figures = found.figures()
    assert figures["rms error"] <= most
    assert figures["epochs at 0 J"] == 0.0
    assert figures["lost J"] <= 1e-6


@boards
@loads
@pytest.mark.parametrize(
    ("epochs", "epoch_s"), [(10, 0.003), (10, 0.01), (10, 0.03), (3, 0.1), (1, 0.3), (12, 0.1), (4, 0.5)]
)
def test_the_truth_lies_within_the_half_width_of_at_least_95_trials_in_100(load, epochs, epoch_s, power):
    figures = measure(load, epochs, epoch_s, power=power, seconds=30.0, seeds=2).figures()
    assert figures["inside it"] >= 0.95
    assert figures["epochs at 0 J"] == 0.0


@boards
@pytest.mark.parametrize("load", ["steps", "work"])
@pytest.mark.parametrize(("epochs", "epoch_s"), [(10, 0.03), (1, 0.3), (12, 0.1), (20, 0.1), (4, 0.5)])
def test_the_half_width_is_no_ten_times_the_error_once_a_trial_is_longer_than_an_update(load, epochs, epoch_s, power):
    figures = measure(load, epochs, epoch_s, power=power, seconds=30.0, seeds=2).figures()
    taken_for_wrong = 2 * 0.05 * slow_counter.PERIOD_S / (epochs * epoch_s)  # 5 % of the power for an update, at both
    assert figures["± of edges"] <= max(10 * figures["rms error"], taken_for_wrong)


def test_below_an_update_a_trial_says_that_it_is_a_share_and_a_long_one_that_it_is_measured():
    for load in LOADS:
        for power in (True, False):
            assert measure(load, 10, 0.003, power=power, seconds=10.0, seeds=1).figures()["attributed"] > 0.95
            # Steps of power that are not read: 6 in 100 of these are so uncertain that they are shares (360 s of them).
            most = 0.0 if power else 0.1
            assert measure(load, 100, 0.03, power=power, seconds=30.0, seeds=1).figures()["attributed"] <= most


def test_between_two_updates_only_the_power_is_read_and_the_figures_hold(tmp_path, monkeypatch):
    host = SimulatedHost(tmp_path)
    board = host.add_gpu(150.0, period_s=0.1, phase_s=0.03, limit_w=MOST_W, shows_power=True)
    assert host.nvml is not None
    asked = []
    fields = host.nvml.nvmlDeviceGetFieldValues

    def listening(handle, ids):
        asked.append(len(ids))
        return fields(handle, ids)

    monkeypatch.setattr(host.nvml, "nvmlDeviceGetFieldValues", listening)
    with open_meter(root=host.root, nvml=host.nvml, clock=host.clock) as meter:
        for _ in range(400):  # learns the period
            host.advance(0.01)
            meter.read()
        asked.clear()
        before_j, window = board.true_j, meter.window()
        for _ in range(1000):
            host.advance(0.003)
            window.lap()
        assert window.energy_j == pytest.approx(board.true_j - before_j, rel=0.01)
    assert asked.count(2) < 0.1 * len(asked), "energy and power; the power alone otherwise"
    assert asked.count(2) >= 30, "at each update"


class Learnt:
    """A simulated board whose period is known, its meter, and the truth beside it."""

    def __init__(self, root, period_s=0.1, phase=0.0, power=True, power_w=150.0):
        self.host = SimulatedHost(root)
        phase_s = phase * period_s
        self.gpu = self.host.add_gpu(power_w, period_s=period_s, phase_s=phase_s, shows_power=power, limit_w=MOST_W)
        self.meter = open_meter(root=root, nvml=self.host.nvml, clock=self.host.clock)
        for _ in range(300):
            self.host.advance(0.1137 * period_s)
            self.meter.read()
        self.window = self.meter.window()
        self.before_j = self.gpu.true_j

    def close(self):
        self.meter.close()

    def lap(self, seconds, power_w):
        self.gpu.power_w = power_w
        self.host.advance(seconds)
        return self.window.lap().domains["gpu:0"]

    @property
    def true_j(self):
        return self.gpu.true_j - self.before_j


def test_a_slow_counter_is_read_between_its_updates_once_its_period_is_known():
    for period_s, every_s in ((0.1, 0.025), (0.05, 0.0125), (0.02, None)):
        bench = Slow(period_s)
        assert bench.counter.wait_s(bench.now_s) == bench.ticks.wait_s(bench.now_s)  # it learns
        bench.learn()
        assert bench.ticks.wait_s(bench.now_s) is None
        assert bench.counter.wait_s(bench.now_s) == (every_s and pytest.approx(every_s, rel=0.2))


class Slow:
    """A counter of 150 W that updates so often."""

    def __init__(self, period_s):
        self.now_s, self.period_s = 0.0, period_s
        self.counter = Counter("gpu:0", 0.1, 0.5, 3000.0, interpolated=True)
        self.ticks = self.counter.ticks
        self.read()

    def read(self):
        self.counter.advance(150.0 * self.period_s * (self.now_s // self.period_s), self.now_s, 150.0)

    def learn(self):
        for _ in range(200):
            self.now_s += 0.1137 * self.period_s
            self.read()


PERIODS_S = st.sampled_from([0.02, 0.1, 0.25])
PIECES = st.lists(
    st.tuples(st.one_of(st.floats(1e-3, 0.05), st.floats(0.05, 1.0)), st.floats(20, MOST_W)), min_size=1, max_size=60
)


@given(PERIODS_S, st.floats(0, 1), st.booleans(), PIECES)
@settings(max_examples=60)
def test_no_piece_is_free_none_is_lost_and_none_counts_twice(period_s, phase, power, pieces):
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Learnt(Path(folder), period_s, phase, power)) as board,
    ):
        laps = []
        for seconds, power_w in pieces:
            laps.append(board.lap(seconds, power_w))
            assert laps[-1].energy_j > 0
            assert (laps[-1].provenance is Provenance.ATTRIBUTED) == (seconds < board.meter.sources[0].period_s)
        assert math.fsum(lap.energy_j for lap in laps) == pytest.approx(board.window.by_domain["gpu:0"])
        off_j = board.window.by_domain["gpu:0"] - board.true_j
        assert abs(off_j) <= 2.5 * period_s * MOST_W
        # Whatever was foreseen wrongly is settled when work goes on: of the excess at most a part of what goes on.
        for _ in range(40):
            board.lap(period_s / 2, MOST_W)
        assert board.window.by_domain["gpu:0"] == pytest.approx(board.true_j, abs=0.6 * period_s * MOST_W)


@given(PERIODS_S, st.floats(0, 1), PIECES)
@settings(max_examples=30)
def test_no_piece_is_free_from_the_first_one_on_where_power_is_read(period_s, phase, pieces):
    with tempfile.TemporaryDirectory() as folder:
        host = SimulatedHost(Path(folder))
        gpu = host.add_gpu(150.0, period_s=period_s, phase_s=phase * period_s)
        with open_meter(root=host.root, nvml=host.nvml, clock=host.clock) as meter:
            window = meter.window()
            for seconds, gpu.power_w in pieces:
                host.advance(seconds)
                assert window.lap().by_domain["gpu:0"] > 0


@given(PERIODS_S, st.floats(0, 1), st.booleans(), PIECES)
@settings(max_examples=30)
def test_a_window_tells_the_same_whatever_laps_are_cut_from_others(period_s, phase, power, pieces):
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Learnt(Path(folder), period_s, phase, power)) as board,
    ):
        whole = board.meter.window()
        parts = [board.lap(seconds, power_w) for seconds, power_w in pieces]
        joined = parts[0]
        for part in parts[1:]:
            joined = joined.then(part)
        assert joined.energy_j == pytest.approx(whole.by_domain["gpu:0"])


@pytest.mark.parametrize("power", [True, False])
def test_what_was_foreseen_too_high_is_taken_back(power, tmp_path):
    with closing(Learnt(tmp_path, power=power, power_w=600.0)) as board:
        board.lap(0.05, 600.0)
        laps = [board.lap(0.01, 70.0) for _ in range(300)]
        assert min(lap.energy_j for lap in laps) > 0
        assert board.window.by_domain["gpu:0"] == pytest.approx(board.true_j, abs=2.0)


def test_a_counter_that_stops_is_carried_on_for_an_update_or_two_and_no_longer(tmp_path):
    with closing(Learnt(tmp_path)) as board:
        board.gpu.stuck = True
        laps = [board.lap(0.05, 150.0) for _ in range(30)]
        assert sum(lap.energy_j for lap in laps) < 150.0 * 0.1 * 2
        assert board.lap(1.0, 150.0).provenance is Provenance.MISSING
        assert board.window.energy().domains["gpu:0"].uncertainty_j >= board.true_j - board.window.by_domain["gpu:0"]


def test_a_counter_whose_power_is_told_now_and_then_goes_by_its_own_until_it_is_told_again(tmp_path):
    with closing(Learnt(tmp_path)) as board:
        nvml = board.host.nvml
        assert nvml is not None
        told = nvml.nvmlDeviceGetPowerUsage

        def untold(_gpu):
            raise RuntimeError("Not Supported")

        for ask in (untold, told):
            nvml.nvmlDeviceGetPowerUsage = ask
            laps = [board.lap(0.01, 150.0) for _ in range(200)]
            assert all(math.isfinite(lap.uncertainty_j) for lap in laps)
            assert board.window.by_domain["gpu:0"] == pytest.approx(board.true_j, rel=0.01)


def test_power_that_is_read_where_little_is_drawn_is_told_from_what_is_drawn_on_average(tmp_path):
    """Laps are cut where the work changes, which is when a board waits: its power then is that of no training."""
    with closing(Learnt(tmp_path)) as board:
        trials = []
        for _ in range(40):
            before_j, told_j = board.true_j, 0.0
            for _ in range(12):
                board.gpu.power_w = 400.0
                board.host.advance(0.025)  # nobody reads while it trains
                told_j += board.lap(0.005, 60.0).energy_j
            trials.append(told_j / (board.true_j - before_j) - 1)
        assert max(abs(error) for error in trials[10:]) < 0.05


def test_an_error_that_is_worse_than_all_before_widens_what_is_told_from_then_on():
    counter = Counter("gpu:0", 0.1, 0.5, 3000.0, limit_w=875.0, interpolated=True)
    board = SimulatedCounter(0.0, 0.1, 0.0)
    now_s = 0.0

    def run(seconds, power_w):
        nonlocal now_s
        board.power_w = power_w
        for _ in range(round(seconds / 0.011)):
            board.advance(now_s, now_s + 0.011)
            now_s += 0.011
            counter.advance(board.raw_j, now_s)
        return counter.reading(now_s)

    assert run(1.0, 150.0).spread_w == math.inf, "too few errors to tell"
    calm = run(3.0, 150.0)
    assert calm.spread_w <= 0.25 * 150.0
    assert run(0.4, 600.0).spread_w >= 300.0
    assert run(5.0, 150.0).spread_w <= 0.25 * 150.0, "twenty updates later it is forgotten"


def test_trials_of_a_search_hold_their_joules_and_the_account_holds_all(space, quick, tmp_path):
    host = SimulatedHost(tmp_path / "host")
    package, gpu = host.add_package(power_w=50.0), host.add_gpu(power_w=80.0, limit_w=MOST_W)

    meter = open_meter(root=host.root, nvml=host.nvml, clock=host.clock)
    for pause_s in [1.1e-4] * 100 + [0.011] * 300:  # as at the opening, and as the thread does in the first seconds
        host.advance(pause_s)
        meter.read()
    true_j: list[float] = []
    rng = random.Random(0)

    def train(config):
        epochs = 3 if len(true_j) % 2 else 300
        gpu.power_w, before_j = rng.uniform(100, 600), gpu.true_j + package.true_j
        for _ in range(epochs):
            host.advance(0.01)
            yield 0.5
        true_j.append(gpu.true_j + package.true_j - before_j)

    with meter:
        result = ecoml.Searcher(space, train, budget_j=1e6, max_trials=12, meter=meter, **quick).run()
    assert len(true_j) == 12
    for trial, truth_j in zip(result.trials, true_j, strict=True):
        told_j = [point.energy_j for point in trial.curve]
        assert all(before_j < after_j for before_j, after_j in itertools.pairwise([0.0, *told_j])), "no epoch is free"
        if len(told_j) == 3:
            assert trial.energy.provenance is Provenance.ATTRIBUTED
            assert trial.energy_j == pytest.approx(truth_j, rel=0.25)
        else:
            assert trial.energy.provenance is Provenance.MEASURED
            assert trial.energy_j == pytest.approx(truth_j, rel=0.03)
    assert result.energy.provenance is Provenance.MEASURED
    purposes = math.fsum(part.energy_j for part in result.energy.by_purpose.values())
    assert purposes == pytest.approx(result.energy.total_j)


def test_the_benchmark_prints_what_it_found(capsys):
    shapes = ((3, 0.03),)
    slow_counter.run(1.0, 1, as_json=True, shapes=shapes)
    rows = json.loads(capsys.readouterr().out)
    assert [(row["board"], row["load"]) for row in rows] == list(itertools.product(slow_counter.BOARDS, LOADS))
    slow_counter.run(1.0, 1, as_json=False, shapes=shapes)
    assert "3 × 0.03 s" in capsys.readouterr().out
