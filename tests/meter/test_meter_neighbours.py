"""Several processes that meter one host: known, named, and none claims what another claims."""

import os
import subprocess
import sys
import threading
import time

import pytest

import ecoml
from ecoml.format import describe_sharing
from ecoml.meter import open_meter
from ecoml.meter.counters import neighbours
from ecoml.meter.counters.neighbours import Neighbours, SharedGauge
from ecoml.meter.repair.gauge import between
from ecoml.run.result import Result
from ecoml.testing.hosts import SimulatedHost

OTHER = """
import sys, time, pathlib
from ecoml.meter.counters import neighbours
neighbours._FOLDERS = [pathlib.Path(sys.argv[1])]
kept = neighbours.Neighbours(sys.argv[2].split(","))
print("here", flush=True)
time.sleep(60)
"""


@pytest.fixture
def folder(alone, monkeypatch):
    monkeypatch.setattr(neighbours, "_CHECK_S", 0.0)
    return alone


@pytest.fixture
def start(folder):
    started = []

    def start(domains):
        child = subprocess.Popen([sys.executable, "-c", OTHER, str(folder), domains], stdout=subprocess.PIPE, text=True)
        started.append(child)
        assert child.stdout is not None
        assert child.stdout.readline() == "here\n"
        return child

    yield start
    for child in started:
        child.kill()
        child.communicate()


def gone(check_budget, pid):
    end_s = time.monotonic() + 10.0
    while pid in check_budget() and time.monotonic() < end_s:
        time.sleep(0.01)
    return pid not in check_budget()


def test_a_neighbour_is_seen_until_it_is_killed(start):
    with open_meter() as meter:
        assert not meter.neighbours
        other = start(",".join(meter.read()))
        assert meter.neighbours == (other.pid,)
        window = meter.window()
        assert window.gaps == (), "sharing is no gap: its joules are counted, and the interval covers the rest"
        other.kill()
        assert gone(lambda: meter.neighbours, other.pid)


def test_who_meters_other_domains_is_no_neighbour(start):
    with open_meter() as meter:
        start("gpu:77")
        assert meter.neighbours == ()


def test_a_counter_of_the_whole_host_is_claimed_once_between_two(start, tmp_path):
    host = SimulatedHost(tmp_path / "host")
    (tmp_path / "host").mkdir()
    package = host.add_package(100.0)
    ours = Neighbours(["cpu:0"])
    with open_meter(root=host.root, clock=host.clock) as inner:
        gauge = SharedGauge(inner._gauges[0], ours)
        readings = [gauge.read(host.now_s)]

        def step():
            host.advance(10.0)
            ours.check()
            readings.append(gauge.read(host.now_s))
            return between(gauge, readings[-2], readings[-1])

        alone = step()
        assert alone.energy_j == pytest.approx(1000.0, abs=1.0)
        assert alone.uncertainty_j < 50.0
        other = start("cpu:0,dram:0")
        shared = step()
        assert shared.energy_j == pytest.approx(500.0, abs=1.0)
        assert 500.0 <= shared.uncertainty_j < 550.0
        other.kill()

        def present():
            ours.check()
            return ours.pids

        assert gone(present, other.pid)
        assert step().energy_j == pytest.approx(500.0, abs=1.0), "it was still there for a part of this"
        again = step()
        assert again.energy_j == pytest.approx(1000.0, abs=1.0)
        assert between(gauge, readings[0], readings[-1]).energy_j == pytest.approx(package.true_j - 1000.0, abs=2.0)
    ours.close()


def test_meters_of_one_process_keep_one_file_and_know_of_each_other(folder):
    with open_meter() as first:
        assert first.neighbours == ()
        with open_meter() as second:
            assert first.neighbours == second.neighbours == (os.getpid(),)
        assert first.neighbours == ()
        assert len(list(folder.iterdir())) == 1
    assert list(folder.iterdir()) == []


def test_a_meter_that_is_only_looked_at_lets_others_be(folder):
    with open_meter(claims=False):
        assert not folder.exists()


def test_what_a_killed_process_left_behind_is_cleared_away(start, folder):
    other = start("cpu")
    other.kill()
    other.wait()
    left = folder / str(other.pid)
    assert left.exists()
    with open_meter() as meter:
        assert gone(lambda: meter.neighbours, other.pid)
        assert not left.exists()


def test_a_host_where_no_folder_can_be_written_is_metered_all_the_same(alone):
    alone.touch()
    with open_meter() as meter:
        assert meter.neighbours == ()
        assert meter.read()["cpu"] >= 0


def test_two_searches_of_one_process_say_that_each_counts_what_both_take(tmp_path):
    space, ready = ecoml.Space({"x": ecoml.Float(0, 1)}), threading.Barrier(2)

    def train(config):
        ready.wait(30)
        end = time.perf_counter() + 1.5
        while time.perf_counter() < end:
            pass
        yield config["x"]

    def search(name):
        ecoml.Searcher(space, train, budget_j=1e5, strategy="random", max_trials=1, directory=tmp_path / name).run()

    threads = [threading.Thread(target=search, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for name in "ab":
        told = describe_sharing(Result.load(tmp_path / name).energy.shared)
        assert any("another account of the same process metered this host too" in sentence for sentence in told)
