"""The host's account: its four purposes are the host's total, whatever becomes of the trials."""

from __future__ import annotations

import math
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import nullcontext
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rigs.meter import FakeMeter
from rigs.plain_sql import charged, joules, rows
from rigs.scripts import CONFIG, Script

import ecoml
from ecoml.energy import Provenance
from ecoml.errors import SearchFailed
from ecoml.ledger.accounts.metered import MeteredAccount
from ecoml.meter import open_meter
from ecoml.metric import ACCURACY
from ecoml.run.result import Result
from ecoml.run.storage.store import Store
from ecoml.testing.hosts import SimulatedHost
from ecoml.trial import next_point


def in_balance(folder):
    """Training + evaluation + optimiser + overhead, as entered, against what the meter saw."""
    found = joules(folder)
    host_j = found.pop("host")
    assert math.fsum(found.values()) == pytest.approx(host_j, rel=1e-9, abs=1e-9)
    return host_j


class Thinker(Script):
    """A script whose thinking costs energy; it keeps what it was told."""

    def __init__(self, decisions, meter):
        super().__init__(decisions)
        self.meter = meter
        self.energies = {}

    def ask(self):
        self.meter.spend(2)
        return super().ask()

    def tell(self, trial):
        super().tell(trial)
        self.meter.spend(0.25)
        self.energies[trial.number] = trial.energy_j, trial.tail.energy_j if trial.tail else 0.0


steps = st.lists(st.sampled_from(["start", "start long", "go on", "fail", "end"]), min_size=1, max_size=12)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_purposes_are_the_hosts_total_with_trials_left_and_taken_up_in_any_order(space, tmp_path_factory, plan):
    folder = tmp_path_factory.mktemp("run") / "r"
    meter = FakeMeter()
    decisions: list[ecoml.Start | ecoml.Continue] = []
    failing, trials, left = set(), 0, []
    for what in plan:
        if what in ("start", "start long", "fail"):
            if what == "fail":
                failing.add(trials)
            decisions.append(ecoml.Start({**CONFIG, "width": 8 + trials}, steps=1 if what == "start" else 3))
            left += [trials] if what == "start" else []
            trials += 1
        elif what == "go on" and left:
            decisions.append(ecoml.Continue(left.pop(0), steps=9))

    def train(config):
        number = config["width"] - 8
        for step in range(3):
            meter.spend(7)
            if number in failing and step == 1:
                raise RuntimeError("no such layer")
            yield 0.5 + step / 10
        meter.spend(1)  # after its last point

    strategy = Thinker(decisions, meter)
    searcher = ecoml.Searcher(space, train, budget_j=1e6, meter=meter, strategy=strategy, directory=folder)
    try:
        searcher.run()
    except SearchFailed:
        assert not decisions or plan
    assert in_balance(folder) == pytest.approx(meter.spent_j)
    result = Result.load(folder)
    assert {trial.number: trial.energy_j for trial in result.trials if trial.energy_j} == pytest.approx(charged(folder))
    for trial in result.trials:  # what the strategy was told is what is on disk
        assert strategy.energies[trial.number] == pytest.approx(
            (trial.energy_j, trial.tail.energy_j if trial.tail else 0.0)
        )


def test_a_failed_steps_joules_are_told_in_full_however_often_the_meter_is_read(space, quick, meter):
    opened: list[Any] = []

    class Looking:
        def prepare(self, space):
            pass

        def describe(self):
            return {"kind": "looking"}

        def start(self, trial, account):
            def run():
                yield ecoml.Measurement(0.5)
                for _ in range(10):
                    account.check_budget()
                    meter.spend(3)
                    opened[0].ledger.settle()
                raise RuntimeError("boom")

            return run()

    def show(search):
        opened.append(search)
        return nullcontext()

    quick["strategy"] = strategy = Thinker([ecoml.Start(CONFIG)], meter)
    result = ecoml.Searcher(space, Looking(), budget_j=1e6, meter=meter, show=show, **quick).run()
    assert strategy.energies[0] == (30, 30)
    assert result.trials[0].tail is not None
    assert (result.trials[0].tail.energy_j, result.trials[0].energy.provenance) == (30, Provenance.MEASURED)


def test_the_target_and_a_test_set_and_a_resumed_run_stay_in_balance(space, quick, run_folder):
    class Testable:
        test_cost = 0.5

        def prepare(self, space):
            meter.spend(11)

        def describe(self):
            return {"kind": "testable"}

        def start(self, trial, account):
            def run():
                for step in range(4):
                    meter.spend(5)
                    account.enter(ecoml.energy.Purpose.EVALUATION)
                    meter.spend(1)
                    yield ecoml.Measurement(0.5 + step / 10)

            return run()

        def save(self, run, trial, path):
            meter.spend(0.5)
            path.write_bytes(b"weights")

        def test(self, path):
            meter.spend(3)
            return 0.5

    spent_j = 0.0
    for budget_j in (60, 140, 300):
        meter = FakeMeter()
        if spent_j:
            searcher = ecoml.Searcher.resume(run_folder, Testable(), budget_j=budget_j, meter=meter)
        else:
            searcher = ecoml.Searcher(space, Testable(), budget_j=budget_j, meter=meter, **quick)
        result = searcher.run()
        spent_j += meter.spent_j
        assert in_balance(run_folder) == pytest.approx(spent_j)
        assert result.energy.total_j == pytest.approx(spent_j)
    assert result.energy.by_purpose[ecoml.energy.Purpose.EVALUATION].energy_j > 0
    assert rows(run_folder, "SELECT COUNT(DISTINCT session) FROM host") == [(3,)]


KILLED = """
import sys, time
import ecoml

space = ecoml.Space({"rate": ecoml.Float(1e-4, 1e-1, log=True), "width": ecoml.Int(8, 64)})

class Halving:
    def __init__(self):
        self.trials = {}
    def ask(self):
        left = [t.number for t in self.trials.values() if not t.state.ended]
        if len(left) < 4:
            return ecoml.Start({"rate": 0.01, "width": 8 + len(self.trials) % 57}, steps=1)
        return ecoml.Continue(left[len(self.trials) % 4], steps=2)
    def tell(self, trial):
        self.trials[trial.number] = trial

def train(config):
    for step in range(6):
        until = time.process_time() + 0.02
        while time.process_time() < until:
            pass
        yield 0.5 + step / 10

folder, how = sys.argv[1:]
arguments = dict(strategy=Halving())
if how == "new":
    searcher = ecoml.Searcher(space, train, budget_j=1000, directory=folder, **arguments)
else:
    searcher = ecoml.Searcher.resume(folder, train, **arguments)
searcher.run()
"""


def test_killed_with_suspended_trials_the_account_is_in_balance_each_time(tmp_path):
    folder, script = tmp_path / "run", tmp_path / "search.py"
    script.write_text(KILLED)
    moments = random.Random(0)
    spent_j, known = 0.0, 0
    for kill in range(3):
        how = "resume" if kill else "new"
        process = subprocess.Popen([sys.executable, script, folder, how], stderr=subprocess.PIPE)
        deadline = time.monotonic() + 60
        while not folder.exists() or len(rows(folder, "SELECT id FROM measurement")) < known + 6:
            assert time.monotonic() < deadline, "the search does not get on"
            assert process.poll() is None, process.communicate()[1].decode()
            time.sleep(0.02)
        time.sleep(moments.uniform(0, 1.2))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        host_j = in_balance(folder)
        assert host_j >= spent_j
        spent_j, known = host_j, len(rows(folder, "SELECT id FROM measurement"))
    before = Result.load(folder)
    assert {trial.state.value for trial in before.trials} > {"suspended"}
    result = ecoml.Searcher.resume(folder, lambda config: 0.5, budget_j=1000, strategy=Script([])).run()
    assert in_balance(folder) == pytest.approx(result.energy.total_j)
    assert not rows(folder, "SELECT * FROM in_flight")
    assert math.fsum(trial.energy_j for trial in result.trials) == pytest.approx(math.fsum(charged(folder).values()))
    assert result.energy.idle is not None
    assert result.energy.net is not None
    assert result.energy.idle.energy_j + result.energy.net.energy_j == pytest.approx(result.energy.total_j)


def test_one_meter_and_one_polling_thread_for_a_whole_search(space, quick, monkeypatch):
    opened: list[Any] = []
    threads: set[str] = set()

    def counted(*args, **kwargs):
        opened.append(open_meter(*args, **kwargs))
        return opened[-1]

    monkeypatch.setattr("ecoml.meter.open_meter", counted)

    def train(config):
        threads.update(thread.name for thread in threading.enumerate())
        names = [thread.name for thread in threading.enumerate() if thread.name.startswith("ecoml")]
        assert len(names) == len(set(names))
        yield 0.5

    ecoml.Searcher(space, train, budget_j=1e6, max_trials=3, **quick).run()
    assert len(opened) == 1
    assert "ecoml-heartbeat" in threads
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ecoml")]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    plan=st.lists(
        st.tuples(st.sampled_from(["train", "think", "idle"]), st.floats(0.01, 3.0)), min_size=3, max_size=25
    ),
    phase_s=st.floats(0, 0.09),
)
def test_what_is_reported_lies_within_its_uncertainty_of_the_truth(space, tmp_path_factory, plan, phase_s):
    """Total and every trial, on lagging counters of a simulated host, however the tape is cut."""
    folder = tmp_path_factory.mktemp("host")
    host = SimulatedHost(folder)
    package, gpu = host.add_package(power_w=90.0), host.add_gpu(power_w=200.0, phase_s=phase_s)
    true_j = lambda: package.true_j + gpu.true_j  # noqa: E731
    host.advance(1.0)
    with open_meter(root=host.root, nvml=host.nvml, clock=host.clock) as meter:
        for _ in range(30):  # the meter gets to know its counters
            host.advance(0.05)
            meter.read()
        began_j = true_j()
        window = meter.window()
        store = Store(folder / "l.sqlite", create=True)
        store.add_trial(ecoml.trial.Trial(0, {}))
        account = MeteredAccount(store, window, clock=host.clock)
        trial_j = 0.0
        curve: list[ecoml.trial.Point] = []
        for what, seconds in plan:
            purpose = {"train": "training", "think": "optimiser", "idle": "overhead"}[what]
            account.enter(ecoml.energy.Purpose(purpose), 0 if what == "train" else None)
            before_j = true_j()
            host.advance(seconds)
            if what == "train":
                with account.end_of_step(0) as taken:
                    curve.append(next_point(curve, 0.5, taken.energy.total))
                    store.add_measurement(0, curve[-1], taken.energy.total)
                trial_j += true_j() - before_j
        account.close()
        spent_j = true_j() - began_j
    snapshot = store.snapshot(ACCURACY)
    store.close()
    seen = sum((part for part in snapshot.host.values()), start=ecoml.energy.Energy(0, 0, Provenance.MEASURED))
    assert abs(seen.energy_j - spent_j) <= math.fsum(part.uncertainty_j for part in snapshot.host.values()) + 1e-6
    [trial] = snapshot.trials
    assert abs(trial.energy_j - trial_j) <= trial.energy.uncertainty_j + 1e-6
    if spent_j > 290 * 5:
        assert math.fsum(part.uncertainty_j for part in snapshot.host.values()) < 0.1 * spent_j + 290 * 0.5
