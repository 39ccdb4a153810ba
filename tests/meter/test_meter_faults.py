"""What a meter does when hardware, clock and machine misbehave: on simulated hosts, through the public way in."""

import math
import os

import pytest

from ecoml.energy import Provenance
from ecoml.meter import open_meter
from ecoml.meter.host import HostMeter
from ecoml.meter.repair.clock import MeterClock
from ecoml.meter.repair.counter import Counter
from ecoml.meter.repair.sensor import Sensor
from ecoml.testing.hosts import SimulatedHost


@pytest.fixture
def host(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return SimulatedHost(tmp_path)


def meter_of(host):
    return open_meter(root=host.root, nvml=host.nvml, clock=host.clock)


def off_by(part, true_j):
    return abs(part.energy_j - true_j)


def test_a_counter_that_stands_still_is_missing_named_and_doubted(host):
    package = host.add_package(100.0)
    with meter_of(host) as meter:
        host.advance(10.0)
        whole = meter.window()
        window = meter.window()
        package.stuck = True
        host.advance(3.0)
        blind = window.lap()
        assert blind.domains["cpu:0"].provenance is blind.provenance is meter.provenance is Provenance.MISSING
        assert any("cpu:0 has stopped" in gap for gap in blind.gaps)
        assert off_by(blind.domains["cpu:0"], 300.0) <= blind.uncertainty_j < 450.0
        assert "cpu:0" not in meter.power_w()
        host.advance(3.0)
        meter.read()
        package.lose()
        host.advance(4.0)
        energy = whole.energy()
        assert energy.provenance is Provenance.MEASURED
        assert any("stood still for 6 s" in gap for gap in energy.gaps)
        assert off_by(energy.domains["cpu:0"], 1000.0) <= energy.uncertainty_j < 1000.0
        clean = meter.window()
        host.advance(10.0)
        assert clean.gaps == ()
        assert off_by(clean.energy().domains["cpu:0"], 1000.0) <= clean.uncertainty_j < 50.0


def test_a_counter_that_catches_up_leaves_little_in_doubt(host):
    package = host.add_package(100.0)
    with meter_of(host) as meter:
        host.advance(10.0)
        meter.read()
        window = meter.window()
        package.stuck = True
        for _ in range(10):
            host.advance(0.5)
            meter.read()
        package.stuck = False
        host.advance(5.0)
        energy = window.energy()
        assert energy.energy_j == pytest.approx(1000.0, abs=0.2)
        assert energy.uncertainty_j < 100.0
        assert any("stood still" in gap for gap in energy.gaps)


@pytest.mark.parametrize("garbage", [None, "", "\n", "?", "-7", "1e9", "12 34", "\x00\x00"])
def test_what_is_no_number_is_a_gap_and_never_energy(garbage, host):
    package = host.add_package(100.0)
    with meter_of(host) as meter:
        host.advance(5.0)
        window = meter.window()
        package.failing, package.garbage = True, garbage
        host.advance(2.0)
        blind = window.energy()
        assert blind.energy_j == 0.0
        assert blind.provenance is Provenance.MISSING
        assert any("cpu:0 cannot be read" in gap for gap in blind.gaps)
        assert blind.uncertainty_j >= 200.0
        package.failing = False
        host.advance(2.0)
        energy = window.energy()
        assert off_by(energy.domains["cpu:0"], 400.0) <= energy.uncertainty_j < 40.0


def test_permission_lost_midway_is_named_and_the_rest_goes_on(host):
    host.add_package(100.0)
    gpu = host.add_gpu(300.0)
    allowed = host.nvml.nvmlDeviceGetTotalEnergyConsumption

    def forbidden(handle):
        raise PermissionError(13, "Permission denied")

    with meter_of(host) as meter:
        host.advance(5.0)
        window = meter.window()
        host.nvml.nvmlDeviceGetTotalEnergyConsumption = forbidden
        host.advance(5.0)
        energy = window.energy()
        assert energy.domains["gpu:0"].provenance is Provenance.MISSING
        assert energy.domains["cpu:0"].provenance is Provenance.MEASURED
        assert energy.gaps == ("gpu:0 cannot be read: Permission denied",)
        host.nvml.nvmlDeviceGetTotalEnergyConsumption = allowed
        host.advance(5.0)
        assert window.by_domain["gpu:0"] == pytest.approx(gpu.true_j - 1500.0, abs=30.0)


def test_a_gpu_that_is_unplugged_stays_missing_and_its_last_joules_are_doubted(host):
    gpu = host.add_gpu(300.0, limit_w=700.0)
    with meter_of(host) as meter:
        host.advance(5.0)
        window = meter.window()
        host.advance(5.0)
        meter.read()
        gpu.failing = True
        for _ in range(5):
            host.advance(1.0)
            later = window.lap()
        assert later.domains["gpu:0"].provenance is Provenance.MISSING
        assert later.domains["gpu:0"].uncertainty_j >= 300.0
        assert set(meter.observe()) == {"gpu:0"}
        assert window.by_domain["gpu:0"] == pytest.approx(1500.0, abs=60.0)
        assert any("GPU is lost" in gap for gap in window.gaps)


@pytest.mark.parametrize("repeats", [True, False])
def test_dies_that_cannot_be_told_apart_yet_are_doubted(repeats, host):
    first = host.add_package(100.0, die=0)
    other = host.add_package(100.0, die=1, repeats=first if repeats else None)
    with meter_of(host) as meter:
        window = meter.window()
        host.advance(0.2)
        early = window.energy().domains["cpu:0"]
        true_j = first.true_j if repeats else first.true_j + other.true_j
        assert off_by(early, true_j) <= early.uncertainty_j
        for _ in range(20):
            host.advance(1.0)
            meter.read()
            part = window.energy().domains["cpu:0"]
            true_j = first.true_j if repeats else first.true_j + other.true_j
            if repeats or first.true_j < 400.0:
                assert off_by(part, true_j) <= part.uncertainty_j
        if repeats:
            clean = meter.window()
            host.advance(10.0)
            assert off_by(clean.energy().domains["cpu:0"], 1000.0) <= clean.uncertainty_j < 50.0


def test_dies_of_their_own_are_honest_from_the_first_joule_on(host):
    dies = [host.add_package(100.0, die=0), host.add_package(109.0, die=1)]
    with meter_of(host) as meter:
        windows = []
        for _ in range(40):
            windows.append((meter.window(), sum(die.true_j for die in dies)))
            host.advance(0.05)
            for window, before_j in windows:
                part = window.energy().domains["cpu:0"]
                assert off_by(part, sum(die.true_j for die in dies) - before_j) <= part.uncertainty_j


def test_a_clock_that_goes_back_loses_no_energy_and_says_so(host):
    package = host.add_package(100.0)
    host.add_gpu(300.0)
    with meter_of(host) as meter:
        host.advance(5.0)
        before = meter.read()
        window = meter.window()
        host.advance(5.0)
        shift_s = 3600.0
        meter._clock._clock = lambda: host.now_s - shift_s
        host.advance(5.0)
        energy = window.energy()
        after = meter.read()
        assert all(after[domain] >= before[domain] for domain in before)
        assert any("the clock went back by" in gap for gap in energy.gaps)
        for domain, true_j in (("cpu:0", package.true_j - 500.0), ("gpu:0", 3000.0)):
            assert off_by(energy.domains[domain], true_j) <= energy.domains[domain].uncertainty_j < 0.5 * true_j
        later = meter.window()
        host.advance(10.0)
        assert later.by_domain["cpu:0"] == pytest.approx(1000.0, abs=1.0)
        assert later.gaps == ()


def test_a_clock_that_jumps_ahead_makes_no_energy_of_it(host):
    host.add_package(100.0)
    with meter_of(host) as meter:
        host.advance(5.0)
        window = meter.window()
        host.advance(5.0)
        host.now_s += 50_000.0
        host.advance(5.0)
        energy = window.energy()
        assert energy.energy_j == pytest.approx(1000.0, abs=5.0)
        assert math.isfinite(energy.uncertainty_j)
        assert any("may have wrapped" in gap for gap in energy.gaps)


@pytest.mark.parametrize("reset", [True, False])
def test_a_machine_that_slept_is_told_and_its_counters_are_doubted(reset):
    now_s, asleep_s, raw_j = 100.0, 7.0, 5000.0
    counter = Counter("cpu:0", 1e-3, 0.05, 1000.0, 262_143.0)
    counter.advance(raw_j, now_s)
    gauge = Sensor("cpu:0", Provenance.MEASURED, 0.02, None, counter, lambda: raw_j)
    meter = HostMeter([gauge], [], {}, MeterClock(lambda: now_s, lambda: asleep_s))
    for _ in range(5):
        now_s, raw_j = now_s + 1.0, raw_j + 100.0
        meter.read()
    window = meter.window()
    now_s, asleep_s = now_s + 2.0, asleep_s + 3600.0
    raw_j = 100.0 if reset else raw_j + 200.0
    energy = window.energy()
    assert any("slept for 3.6e+03 s" in gap for gap in energy.gaps)
    assert off_by(energy.domains["cpu:0"], 200.0) <= energy.uncertainty_j < 500.0
    assert energy.energy_j <= 200.0
    later = meter.window()
    now_s, raw_j = now_s + 10.0, raw_j + 1000.0
    assert later.energy_j == pytest.approx(1000.0)
    assert later.gaps == ()
    meter.close()


def test_a_superchip_counts_its_processor_once(host):
    module = host.add_gpu(300.0, name="NVIDIA GH200 480GB", module_w=450.0)
    host.add_package(100.0, dram_w=10.0)
    with meter_of(host) as meter:
        window = meter.window()
        host.advance(20.0)
        energy = window.energy()
        assert set(energy.domains) == set(meter.read()) == {"module:0"}
        assert off_by(energy.domains["module:0"], module.true_j) <= energy.uncertainty_j
        assert energy.provenance is Provenance.MEASURED
        remedies = {source.domain: source.remedy for source in meter.sources if not source.used}
        assert {remedies["cpu:0"], remedies["dram:0"], remedies["cpu"]} == {"not counted, as module:0 contains it"}
        (source,) = [source for source in meter.sources if source.used]
        assert "processor" in source.covers


@pytest.mark.parametrize(("name", "module_w"), [("NVIDIA GB10", None), ("NVIDIA H200", 400.0), ("NVIDIA H100", None)])
def test_what_is_no_superchip_or_counts_the_gpu_alone_leaves_the_processor_to_be_counted(name, module_w, host):
    host.add_gpu(300.0, name=name, module_w=module_w)
    with meter_of(host) as meter:
        assert set(meter.read()) == {"gpu:0", "cpu"}


def test_a_grace_blackwell_tells_by_showing_the_power_of_its_module(host):
    host.add_gpu(300.0, name="NVIDIA GB200", module_w=900.0)
    with meter_of(host) as meter:
        assert set(meter.read()) == {"module:0"}


def test_a_window_just_opened_states_no_more_than_can_have_been_drawn(host):
    host.add_gpu(300.0, limit_w=700.0)
    with meter_of(host) as meter:
        window = meter.window()
        host.advance(0.03)
        assert 9.0 <= window.energy().domains["gpu:0"].uncertainty_j <= 0.03 * 700.0 * 1.25 + 0.1


def test_a_processor_that_tells_its_limits_is_bounded_by_them(host):
    host.add_package(100.0, limits_w=(150.0, 200.0))
    with meter_of(host) as meter:
        window = meter.window()
        host.advance(0.05)
        assert window.uncertainty_j <= 450.0 * 0.05
        assert window.energy().domains["cpu:0"].provenance is Provenance.MEASURED


def test_power_is_the_mean_of_the_last_second(host):
    host.add_package(lambda t: 100.0 if t < 1010.0 else 200.0)
    gpu = host.add_gpu(300.0)
    with meter_of(host) as meter:
        assert "cpu:0" not in meter.power_w()
        for _ in range(150):
            host.advance(0.1)
            meter.read()
        assert meter.power_w() == pytest.approx({"cpu:0": 200.0, "gpu:0": 300.0}, rel=0.12)
        gpu.failing = True
        host.advance(1.0)
        assert set(meter.power_w()) == {"cpu:0"}


def test_what_a_gpu_does_is_told_and_strangers_on_it_are_named(host, monkeypatch):
    monkeypatch.setattr("ecoml.meter.counters.device.can_be_told_apart", lambda pid: True)
    state = {"utilisation": 0.97, "temperature_c": 61, "clock_mhz": 1980, "memory_used_b": 5 * 2**30}
    gpu = host.add_gpu(300.0, state=state, processes={os.getpid(): 2**30, 4242: 4 * 2**30, 99999999: None})
    host.add_gpu(300.0)
    host.nvml.nvmlSystemGetProcessName = lambda pid: b"python3" if pid == 4242 else None
    with meter_of(host) as meter:
        states = meter.observe()
        told = states["gpu:0"]
        assert (told.utilisation, told.temperature_c, told.clock_mhz, told.memory_used_b) == (0.97, 61, 1980, 5 * 2**30)
        assert [(p.pid, p.name, p.memory_b) for p in told.processes] == [
            (4242, "python3", 4 * 2**30),
            (99999999, None, None),
        ]
        assert states["gpu:1"].utilisation is None
        gpu.failing = True
        assert meter.observe()["gpu:0"].temperature_c is None


def test_only_the_gpus_asked_for_are_metered(host):
    host.add_gpu(300.0)
    host.add_gpu(200.0)
    with open_meter(root=host.root, nvml=host.nvml, clock=host.clock, gpus=[1]) as meter:
        assert set(meter.read()) == set(meter.observe()) | {"cpu"} == {"gpu:1", "cpu"}
        (other,) = [source for source in meter.sources if source.domain == "gpu:0"]
        assert (other.used, other.remedy) == (False, "not counted, as it is not used by this search")
