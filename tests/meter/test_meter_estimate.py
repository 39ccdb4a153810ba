"""The estimate: CPU time of this process and its children, and what a meter does in a fork."""

import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from ecoml.energy import Provenance
from ecoml.meter import open_meter
from ecoml.meter.counters import processes
from ecoml.meter.counters.constants import BUILT_IN
from ecoml.meter.counters.cpu_time import TreeCpuTime, stat_cpu_s
from ecoml.meter.counters.estimate import Estimate
from ecoml.testing.meters import SimulatedHost

BUSY_W_PER_CPU, IDLE_W_PER_CPU = BUILT_IN.busy_w_per_cpu, BUILT_IN.idle_w_per_cpu

linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")

BURN = "import time\nwhile time.process_time() < {}: pass"


class Used:
    """CPU seconds as a test tells them."""

    covers = "a test"

    def __init__(self, seconds):
        self._seconds = seconds

    def __call__(self):
        return next(self._seconds)

    def close(self):
        pass


def test_the_model_is_linear_in_time_and_cpu_time():
    used = iter([100.0, 100.0, 103.0, 110.0])
    estimate = Estimate(Used(used), 50.0, cpus=4)
    assert estimate.read(50.0).energy_j == 0.0
    assert estimate.read(52.0).energy_j == pytest.approx(2 * 4 * IDLE_W_PER_CPU + 3 * (BUSY_W_PER_CPU - IDLE_W_PER_CPU))
    assert estimate.read(60.0).energy_j == pytest.approx(
        10 * 4 * IDLE_W_PER_CPU + 10 * (BUSY_W_PER_CPU - IDLE_W_PER_CPU)
    )


def test_its_interval_reaches_up_to_twice_the_figure(tmp_path):
    host = SimulatedHost(tmp_path)
    host.add_process(1.0)
    with open_meter(root=tmp_path, clock=host.clock) as meter:
        window = meter.window()
        host.advance(10.0)
        energy = window.lap()
    assert energy.uncertainty_j == energy.energy_j > 10 * BUSY_W_PER_CPU
    assert energy.provenance is Provenance.ESTIMATED


def test_a_busy_process_of_another_root_costs_what_the_model_says(tmp_path):
    host = SimulatedHost(tmp_path)
    host.add_process(lambda t: 2.0 if t > 1005 else 0.0)
    with open_meter(root=tmp_path, clock=host.clock) as meter:
        host.advance(5.0)
        idle_j = meter.read()["cpu"]
        host.advance(5.0)
        busy_j = meter.read()["cpu"] - idle_j
    assert busy_j - idle_j == pytest.approx(10 * (BUSY_W_PER_CPU - IDLE_W_PER_CPU), rel=0.02)


def test_a_stat_line_is_read_whatever_the_process_is_called():
    fields = ["7", "(my ) (tool)", "S", *["0"] * 10, "300", "50", "20", "5", *["0"] * 35]
    ticks = os.sysconf("SC_CLK_TCK")
    assert stat_cpu_s(" ".join(fields).encode()) == 350 / ticks
    assert stat_cpu_s(" ".join(fields).encode(), waited_for=True) == 25 / ticks


@linux
def test_living_children_and_grandchildren_count_and_stay_counted():
    grandchild = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN.format(0.8)!r}])"
    cpu_s = TreeCpuTime()
    start_s = cpu_s()
    own_s = time.process_time()
    readings = [start_s]
    with subprocess.Popen([sys.executable, "-c", grandchild]) as child:
        while child.poll() is None:
            readings.append(cpu_s())
            time.sleep(0.02)
    end_s = cpu_s() - (time.process_time() - own_s)
    cpu_s.close()
    assert end_s - start_s >= 0.8
    assert max(readings[:-1]) - start_s >= 0.1, "it must count while it lives"


@linux
@pytest.mark.parametrize("told", [True, False])
def test_living_children_are_found_also_where_the_kernel_does_not_list_them(told):
    if told and not Path(f"/proc/self/task/{os.getpid()}/children").exists():
        pytest.skip("this kernel does not list them")
    grandchild = "import time; print(1, flush=True); time.sleep(60)"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grandchild!r}])"
    with subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = processes.descendants(os.getpid(), listed=told)
        family = processes.family()
        os.killpg(process.pid, signal.SIGKILL)
    assert process.pid in found
    assert len(found) >= 2, "the grandchild is one of them"
    assert family == found | {os.getpid()}
    assert processes.descendants(process.pid, listed=told) == set()


@linux
def test_children_count_while_they_live_where_the_kernel_does_not_list_them():
    cpu_s = TreeCpuTime(partial(processes.descendants, listed=False), scan_share=1.0)
    with subprocess.Popen([sys.executable, "-c", BURN.format(60)]) as child:
        end_s = time.monotonic() + 30.0
        while (lived_s := cpu_s() - time.process_time()) < 0.5 and time.monotonic() < end_s:
            time.sleep(0.05)
        child.kill()
    assert lived_s >= 0.5
    cpu_s.close()


@linux
def test_threads_count_too():
    with open_meter(clock=lambda: 0.0) as meter:
        before_j = meter.read()["cpu"]
        thread = threading.Thread(target=sum, args=(range(3_000_000),))
        thread.start()
        thread.join()
        assert meter.read()["cpu"] > before_j


@linux
def test_sleeping_costs_only_the_idle_share():
    with open_meter() as meter:
        meter.read()
        start_s, before_s = time.perf_counter(), time.process_time()
        window = meter.window()
        time.sleep(0.1)
        energy_j = window.energy_j
        seconds, busy_s = time.perf_counter() - start_s, time.process_time() - before_s
    cpus = len(os.sched_getaffinity(0))
    most_j = seconds * cpus * IDLE_W_PER_CPU + busy_s * BUSY_W_PER_CPU
    assert 0.1 * cpus * IDLE_W_PER_CPU * 0.9 <= energy_j <= most_j + 1e-3


@linux
def test_a_read_opens_no_file(monkeypatch):
    with open_meter() as meter:
        before_j = meter.read()
        monkeypatch.setattr("builtins.open", None)
        monkeypatch.setattr("os.open", None)
        monkeypatch.setattr("pathlib.Path.open", None)
        after_j = [meter.read() for _ in range(100)][-1]
        monkeypatch.undo()
    assert after_j.keys() == before_j.keys()
    assert after_j["cpu"] > before_j["cpu"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_in_a_forked_child_the_meter_stands_still_and_says_so():
    meter = open_meter()
    window = meter.window()
    last = meter.read()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            energy = window.lap()
            still = meter.read() == last and 0 <= energy.energy_j <= sum(last.values())
            meter.close()
            status = 0 if still and any("fork" in gap for gap in energy.gaps) else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    meter.close()
