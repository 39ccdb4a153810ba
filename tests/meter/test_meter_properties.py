"""What a meter states holds: |reported − true| ≤ uncertainty, for every window, whatever counters do."""

import tempfile
from contextlib import closing
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from ecoml.meter import open_meter
from ecoml.testing.hosts import SimulatedHost

RAPL_PERIODS_S = st.sampled_from([0.001, 0.005, 0.05])
GPU_PERIODS_S = st.sampled_from([0.02, 0.1, 0.5])
WAITS_S = st.one_of(st.floats(1e-3, 0.05), st.floats(0.05, 1.0), st.floats(1.0, 5.0))
POWERS_W = st.tuples(st.floats(5, 350), st.floats(20, 700))


class Bench:
    """A simulated host, its meter, and windows on it with the truth beside them."""

    def __init__(
        self, root, rapl_period_s, gpu_period_s, phases_s=(0.0, 0.0), limits=True, modulus_j=65_712.999_613, start=0.98
    ):
        self.host = SimulatedHost(root)
        self.package = self.host.add_package(
            100.0,
            period_s=rapl_period_s,
            phase_s=phases_s[0] * rapl_period_s,
            modulus_j=modulus_j,
            start_j=start * modulus_j,
            limits_w=(300.0, 400.0) if limits else None,
        )
        self.gpu = self.host.add_gpu(
            300.0, period_s=gpu_period_s, phase_s=phases_s[1] * gpu_period_s, limit_w=700.0 if limits else None
        )
        self.meter = open_meter(root=root, nvml=self.host.nvml, clock=self.host.clock)
        self.windows = []

    def close(self):
        self.meter.close()

    def truth(self):
        return {"cpu:0": self.package.true_j, "gpu:0": self.gpu.true_j}

    def open(self):
        self.windows.append((self.meter.window(), self.truth()))

    def check(self):
        """Every window, up to now, holds."""
        for window, before in self.windows:
            energy = window.energy()
            for domain, true_j in self.truth().items():
                part = energy.domains[domain]
                error_j = part.energy_j - (true_j - before[domain])
                assert part.energy_j >= 0
                assert abs(error_j) <= part.uncertainty_j + 1e-6, f"{domain}: off by {error_j} J, {part}"


@pytest.fixture(autouse=True)
def no_setting(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@given(RAPL_PERIODS_S, GPU_PERIODS_S, st.tuples(st.floats(0, 1), st.floats(0, 1)), st.data())
@settings(max_examples=60)
def test_the_truth_lies_within_the_uncertainty_over_any_load_any_period_and_any_time_of_reading(
    rapl_period_s, gpu_period_s, phases_s, data
):
    steps = data.draw(st.lists(st.tuples(POWERS_W, WAITS_S, st.booleans()), min_size=1, max_size=25))
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Bench(Path(folder), rapl_period_s, gpu_period_s, phases_s)) as bench,
    ):
        bench.open()
        for (bench.package.power_w, bench.gpu.power_w), wait_s, check_budget in steps:
            bench.host.advance(wait_s)
            if check_budget:
                bench.check()
                bench.open()
        bench.check()


@given(RAPL_PERIODS_S, GPU_PERIODS_S, st.data())
@settings(max_examples=60)
def test_it_does_so_over_resets_failures_and_standstills(rapl_period_s, gpu_period_s, data):
    faults = st.sampled_from(["none", "none", "reset", "fail", "garbage", "recover", "stuck", "go on", "lose"])
    steps = data.draw(st.lists(st.tuples(POWERS_W, WAITS_S, faults, st.booleans()), min_size=1, max_size=12))
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Bench(Path(folder), rapl_period_s, gpu_period_s, start=0.1, modulus_j=262_143.328_85)) as bench,
    ):
        bench.host.advance(10.0)
        bench.open()
        stuck_s = {}
        for (package_w, gpu_w), wait_s, fault, on_gpu in steps:
            counter = bench.gpu if on_gpu else bench.package
            if fault == "reset" and counter.raw_j > 5000 and not counter.stuck and not counter.failing:
                counter.reset()  # one that is soon back where it was cannot be seen
            elif fault in ("fail", "garbage"):
                counter.failing, counter.garbage = True, {"garbage": "?"}.get(fault)
            elif fault == "recover":
                counter.failing = False
            elif fault == "stuck" and not counter.stuck and not counter.failing:
                counter.stuck, stuck_s[on_gpu] = True, bench.host.now_s
            elif fault == "go on":
                counter.stuck = False
            elif fault == "lose" and counter.stuck and bench.host.now_s - stuck_s[on_gpu] > 12.0:
                counter.lose()  # a loss after less than a standstill cannot be seen
            bench.package.power_w, bench.gpu.power_w = package_w, gpu_w
            bench.host.advance(wait_s)
            bench.check()
            bench.open()


@given(
    RAPL_PERIODS_S,
    GPU_PERIODS_S,
    st.tuples(st.floats(5, 350), st.floats(20, 700)),
    st.floats(0.1, 0.3),
    st.booleans(),
)
@settings(max_examples=15)
def test_ten_quiet_seconds_are_known_to_within_the_gain_and_a_few_ticks(
    rapl_period_s, gpu_period_s, powers_w, wait_s, limits
):
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Bench(Path(folder), rapl_period_s, gpu_period_s, limits=limits, modulus_j=262_143.328_85)) as bench,
    ):
        bench.package.power_w, bench.gpu.power_w = powers_w
        for period_s in (rapl_period_s, gpu_period_s):  # as the polling thread does in its first seconds
            for _ in range(60):
                bench.host.advance(period_s / 9)
                bench.meter.read()
        bench.open()
        end_s = bench.host.now_s + 10.0
        while bench.host.now_s < end_s:
            bench.host.advance(wait_s)
            bench.meter.read()
        bench.check()
        energy = bench.windows[0][0].energy()
        most_w = (375.0 * 3, 875.0) if limits else powers_w
        for domain, gain, period_s, limit_w in (
            ("cpu:0", 0.02, rapl_period_s, most_w[0]),
            ("gpu:0", 0.05, gpu_period_s, most_w[1]),
        ):
            part = energy.domains[domain]
            assert part.uncertainty_j <= gain * part.energy_j + 3 * period_s * limit_w + 0.01
            assert energy.gaps == ()
        sources = {source.domain: source for source in bench.meter.sources if source.used}
        for domain, period_s in (("cpu:0", rapl_period_s), ("gpu:0", gpu_period_s)):
            assert sources[domain].period_measured
            assert period_s <= (sources[domain].period_s or 0.0) + 1e-9 <= 1.5 * period_s
