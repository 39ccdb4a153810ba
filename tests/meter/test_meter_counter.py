"""Raw counters mended, against a counter whose truth is known."""

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from ecoml.energy import Provenance
from ecoml.meter.repair.counter import Counter, PowerIntegral
from ecoml.meter.repair.dies import Dies
from ecoml.meter.repair.gauge import Reading, between
from ecoml.meter.repair.sensor import Sensor
from ecoml.testing.hosts import SimulatedCounter

TICK_S = 1e-3
MAX_W = 1000.0


def sensor_on(simulated, gain=0.0):
    def sense():
        if simulated.failing:
            raise OSError(5, "Input/output error")
        return simulated.raw_j

    mend = Counter("cpu:0", simulated.period_s, simulated.period_s, MAX_W, simulated.modulus_j)
    return Sensor("cpu:0", Provenance.MEASURED, gain, None, mend, sense)


class Bench:
    """A simulated counter, its gauge, and a clock."""

    def __init__(self, power_w=100.0, modulus_j=262_143.328_85, start_j=5000.0, phase_s=0.0):
        self.counter = SimulatedCounter(power_w, TICK_S, start_j, modulus_j, phase_s)
        self.gauge = sensor_on(self.counter)
        self.now_s = 0.0
        self.first = self.read()

    def advance(self, seconds):
        self.counter.advance(self.now_s, self.now_s + seconds)
        self.now_s += seconds

    def read(self):
        return self.gauge.read(self.now_s), self.counter.true_j

    def energy(self, first=None):
        """Energy since a reading, and the truth."""
        first = first or self.first
        last = self.read()
        return between(self.gauge, first[0], last[0]), last[1] - first[1]


moduli = st.sampled_from([100.0, 1000.0, 65_712.999_613, 262_143.328_85])


@st.composite
def profiles(draw):
    """Modulus, start, phase, and segments (W, s) no longer than a quarter of a wrap, no shorter than ten ticks."""
    modulus_j = draw(moduli)
    lengths = st.floats(10 * TICK_S, modulus_j / MAX_W / 4)
    segments = draw(st.lists(st.tuples(st.floats(1, 500), lengths), min_size=1, max_size=40))
    return modulus_j, draw(st.floats(0, modulus_j * 0.999)), draw(st.floats(0, TICK_S)), segments


def test_a_wrap_that_may_be_a_reset_tells_of_the_power_before_it():
    """A window that opens right after it still lacks what was drawn with that power and not shown yet."""
    bench = Bench(modulus_j=65_712.999_613, start_j=58_447.0)
    readings = []
    for power_w, seconds in [(1.0, 1.0), (1.0, 1.9375), (454.0, 16.0), (1.0, 1.0)]:
        bench.counter.power_w = power_w
        bench.advance(seconds)
        readings.append(bench.read())
    assert any("may have been reset" in sentence for sentence in bench.gauge.news())
    (opened, before_j), (closed, after_j) = readings[-2:]
    energy = between(bench.gauge, opened, closed)
    assert 0.2 < abs(energy.energy_j - (after_j - before_j)) <= energy.uncertainty_j < 1.0


def test_a_reset_is_no_update():
    """It shows another value, but what was drawn since the last update is still to come."""
    counter = SimulatedCounter(169.0, 0.5, 5000.0, None)
    gauge = sensor_on(counter)
    readings: list[tuple[Reading, float]] = []
    now_s = 0.0
    for power_w, seconds in [(20.0, 10.05), (169.0, 1.935), (20.0, 0.01), (20.0, 0.01)]:
        counter.power_w = power_w
        if len(readings) == 2:
            counter.reset()
        counter.advance(now_s, now_s + seconds)
        now_s += seconds
        readings.append((gauge.read(now_s), counter.true_j))
    (opened, before_j), (closed, after_j) = readings[-2:]
    energy = between(gauge, opened, closed)
    assert 80.0 < abs(energy.energy_j - (after_j - before_j)) <= energy.uncertainty_j


def test_a_burst_of_one_period_counts_for_the_edge_before_it():
    """1.5 W for one period after 1 W for forty: their mean is too low for what is not shown yet when the burst ends."""
    bench = Bench(phase_s=8.7e-4, power_w=1.0)
    bench.advance(0.1)
    readings = [bench.read()]
    for power_w, seconds in [(1.0, 0.03976), *[(1.0, 5e-5)] * 4, (1.5, 8.7e-4), (1.0, 5e-5)]:
        bench.counter.power_w = power_w
        bench.advance(seconds)
        readings.append(bench.read())
    (opened, before_j), (closed, after_j) = readings[-2:]
    energy = between(bench.gauge, opened, closed)
    assert 1e-3 < abs(energy.energy_j - (after_j - before_j)) <= energy.uncertainty_j < 2e-3


def test_ten_periods_are_ten_periods_whatever_the_clock_rounds_to():
    """2.1975 s − 2.1875 s is a little less than 0.01 s: the highest power would be lost in the second after it."""
    bench = Bench()
    readings = []
    for power_w, seconds in [(1.0, 1.0), (1.0, 1.1875), (6.0, 0.01), (1.0, 1.0)]:
        bench.counter.power_w = power_w
        bench.advance(seconds)
        readings.append(bench.read())
    (opened, before_j), (closed, after_j) = readings[-2:]
    energy = between(bench.gauge, opened, closed)
    assert closed.power_w > 5.0
    assert abs(energy.energy_j - (after_j - before_j)) <= energy.uncertainty_j


@given(profiles(), st.data())
@settings(max_examples=150, deadline=None)
def test_a_window_is_as_right_as_it_says_over_any_profile_and_any_number_of_wraps(profile, data):
    modulus_j, start_j, phase_s, segments = profile
    bench = Bench(modulus_j=modulus_j, start_j=start_j, phase_s=phase_s)
    readings = [bench.first]
    for power_w, seconds in segments:
        bench.counter.power_w = power_w
        bench.advance(seconds)
        readings.append(bench.read())
    opened = data.draw(st.integers(0, len(readings) - 2))
    closed = data.draw(st.integers(opened + 1, len(readings) - 1))
    energy = between(bench.gauge, readings[opened][0], readings[closed][0])
    true_j = readings[closed][1] - readings[opened][1]
    assert abs(energy.energy_j - true_j) <= energy.uncertainty_j + 1e-6
    assert energy.energy_j >= 0
    assert energy.provenance is Provenance.MEASURED
    assert all("may have been reset" in sentence for sentence in bench.gauge.news())


@given(st.floats(1, 280), st.lists(st.floats(1e-6, 0.1), min_size=2, max_size=50), st.floats(0, TICK_S), st.data())
@settings(max_examples=150, deadline=None)
def test_reads_may_come_at_any_time_if_power_stays_within_a_factor(base_w, waits_s, phase_s, data):
    bench = Bench(phase_s=phase_s, power_w=base_w)
    bench.advance(0.1)
    readings = [bench.read()]
    for wait_s in waits_s:
        bench.counter.power_w = base_w * data.draw(st.floats(1.0, 1.75))
        bench.advance(wait_s)
        readings.append(bench.read())
    for earlier in readings[:-1:3]:
        energy = between(bench.gauge, earlier[0], readings[-1][0])
        assert abs(energy.energy_j - (readings[-1][1] - earlier[1])) <= energy.uncertainty_j + 1e-6


@given(st.floats(1, 400), st.floats(0, 0.5), st.lists(st.floats(0.02, 20), min_size=2, max_size=10), st.data())
@settings(max_examples=100, deadline=None)
def test_a_reset_is_a_gap_and_never_energy(power_w, start, waits_s, data):
    modulus_j = data.draw(st.sampled_from([65_712.999_613, 262_143.328_85, None]))
    bench = Bench(power_w, modulus_j, start_j=start * 65_712.0 * 0.8 + 100)
    reset_at = data.draw(st.integers(0, len(waits_s) - 1))
    for number, wait_s in enumerate(waits_s):
        bench.advance(wait_s / 2)
        if number == reset_at:
            bench.counter.reset()
        bench.advance(wait_s / 2)
        bench.read()
    energy, true_j = bench.energy()
    news = bench.gauge.news()
    # A counter that has already passed where it was by the time it is read shows nothing of its reset.
    if any("reset" in sentence for sentence in news):
        assert energy.uncertainty_j > power_w * waits_s[reset_at] * 0.5
    else:
        assert power_w * waits_s[reset_at] / 2 >= start * 65_712.0 * 0.8 + 100 - 1e-6
    assert 0 <= energy.energy_j <= true_j + energy.uncertainty_j


def test_power_that_has_just_risen_counts_at_the_edge():
    bench = Bench(power_w=10.0)
    bench.advance(60.0)
    before = bench.read()
    bench.counter.power_w = 500.0
    bench.advance(0.008)
    energy, _ = bench.energy(before)
    assert energy.uncertainty_j >= 2 * TICK_S * 400.0


def test_windows_longer_than_two_wraps_lose_nothing():
    bench = Bench(power_w=280.0)
    for _ in range(40):
        bench.advance(60.0)
        bench.read()
    energy, true_j = bench.energy()
    assert true_j > 2 * 262_143
    assert energy.energy_j == pytest.approx(true_j, abs=0.6)
    assert bench.gauge.news() == []


def test_one_wrap_that_nobody_polled_for_is_found_where_only_one_fits():
    bench = Bench(power_w=700.0, modulus_j=65_712.999_613, start_j=60_000.0)
    bench.advance(60.0)
    energy, true_j = bench.energy()
    assert energy.energy_j == pytest.approx(true_j, abs=1.5)


def test_wraps_that_may_have_been_missed_are_doubted_and_told():
    bench = Bench(power_w=280.0)
    bench.advance(1900.0)
    energy, true_j = bench.energy()
    assert energy.energy_j < true_j <= energy.energy_j + energy.uncertainty_j
    (gap,) = bench.gauge.news()
    assert "cpu:0 was not read for 1.9e+03 s" in gap
    assert "wrapped" in gap


def test_a_failed_read_is_a_gap_and_what_was_counted_meanwhile_is_not_lost():
    bench = Bench(power_w=100.0)
    bench.advance(4.0)
    before = bench.read()
    bench.counter.failing = True
    bench.advance(1.0)
    during, unseen_j = bench.energy(before)
    assert during.energy_j == 0
    assert during.provenance is Provenance.MISSING
    assert during.uncertainty_j >= unseen_j
    assert bench.gauge.failure == "cpu:0 cannot be read: Input/output error"
    bench.advance(2.0)
    bench.counter.failing = False
    after, true_j = bench.energy(before)
    assert after.energy_j == pytest.approx(true_j, abs=0.3)
    assert after.provenance is Provenance.MEASURED
    assert bench.gauge.failure is None
    (gap,) = bench.gauge.news()
    assert "for 2 s" in gap
    assert "included" in gap


def test_a_glitch_to_zero_and_back_is_not_a_wrap():
    raws_j = iter([5000.0, 5100.0, 0.0, 5300.0, 5400.0])
    counter = Counter("cpu:0", TICK_S, TICK_S, MAX_W, 262_143.0)
    gaps = [counter.advance(raw_j, now_s) for now_s, raw_j in enumerate(raws_j)]
    assert counter.energy_j == 200.0
    assert [gap is not None for gap in gaps] == [False, False, True, True, False]
    assert 150 <= counter.doubt_j <= 250


def test_a_counter_that_never_wraps_takes_every_fall_for_a_reset():
    counter = Counter("gpu:0", 0.1, 0.1, 3000.0)
    assert counter.advance(4e6, 0.0) is None
    assert counter.advance(4e6 + 900.0, 3.0) is None
    assert "reset" in (counter.advance(10.0, 4.0) or "")
    assert counter.advance(310.0, 5.0) is None
    assert counter.energy_j == 1200.0
    assert counter.doubt_j == pytest.approx(300 * 1.1)


@given(st.lists(st.tuples(st.floats(0, 700), st.floats(0.001, 1.9)), min_size=1, max_size=30))
def test_integrated_power_is_as_right_as_it_says(segments):
    integral = PowerIntegral("gpu:0", averaged_s=1.0, max_power_w=1000.0)
    now_s = true_j = 0.0
    integral.advance(50.0, now_s)
    for power_w, seconds in segments:
        now_s += seconds
        true_j += power_w * seconds
        assert integral.advance(power_w, now_s) is None
    assert abs(integral.energy_j - true_j) <= integral.doubt_j + 1e-6


def test_power_that_was_not_sampled_is_interpolated_doubted_and_told():
    integral = PowerIntegral("gpu:0", averaged_s=1.0, max_power_w=1000.0)
    integral.advance(100.0, 0.0)
    gap = integral.advance(100.0, 30.0)
    assert integral.energy_j == integral.doubt_j == 3000.0
    assert gap is not None
    assert "not sampled for 30 s" in gap


def test_dies_that_repeat_one_counter_count_once():
    counter = SimulatedCounter(200.0, TICK_S, 700.0, 65_712.999_613)
    dies = Dies([sensor_on(counter), sensor_on(counter)])
    first = dies.read(0.0)
    for second in range(1000):
        counter.advance(second, second + 1)
        last = dies.read(second + 1.0)
    assert last.energy_j - first.energy_j == pytest.approx(counter.true_j, abs=0.5)
    assert not dies.distinct


def test_dies_with_counters_of_their_own_are_summed_without_loss():
    counters = [SimulatedCounter(power_w, TICK_S, 700.0, 65_712.999_613) for power_w in (100.0, 108.0)]
    dies = Dies([sensor_on(counter) for counter in counters])
    readings = [dies.read(0.0)]
    for second in range(100):
        for counter in counters:
            counter.advance(second, second + 1)
        readings.append(dies.read(second + 1.0))
    energies_j = [reading.energy_j for reading in readings]
    assert energies_j == sorted(energies_j)
    assert energies_j[-1] == pytest.approx(sum(counter.true_j for counter in counters), abs=0.5)
