"""An energy budget around a loop: what it knows, how it stops, and what it leaves behind."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
from rigs.meter import FakeMeter

import ecoml
from ecoml.budget.loop import EnergyBudget
from ecoml.budget.spending import Spending
from ecoml.energy import Provenance


def handlers():
    return [signal.getsignal(number) for number in range(signal.SIGRTMIN, signal.SIGRTMAX + 1)]


def test_what_is_spent_and_left(meter):
    with ecoml.energy_budget(j=10, meter=meter) as budget:
        meter.spend(4)
        budget.check()
        assert (budget.spent_j, budget.remaining_j) == (4, 6)
        assert budget.energy.provenance is Provenance.MEASURED
        assert "4.00 J ± 0.00 J (measured) of 10.0 J, 40 %" in repr(budget)
    meter.spend(100)
    assert budget.spent_j == 4, "after the block it stands still"


def test_check_stops_the_loop_without_an_interrupt(meter):
    done = 0
    with ecoml.energy_budget(kwh=10 / 3.6e6, hard=False, meter=meter) as budget:
        with pytest.raises(ecoml.BudgetExhausted, match=r"12\.0 J .*of 10\.0 J"):
            for _ in range(10):
                meter.spend(3)
                time.sleep(0.01)
                done += 1
                budget.check()
        assert budget.remaining_j == 0
    assert done == 4


@pytest.mark.parametrize("idle", [False, True], ids=["computing", "sleeping"])
def test_a_loop_that_never_checks_is_interrupted(idle):
    before = handlers()
    began_s = time.monotonic()
    with pytest.raises(ecoml.BudgetExhausted), ecoml.energy_budget(j=20, meter=FakeMeter(power_w=100)) as budget:
        while True:
            time.sleep(30) if idle else sum(range(1000))
    assert 0.2 <= time.monotonic() - began_s < 2
    assert 20 <= budget.spent_j < 60
    assert handlers() == before
    assert "ecoml-budget" not in {thread.name for thread in threading.enumerate()}


class Interrupting(FakeMeter):
    """When the budget is spent, its signal arrives in the midst of a reading in the main thread."""

    budget: Any = None

    def now_j(self):
        now_j = super().now_j()
        main = threading.current_thread() is threading.main_thread()
        if self.budget is not None and main and now_j > 5 and not self.budget._left.is_set():
            signal.raise_signal(self.budget._signal)
        return now_j


@pytest.mark.parametrize("read", ["check", "energy", "spent_j", "__repr__"])
def test_a_signal_in_the_midst_of_a_reading_waits_for_its_end(read):
    meter = Interrupting(power_w=100)
    began_s = time.monotonic()
    with pytest.raises(ecoml.BudgetExhausted, match=r"of 5\.00 J"), ecoml.energy_budget(j=5, meter=meter) as budget:
        meter.budget = budget
        while True:
            found = getattr(budget, read)
            _ = found() if callable(found) else found
    assert time.monotonic() - began_s < 2
    assert budget.spent_j >= 5


def test_readings_that_meet_the_real_signal_never_hang():
    """The budget ends at any point of a loop that does nothing but read."""
    for power_w in range(100, 400, 5):
        with pytest.raises(ecoml.BudgetExhausted), ecoml.energy_budget(j=2, meter=FakeMeter(power_w=power_w)) as budget:
            while budget.spent_j < 1000:
                pass


def test_what_swallows_the_error_meets_it_again():
    met = 0
    with EnergyBudget(1, meter=FakeMeter(power_w=100), again_s=0.2):
        while met < 3:
            with contextlib.suppress(ecoml.BudgetExhausted):
                try:
                    time.sleep(30)
                finally:
                    met += 1
    assert met == 3


def test_a_block_that_is_left_in_time_is_not_interrupted():
    """However close to the budget's end it is left."""
    for power_w in range(40, 240, 4):
        with contextlib.suppress(ecoml.BudgetExhausted), ecoml.energy_budget(j=2, meter=FakeMeter(power_w=power_w)):
            time.sleep(0.02)
        time.sleep(0.001)


def test_budgets_within_one_another(meter):
    with ecoml.energy_budget(j=1000, meter=meter) as outer:
        with pytest.raises(ecoml.BudgetExhausted), ecoml.energy_budget(j=1, meter=FakeMeter(power_w=50)) as inner:
            time.sleep(30)
        meter.spend(7)
        outer.check()
    assert inner.remaining_j == 0
    assert outer.spent_j == 7


def test_in_a_thread_only_check_stops(meter):
    told: list[Any] = []

    def work():
        with ecoml.energy_budget(j=1, meter=meter) as budget:
            meter.spend(2)
            time.sleep(0.1)
            told.append(budget.hard)
            with contextlib.suppress(ecoml.BudgetExhausted):
                budget.check()
                told.append("went on")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert told == [False]


def test_child_processes_count():
    burn = [sys.executable, "-c", "import time\nwhile time.process_time() < 0.5: pass"]
    with ecoml.energy_budget(j=1e6) as budget:
        subprocess.run(burn, check=True)
        with_child_j = budget.spent_j
    with ecoml.energy_budget(j=1e6) as budget:
        pass
    assert with_child_j > budget.spent_j + 0.5
    assert budget.energy.provenance.rank <= Provenance.ESTIMATED.rank


def test_the_meter_is_read_more_often_near_the_end():
    now_s = [0.0]
    meter = FakeMeter()
    spending = Spending(meter, 100.0, clock=lambda: now_s[0])
    for spent_j, due_s in ((10, 1.0), (50, 1.0), (30, 0.25), (9, 0.025)):
        now_s[0] += spent_j / 10  # 10 W
        meter.spend(spent_j)
        spending.read()
        assert spending.due_s() == pytest.approx(due_s)


def test_mistakes_are_said_in_python_names(meter):
    for kwh, j in ((None, None), (1.0, 1.0)):
        with pytest.raises(ecoml.UsageError, match=r"kwh=2 \(or j="):
            ecoml.energy_budget(kwh, j=j)
    with pytest.raises(ecoml.UsageError, match="positive"):
        ecoml.energy_budget(j=-1)
    budget = ecoml.energy_budget(j=1, meter=meter)
    with budget:
        pass
    with pytest.raises(ecoml.UsageError, match="used once"), budget:
        pass
