"""The probe behind `ecoml meters --check` on simulated hosts."""

import json
import threading
import time

import pytest
from rigs.load import loaded

from ecoml.energy import Provenance
from ecoml.meter import open_meter
from ecoml.meter.probe import check, load
from ecoml.meter.probe.check import Probe, board_powers


def probe(host, busy, look_s=0.5):
    """Probe a host on which `busy` maps counters to their power under load."""

    with open_meter(root=host.root, nvml=host.nvml, clock=host.clock) as meter:
        boards_w = board_powers(meter, host.nvml)
        return Probe(
            meter,
            cpus=2,
            load=lambda: loaded(host, busy),
            boards_w=boards_w,
            clock=host.clock,
            sleep=host.advance,
            look_s=look_s,
        ).run()


def finding_of(found, domain):
    (finding,) = [finding for finding in found.findings if finding.domain == domain]
    return finding


def test_a_host_where_all_agrees(host):
    package, gpu = host.add_package(50.0, dram_w=5.0, phase_s=3e-4), host.add_gpu(60.0, phase_s=0.0131)
    start_s = host.now_s
    found = probe(host, {package: 200.0, gpu: 500.0})
    assert [finding.domain for finding in found.findings] == ["gpu:0", "cpu:0", "dram:0"]
    assert found.agrees
    cpu, board = finding_of(found, "cpu:0"), finding_of(found, "gpu:0")
    assert cpu.period_s == pytest.approx(1e-3, rel=0.05)
    assert board.period_s == pytest.approx(gpu.period_s, rel=0.05)
    assert not cpu.period_is_bound
    assert 61e-6 <= cpu.step_j <= 50.1e-3
    assert cpu.rest_w == pytest.approx(50.0, rel=0.01)
    assert cpu.rest_noise_w < 0.5
    assert cpu.load_w == pytest.approx(200.0, rel=0.01)
    (linear,) = cpu.comparisons
    assert linear.found == pytest.approx(1200.0, rel=0.01)
    _, power = board.comparisons
    assert (power.found, power.against) == pytest.approx((3000.0, 3000.0), rel=0.03)
    assert "no second source" in cpu.unchecked
    assert found.spent.energy_j == pytest.approx(
        package.true_j + gpu.true_j + host.dram[0].true_j, abs=found.spent.uncertainty_j
    )
    assert found.elapsed_s == pytest.approx(host.now_s - start_s)
    assert found.elapsed_s < 30


def test_a_counter_that_is_off_by_two_does_not_agree_with_its_power(host):
    package, gpu = host.add_package(50.0), host.add_gpu(60.0, phase_s=0.0131)
    told_mj = host.nvml.nvmlDeviceGetTotalEnergyConsumption
    host.nvml.nvmlDeviceGetTotalEnergyConsumption = lambda handle: 2 * told_mj(handle)
    found = probe(host, {package: 200.0, gpu: 500.0})
    assert not found.agrees
    linear, power = finding_of(found, "gpu:0").comparisons
    assert linear.agrees
    assert not power.agrees
    assert power.found == pytest.approx(2 * power.against, rel=0.05)
    assert finding_of(found, "cpu:0").agrees


def test_a_counter_that_does_not_rise_in_proportion_is_found(host):
    package = host.add_package(50.0)
    found = probe(host, {package: lambda t: 200.0 if t < host_second_window(host) else 140.0})
    (linear,) = finding_of(found, "cpu:0").comparisons
    assert not linear.agrees


def host_second_window(host, began={}):  # noqa: B006 - the first call's time is what is kept
    return began.setdefault(id(host), host.now_s + check.SETTLE_S + check.LOAD_S)


@pytest.mark.parametrize("trouble", ["stuck", "lost"])
def test_a_counter_that_stands_still_is_named(host, trouble):
    package, gpu = host.add_package(50.0), host.add_gpu(60.0, phase_s=0.0131)
    if trouble == "stuck":
        host.nvml.nvmlDeviceGetTotalEnergyConsumption = lambda handle: 5_000_000
        found = probe(host, {package: 200.0, gpu: 500.0})
    else:
        told_mj = host.nvml.nvmlDeviceGetTotalEnergyConsumption

        def lost_under_load(handle):
            if package.power_w == 200.0:
                raise RuntimeError("GPU is lost")
            return told_mj(handle)

        host.nvml.nvmlDeviceGetTotalEnergyConsumption = lost_under_load
        found = probe(host, {package: 200.0, gpu: 500.0})
    board = finding_of(found, "gpu:0")
    assert not found.agrees
    assert any("does not move or cannot be read" in fault for fault in board.faults)
    assert any("gpu:0" in gap for gap in found.spent.gaps)
    assert finding_of(found, "cpu:0").agrees


def test_what_can_be_checked_of_an_estimate(host):
    host.add_process(0.0)
    found = probe(host, {host._busy: 2.0}, look_s=0.02)  # there are no updates to see
    finding = finding_of(found, "cpu")
    assert found.agrees
    assert finding.provenance is Provenance.ESTIMATED
    assert finding.period_s is None
    (per_second,) = finding.comparisons
    assert per_second.found == pytest.approx(3.5 - 0.75, rel=0.05)
    assert "no counter to compare with" in finding.unchecked


def test_an_estimate_that_does_not_see_the_load_is_found(host):
    host.add_process(0.0)
    found = probe(host, {}, look_s=0.02)  # as above
    assert not found.agrees
    assert "no joules above rest" in finding_of(found, "cpu").faults[0]


def test_findings_are_plain_json_with_their_provenance(host):
    package = host.add_package(50.0)
    told = json.loads(json.dumps(probe(host, {package: 200.0}).to_dict()))
    assert told["spent_provenance"] == "measured"
    assert [finding["provenance"] for finding in told["findings"]] == ["measured"]
    assert told["findings"][0]["comparisons"][0]["agrees"] is True


def test_the_load_counts_its_own_cpu_seconds_and_ends():
    before = threading.active_count()
    started_s = time.process_time()
    with load.busy_cpus(2) as cpu_s:
        time.sleep(0.3)
        used_s = cpu_s()
    assert threading.active_count() == before
    assert 0.02 < used_s <= time.process_time() - started_s + 0.02
