"""Getting ready on a GPU: a line of its own, forecast before it is spent, and refused where it would eat the budget."""

from __future__ import annotations

import json
import subprocess
import sys
import threading

import pytest

import ecoml
from ecoml.energy import Purpose
from ecoml.errors import BudgetError
from ecoml.meter import open_meter
from ecoml.run.result import Result
from ecoml.searcher.energy.getting_ready import FIRST_TIME_J
from ecoml.strategies.random import RandomSearch
from ecoml.testing.hosts import SimulatedHost
from ecoml.training.function import FunctionExecutor


class OnAGpu(FunctionExecutor):
    """Gets ready for so many seconds of a simulated GPU at 100 W, and trains for one."""

    ready = False

    def __init__(self, host, seconds):
        super().__init__(lambda config: self._train(config))
        self._host, self._seconds = host, seconds
        self.prepared = 0
        self.begun = threading.Event()

    def prepare(self, space):
        self.prepared += 1
        self.begun.set()
        self._host.advance(self._seconds)

    def _train(self, config):
        self._host.advance(1.0)
        yield config["a"]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "ecoml" / "getting-ready.json"


def searched(tmp_path, name, budget_j, seconds=4.0, *, ready=False):
    host = SimulatedHost(tmp_path / f"host-{name}")
    host.add_gpu(power_w=100.0, name="NVIDIA H100")
    executor = OnAGpu(host, seconds)
    executor.ready = ready
    space = ecoml.Space({"a": ecoml.Float(0.1, 0.9)})
    with open_meter(root=host.root, nvml=host.nvml, clock=host.clock) as meter:
        how = {"strategy": "random", "directory": tmp_path / name, "max_trials": 2}
        try:
            return executor, ecoml.Searcher(space, executor, budget_j=budget_j, meter=meter, **how).run()
        except BudgetError as error:
            return executor, error


def test_a_budget_that_getting_ready_would_eat_is_refused_before_anything_is_spent(tmp_path, cache):
    executor, error = searched(tmp_path, "run", FIRST_TIME_J)
    assert "preparing it (" in str(error)
    assert "is forecast to take 1.50 kJ (a guess, as it was never measured here)" in str(error)
    assert "--budget-kwh 0.0017" in str(error)
    assert executor.prepared == 0
    assert not (tmp_path / "run").exists()


def test_what_it_took_is_a_line_of_its_own_and_the_forecast_of_the_next_time(tmp_path, cache):
    _, result = searched(tmp_path, "first", 2000.0)
    assert isinstance(result, Result)
    energy = result.energy
    assert energy.getting_ready_j == pytest.approx(400.0, rel=0.05)
    assert energy.by_purpose[Purpose.OVERHEAD].energy_j >= energy.getting_ready_j
    assert energy.to_dict()["getting_ready_j"] == energy.getting_ready_j
    assert json.loads(cache.read_text()) == {"NVIDIA H100": pytest.approx(400.0, rel=0.05)}
    executor, error = searched(tmp_path, "second", 390.0)
    assert "(as the last time on this machine)" in str(error)
    assert executor.prepared == 0
    _, result = searched(tmp_path, "third", 800.0)
    assert isinstance(result, Result), "a guess would have refused it"


def test_what_found_something_warm_says_nothing_of_the_next_time(tmp_path, cache):
    cache.parent.mkdir(parents=True)
    cache.write_text('{"NVIDIA H100": 400.0}')
    searched(tmp_path, "warm", 2000.0, seconds=0.5)
    assert json.loads(cache.read_text()) == {"NVIDIA H100": 400.0}
    _, result = searched(tmp_path, "ready", 350.0, seconds=0.0, ready=True)
    assert isinstance(result, Result), "nothing is forecast of what is ready"
    cache.write_text("damaged")
    _, result = searched(tmp_path, "damaged", 5000.0)
    assert isinstance(result, Result)


def test_without_a_gpu_nothing_is_forecast(tmp_path, cache, meter):
    host = SimulatedHost(tmp_path / "host")
    executor = OnAGpu(host, 1.0)
    space = ecoml.Space({"a": ecoml.Float(0.1, 0.9)})
    how = {"strategy": "random", "directory": tmp_path / "run", "max_trials": 1}
    ecoml.Searcher(space, executor, budget_j=900.0, meter=meter, **how).run()
    assert executor.prepared == 1
    assert not cache.exists()


class Importing(RandomSearch):
    """Notes where its libraries are imported, and whether the training was getting ready."""

    def __init__(self, space, executor, *, fails=False):
        super().__init__(space, 0)
        self._executor, self._fails = executor, fails
        self.imported = []

    def import_libraries(self):
        self.imported.append(threading.current_thread() is not threading.main_thread())
        assert self._executor.begun.wait(10), "the training gets ready at the same time"
        if self._fails:
            raise ImportError("no such library")


@pytest.mark.parametrize("fails", [False, True])
def test_while_a_gpu_gets_ready_the_strategy_imports_its_libraries(tmp_path, cache, fails):
    host = SimulatedHost(tmp_path / "host")
    host.add_gpu(power_w=100.0, name="NVIDIA H100")
    executor = OnAGpu(host, 4.0)
    space = ecoml.Space({"a": ecoml.Float(0.1, 0.9)})
    strategy = Importing(space, executor, fails=fails)
    with open_meter(root=host.root, nvml=host.nvml, clock=host.clock) as meter:
        how = {"strategy": strategy, "directory": tmp_path / "run", "max_trials": 2}
        result = ecoml.Searcher(space, executor, budget_j=2000.0, meter=meter, **how).run()
    assert strategy.imported == [True]
    assert len(result.trials) == 2


def test_without_a_gpu_libraries_are_imported_when_they_are_needed(tmp_path, meter):
    executor = OnAGpu(SimulatedHost(tmp_path / "host"), 1.0)
    space = ecoml.Space({"a": ecoml.Float(0.1, 0.9)})
    strategy = Importing(space, executor)
    how = {"strategy": strategy, "directory": tmp_path / "run", "max_trials": 1}
    ecoml.Searcher(space, executor, budget_j=900.0, meter=meter, **how).run()
    assert strategy.imported == []


def test_strategies_of_botorch_import_it_before_their_first_decision(tmp_path):
    code = (
        "import sys, ecoml; from ecoml.strategies import create_strategy; space = ecoml.load_space('cnn-small');"
        " strategy = create_strategy({name!r}, space, 0); before = set(sys.modules); strategy.import_libraries();"
        " print(*{{'botorch', 'scipy.stats'}} & (set(sys.modules) - before))"
    )
    for name in ("bayes", "botorch"):
        done = subprocess.run(
            [sys.executable, "-c", code.format(name=name)], capture_output=True, text=True, check=True, cwd=tmp_path
        )
        assert set(done.stdout.split()) == {"botorch", "scipy.stats"}
