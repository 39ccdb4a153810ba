"""Idle power: measured in a quiet window, or known to a model, and taken off."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ecoml
from ecoml.energy import Energy, Provenance
from ecoml.meter import Source, open_meter
from ecoml.meter.base import Pace
from ecoml.meter.counters import neighbours
from ecoml.meter.counters.constants import BUILT_IN, Constants
from ecoml.meter.counters.cpu_time import usable_cpus
from ecoml.meter.counters.estimate import Estimate
from ecoml.meter.counters.neighbours import Neighbours, SharedGauge
from ecoml.meter.host import HostMeter
from ecoml.meter.idle import claimed_seconds, measure_idle
from ecoml.meter.repair.clock import MeterClock
from ecoml.meter.repair.gauge import Gauge
from ecoml.run.account import idle_of, net_of_idle
from ecoml.testing.hosts import SimulatedHost


def idling(host: SimulatedHost, budget_j: float, sleep: Callable[[float], None] | None = None):
    sleep = sleep or host.advance
    with open_meter(root=host.root, nvml=host.nvml, clock=host.clock, sleep=sleep) as meter:
        return measure_idle(meter, budget_j)


def test_counters_are_watched_through_a_quiet_window(tmp_path):
    host = SimulatedHost(tmp_path)
    host.add_package(power_w=20.0)
    host.add_gpu(power_w=60.0)
    began_s = host.now_s
    idle = idling(host, budget_j=1e6)
    assert idle.note == ""
    for domain, power_w in (("cpu:0", 20.0), ("gpu:0", 60.0)):
        found = idle.by_domain[domain]
        assert found.energy_j == pytest.approx(power_w, abs=found.uncertainty_j)
        assert found.uncertainty_j < 0.35 * power_w
        assert found.provenance is Provenance.MEASURED
    assert 1.0 <= host.now_s - began_s <= 5.1


@pytest.mark.parametrize("budget_j", [100.0, 5000.0])
def test_a_budget_of_which_it_would_take_more_than_a_hundredth_is_spared(tmp_path, budget_j):
    host = SimulatedHost(tmp_path)
    package = host.add_package(power_w=80.0)
    idle = idling(host, budget_j)
    assert not idle.by_domain
    assert "more than 1% of the budget" in idle.note
    assert package.true_j <= 0.02 * budget_j + 80.0 * 0.2  # it stops as soon as that is foreseen


def test_a_counter_that_stands_still_tells_no_idle_power(tmp_path):
    host = SimulatedHost(tmp_path)
    host.add_package(power_w=20.0)
    idle = idling(host, 1e6, sleep=lambda seconds: None)
    assert not idle.by_domain
    assert "cpu:0" in idle.note


def test_a_model_knows_without_waiting(tmp_path):
    host = SimulatedHost(tmp_path)
    host.add_process(busy_cpus=1.0)
    idle = idling(host, 1.0, sleep=lambda seconds: pytest.fail("it waited"))
    assert idle.by_domain["cpu"].provenance is Provenance.ESTIMATED
    assert idle.by_domain["cpu"].energy_j > 0


def test_a_meter_of_ones_own_that_knows_nothing_of_idling_is_left_in_peace(meter):
    meter.pace = Pace(sleep=lambda seconds: pytest.fail("it waited"))
    assert not measure_idle(meter, 1e9).by_domain


@given(
    gain=st.floats(0, 0.3),
    share=st.floats(-1, 1),
    busy_w=st.floats(0, 500),
    idle_w=st.floats(0.1, 100),
    seconds=st.floats(1, 1e4),
    late=st.tuples(*[st.floats(-1, 1)] * 2),
)
def test_net_of_idle_holds_the_truth_whatever_the_counters_gain(gain, share, busy_w, idle_w, seconds, late):
    """One counter reads both, so that its error is the same share of both; their edges are independent."""
    edge_j, idle_edge_w = 2.0, 0.5
    factor = 1 + share * gain
    true_idle_j, true_busy_j = idle_w * seconds, busy_w * seconds
    read_j = factor * (true_idle_j + true_busy_j) + late[0] * edge_j
    read_idle_w = factor * idle_w + late[1] * idle_edge_w
    if read_idle_w * seconds > read_j or read_idle_w <= 0:
        return
    widen = gain / (1 - gain)  # of what is read
    gross = Energy(read_j, widen * read_j + edge_j, Provenance.MEASURED, edge_j)
    second = Energy(read_idle_w, widen * read_idle_w + idle_edge_w, Provenance.MEASURED, idle_edge_w)
    idle = idle_of(gross, second, seconds)
    net = net_of_idle(gross, idle)
    # A gain also scales what comes too late, which the half-width leaves out: it is of the second order.
    assert abs(idle.energy_j - true_idle_j) <= idle.uncertainty_j * (1 + widen) + 1e-6
    assert abs(net.energy_j - true_busy_j) <= net.uncertainty_j * (1 + widen) + 1e-6
    assert net.uncertainty_j <= gross.uncertainty_j + idle.uncertainty_j + 1e-9


def test_idling_is_never_more_than_all():
    gross = Energy(10.0, 1.0, Provenance.MEASURED)
    second = Energy(2.0, 0.2, Provenance.MEASURED)
    assert idle_of(gross, second, 100.0).energy_j == 10.0
    assert net_of_idle(gross, idle_of(gross, second, 100.0)).energy_j == 0.0


class Crowd(Neighbours):
    """So many processes that meter a domain, this one among them."""

    def __init__(self, number: int) -> None:
        super().__init__([], claims=False)
        self.number = number

    def sharers(self, domain: str) -> int:
        return self.number


class Nobody:
    """The CPU seconds of nobody."""

    covers = "nobody"

    def __call__(self) -> float:
        return 0.0

    def close(self) -> None:
        pass


@pytest.mark.parametrize("estimate", [False, True], ids=["counter", "estimate"])
def test_idling_is_claimed_once_between_all_processes_of_ecoml_as_the_joules_are(estimate, tmp_path):
    crowd, host = Crowd(4), SimulatedHost(tmp_path)
    host.add_package(power_w=20.0)
    whole = open_meter(root=host.root, clock=host.clock)
    gauge: Gauge
    if estimate:
        constants = Constants(idle_w_per_cpu=20.0, busy_w_per_cpu=30.0)
        gauge = Estimate(Nobody(), host.now_s, 1.0, constants, lambda: crowd.number)
    else:
        gauge = SharedGauge(whole._gauges[0], crowd)
    source = Source("test", gauge.domain, gauge.provenance, True, True, "")
    meter = HostMeter([gauge], [source], {}, MeterClock(host.clock), pace=Pace(host.clock, host.advance))
    idle = measure_idle(meter, 1e6)
    (second,) = idle.by_domain.values()
    assert second.energy_j == pytest.approx(20.0, rel=0.05), "of the host, whoever claims it"
    window = meter.window()
    for number, seconds in ((4, 8.0), (1, 5.0), (2, 10.0)):
        crowd.number = number
        meter.read()
        host.advance(seconds)
        gross = window.energy()
        window.lap()
    (domain,) = gross.domains
    claimed_s = claimed_seconds(window, [domain], 23.0)
    assert claimed_s[domain] == pytest.approx(8 / 4 + 5 / 1 + 10 / 2)
    part = gross.domains[domain]
    assert part.energy_j == pytest.approx(20.0 * 12.0, rel=0.01)
    net = net_of_idle(part, idle_of(part, second, claimed_s[domain]))
    assert net.energy_j == pytest.approx(0.0, abs=0.05 * part.energy_j), "nothing was done"
    meter.close()
    whole.close()


def test_a_search_beside_another_tells_what_it_burnt_itself(space, quick, tmp_path):
    """20 CPU seconds were once called idling, all of them, as a second process metered the host."""
    script = (
        "import pathlib, sys, time\n"
        "from ecoml.meter.counters import neighbours\n"
        "neighbours._FOLDERS = [pathlib.Path(sys.argv[1])]\n"
        "kept = neighbours.Neighbours(['cpu'])\n"
        "print('here', flush=True)\n"
        "time.sleep(120)\n"
    )
    (folder,) = neighbours._FOLDERS
    with subprocess.Popen([sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "here\n"
        burnt_s = []

        def train(config):
            start_s = time.process_time()
            while time.process_time() < start_s + 1.0:
                pass
            burnt_s.append(time.process_time() - start_s)
            return 0.5

        start_s = time.monotonic()
        result = ecoml.Searcher(space, train, budget_j=1e6, max_trials=2, **quick).run()
        lasted_s = time.monotonic() - start_s
        other.kill()
    energy = result.energy
    if set(energy.by_domain) != {"cpu"}:
        pytest.skip("this host has counters, which tell no process apart")
    assert any(use.pid == other.pid for use in energy.shared)
    assert energy.idle is not None
    assert energy.net is not None
    idle_w = usable_cpus() * BUILT_IN.idle_w_per_cpu
    assert energy.idle.energy_j <= 0.55 * idle_w * lasted_s
    assert energy.net.energy_j >= 0.9 * (BUILT_IN.busy_w_per_cpu - BUILT_IN.idle_w_per_cpu) * sum(burnt_s)


def test_what_is_unmeasured_names_what_is_there_first():
    from ecoml.meter.base import Source
    from ecoml.meter.required import what_is_unmeasured

    sources = (
        Source("NVML energy counter", "gpu", Provenance.MISSING, False, False, "", "no GPU is visible"),
        Source("RAPL package", "cpu:0", Provenance.MEASURED, False, False, "", "sudo chmod"),
        Source("RAPL DRAM", "dram:0", Provenance.MEASURED, False, False, "", "sudo chmod"),
        Source("NVML energy counter", "gpu:1", Provenance.MISSING, False, False, "", "load the driver"),
    )
    meter = SimpleNamespace(sources=sources, provenance=Provenance.MISSING)
    assert what_is_unmeasured(meter) == (
        "gpu:1 cannot be read: load the driver",
        "cpu:0 cannot be read: sudo chmod",
    )
