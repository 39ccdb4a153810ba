"""Update periods learnt while the clock runs, edges put on updates, and what the polling thread costs."""

import math
import threading
import time
from types import SimpleNamespace

import hypothesis.strategies as st
import pytest
from hypothesis import given

from ecoml.energy import Provenance
from ecoml.meter import open_meter
from ecoml.meter.host import HostMeter
from ecoml.meter.repair.clock import MeterClock
from ecoml.meter.repair.counter import Counter
from ecoml.meter.repair.phase import Phase
from ecoml.meter.repair.sensor import Sensor
from ecoml.meter.repair.ticks import Ticks


class RunningGpu:
    """An NVML whose one GPU draws 200 W and whose counter ticks as real time goes by."""

    def __init__(self, period_s):
        self.period_s = period_s
        self.reads = 0
        self.readers = set()

    def energy_mj(self, _handle):
        self.reads += 1
        self.readers.add(threading.current_thread().name)
        return int(math.floor(time.monotonic() / self.period_s) * self.period_s * 200e3)

    def nvml(self):
        return SimpleNamespace(
            nvmlInit=lambda: None,
            nvmlShutdown=lambda: None,
            nvmlDeviceGetCount=lambda: 1,
            nvmlDeviceGetHandleByIndex=lambda index: index,
            nvmlDeviceGetName=lambda handle: "NVIDIA H200",
            nvmlDeviceGetTotalEnergyConsumption=self.energy_mj,
        )


def test_the_thread_learns_a_period_that_differs_from_the_assumed_one_and_then_rests(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    gpu = RunningGpu(0.02)
    threads = set(threading.enumerate())
    with open_meter(root=tmp_path, nvml=gpu.nvml()) as meter:

        def source():
            return next(source for source in meter.sources if source.domain == "gpu:0")

        end_s = time.monotonic() + 30.0
        while not source().period_measured and time.monotonic() < end_s:
            time.sleep(0.05)
        assert source().period_measured
        assert 0.019 <= source().period_s <= 0.03
        reads, start_s = gpu.reads, time.monotonic()
        time.sleep(1.2)
        most = 2 + 2 * (time.monotonic() - start_s)
        assert 1 <= gpu.reads - reads <= most, "two readings a second are enough from then on"
        start_s = time.monotonic()
        window = meter.window()
        least_s = -time.monotonic()
        time.sleep(0.3)
        least_s += time.monotonic()
        part = window.energy().domains["gpu:0"]
        most_s = time.monotonic() - start_s
        assert least_s * 200.0 - part.uncertainty_j <= part.energy_j <= most_s * 200.0 + part.uncertainty_j
        assert part.uncertainty_j < 0.5 * part.energy_j
        assert {thread.name for thread in set(threading.enumerate()) - threads} == {"ecoml-meter"}
    assert set(threading.enumerate()) <= threads


@given(
    st.floats(1e-3, 0.5),
    st.floats(0, 1),
    st.lists(st.floats(0.02, 0.4), min_size=30, max_size=120),
)
def test_what_is_learnt_is_never_shorter_than_the_period(period_s, phase, waits):
    ticks = Ticks(period_s / 7, 1.0)
    now_s = phase * period_s
    for wait in waits:
        now_s += wait * period_s
        tick = math.floor(now_s / period_s)
        ticks.see(float(tick), now_s)
        age_s = now_s - tick * period_s
        assert age_s <= min(ticks.stale_s(now_s), ticks.bound_s) + 1e-9
    if ticks.measured:
        assert period_s <= ticks.period_s * (1 + 1e-9) <= 2 * period_s


class Steps:
    """A clock that goes on by 20 µs at each look, and a counter of 100 W on it that ticks each 1 ms."""

    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        self.now_s += 20e-6
        return self.now_s

    def raw_j(self):
        return math.floor(self.now_s * 1000.0) * 0.1


def meter_on(steps):
    counter = Counter("cpu:0", 1e-3, 0.05, 1000.0, 262_143.0, 400.0)
    clock = MeterClock(steps)
    gauge = Sensor("cpu:0", Provenance.MEASURED, 0.02, None, counter, steps.raw_j)
    while not counter.ticks.measured:
        gauge.read(clock()[0])
    return HostMeter([gauge], [], {}, clock, watch=True), counter


@pytest.mark.parametrize("phase_s", [0.0, 0.3e-3, 0.9e-3])
def test_edges_on_updates_make_a_short_window_exact(phase_s):
    steps = Steps()
    meter, _ = meter_on(steps)
    meter.close()  # its thread would move the clock
    meter, _ = meter_on(steps)
    meter._stop.set()
    assert meter._thread is not None
    meter._thread.join()
    steps.now_s += phase_s
    plain = meter.window()
    steps.now_s += 0.02
    plain_part = plain.lap().domains["cpu:0"]
    with meter.window() as aligned:
        steps.now_s += 0.02
    aligned_part = aligned.energy().domains["cpu:0"]
    assert aligned_part.edge_j < 0.05 < 0.4 < plain_part.edge_j, "of the 2 J they hold"
    assert aligned.energy_j == pytest.approx(2.0, abs=0.11)
    first_s = steps.now_s
    meter.window().__enter__()
    assert steps.now_s - first_s < 2e-3, "it waits for one update and no longer"
    meter.close()


def test_a_counter_that_has_stopped_holds_no_window_up():
    steps = Steps()
    meter, _ = meter_on(steps)
    stopped_j = steps.raw_j()
    meter._gauges[0]._sense = lambda: stopped_j
    first_s = steps.now_s
    with meter.window():
        pass
    assert steps.now_s - first_s < 0.5
    meter.close()


@given(
    st.floats(0.02, 0.5),
    st.floats(0, 1),
    st.floats(0, 0.3),
    st.floats(0, 0.3),
    st.lists(st.one_of(st.floats(0.02, 0.4), st.floats(0.4, 4.0)), min_size=1, max_size=200),
)
def test_an_update_came_when_it_is_told_to_have_come(period_s, offset, shorter, longer, waits):
    """All waits are in periods; the period is known to lie between two bounds."""
    phase = Phase()
    phase.learn(period_s * (1 - shorter), period_s * (1 + longer))
    now_s, shown = offset * period_s, 0
    for wait in waits:
        before_s, now_s = now_s, now_s + wait * period_s
        tick = math.floor(now_s / period_s)
        if tick != shown:
            phase.see(before_s, now_s, period_s * (1 + longer))
            assert abs(tick * period_s - phase.tick_s) <= phase.within_s + 1e-9
            shown = tick


def test_regular_reading_of_a_regular_counter_tells_its_updates_far_better_than_it_is_read():
    phase = Phase()
    phase.learn(0.09, 0.12)
    before_s, shown = 0.0, 0
    for number in range(1, 400):
        now_s = number * 0.0117
        if (tick := math.floor(now_s / 0.1)) != shown:
            phase.see(before_s, now_s, 0.12)
            shown = tick
        before_s = now_s
    assert phase.period_s == pytest.approx(0.1, rel=0.01)
    assert phase.within_s <= 0.04 * 0.1
    assert abs(shown * 0.1 - phase.tick_s) <= phase.within_s


def test_updates_that_stop_being_regular_are_no_longer_foreseen():
    phase = Phase()
    phase.learn(0.09, 0.11)
    now_s, period_s = 0.0, 0.1
    for number in range(60):
        period_s = 0.1 if number < 20 else 0.06
        phase.see(now_s + period_s - 0.011, now_s + period_s, 0.11)
        now_s += period_s
        assert now_s - 0.011 - 1e-9 <= phase.tick_s <= now_s
