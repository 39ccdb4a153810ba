"""The calibration of the estimate on simulated hosts."""

from contextlib import contextmanager

import pytest

from ecoml.errors import MeterError
from ecoml.meter import open_meter
from ecoml.meter.counters.constants import load_constants, save_constants
from ecoml.meter.probe.calibrate import calibrate


def calibrated(host, power_w, cpus=4):
    """Calibrate a host whose package draws `power_w(busy CPUs)`."""
    (package,) = host.packages

    @contextmanager
    def busy(threads):
        package.power_w = power_w(threads)
        began_s = host.now_s
        yield lambda: threads * (host.now_s - began_s)
        package.power_w = power_w(0)

    with open_meter(root=host.root, clock=host.clock) as meter:
        return calibrate(meter, cpus=cpus, threads=cpus, load=busy, clock=host.clock, sleep=host.advance)


def test_known_watts_are_recovered(host):
    host.packages = [host.add_package(40.0, dram_w=4.0)]
    found = calibrated(host, lambda busy: 40.0 + 15.0 * busy)
    idle_w, busy_w = 44.0 / 4, 44.0 / 4 + 15.0
    assert found.domains == ("cpu:0", "dram:0")
    assert found.constants.idle_w_per_cpu == pytest.approx(idle_w, abs=found.idle_uncertainty_w)
    assert found.constants.busy_w_per_cpu == pytest.approx(busy_w, abs=found.busy_uncertainty_w)
    assert found.constants.idle_w_per_cpu == pytest.approx(idle_w, rel=0.01)
    assert found.constants.busy_w_per_cpu == pytest.approx(busy_w, rel=0.01)
    assert found.idle_uncertainty_w < 0.2 * idle_w
    assert found.busy_uncertainty_w < 0.2 * busy_w
    assert found.residual < 0.01
    assert [point.threads for point in found.points] == [0, 1, 2, 3, 4]
    assert "cpu:0" in found.constants.calibrated


def test_a_bent_line_shows_in_residual_and_uncertainty(host):
    host.packages = [host.add_package(40.0)]
    found = calibrated(host, lambda busy: 40.0 + 30.0 * min(busy, 2))
    assert found.residual > 0.05
    assert found.busy_uncertainty_w > 5.0


def test_power_that_falls_with_load_is_refused(host):
    host.packages = [host.add_package(40.0)]
    with pytest.raises(MeterError, match="cannot be the power of a processor"):
        calibrated(host, lambda busy: 40.0 - 5.0 * busy)


def test_a_counter_that_fails_meanwhile_calibrates_nothing(host):
    host.packages = [package] = [host.add_package(40.0)]

    def power_w(busy):
        package.failing = busy == 2
        return 40.0 + busy

    with pytest.raises(MeterError, match="failed during the measurement"):
        calibrated(host, power_w)


def test_without_a_counter_there_is_nothing_to_calibrate_against(host):
    host.add_process(1.0)
    host.add_gpu(300.0)
    with (
        open_meter(root=host.root, nvml=host.nvml, clock=host.clock) as meter,
        pytest.raises(MeterError, match="needs a counter of the processor"),
    ):
        calibrate(meter, cpus=2, threads=2, clock=host.clock, sleep=host.advance)


def test_what_was_found_is_what_the_estimate_then_uses(host, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    host.packages = [host.add_package(40.0)]
    found = calibrated(host, lambda busy: 40.0 + 15.0 * busy)
    path = save_constants(found.constants)
    assert load_constants() == found.constants
    path.unlink()
    assert load_constants().idle_w_per_cpu == 0.75
