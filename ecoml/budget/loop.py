"""An energy budget for any loop; the loop need not check it.

A thread reads the meter, more often the less budget is left. When the budget is spent, the thread sends the main thread
a signal that nothing else uses (a real-time signal if the system has them). The signal's handler raises
`BudgetExhausted` at the current point of the loop. Python code, sleeping and waiting are interrupted at once; a call
into C (one step of a network) is interrupted as soon as it returns. Code that catches the error and continues is
interrupted again after `AGAIN_S`.

Signals reach only the main thread. In another thread nothing is interrupted, and the loop must call `check()` itself.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Self

from ecoml.budget.spending import Spending
from ecoml.energy import Energy, EnergyByDomain
from ecoml.errors import BudgetExhausted, OwnBudgetExhausted, UsageError
from ecoml.format import describe_spent
from ecoml.limits import budget_in_joules
from ecoml.meter import open_meter
from ecoml.meter.base import Meter

AGAIN_S = 30.0
"""Code that catches `BudgetExhausted` within the block gets it again after this many seconds: time to save a model."""

_RETRY_S = 0.05

_READ_BY = "ecoml.budget.", "ecoml.meter."


def energy_budget(
    kwh: float | None = None, *, j: float | None = None, hard: bool = True, meter: Meter | None = None
) -> EnergyBudget:
    """An energy budget for the code in its block.

        with ecoml.energy_budget(kwh=0.1) as budget:
            for batch in batches:
                train(batch)
                budget.check()          # raises BudgetExhausted; without this call the block is interrupted as well

    Args:
        kwh: The budget in kWh.
        j: The budget in joules; give one of the two.
        hard: Whether the block is interrupted at the budget; otherwise only `check` stops it.
        meter: Your own meter; default: this host's, which also counts child processes.

    Raises:
        BudgetError: None or both are given, or the value is not a positive number.
    """
    return EnergyBudget(budget_in_joules(kwh, j, names=("kwh", "j")), hard=hard, meter=meter)


class EnergyBudget:
    """A budget for one `with` block, made by `energy_budget`. It can be used once.

    Attributes:
        budget_j: The budget in joules.
        hard: Whether the block is interrupted at the budget; False outside the main thread.
    """

    def __init__(
        self, budget_j: float, *, hard: bool = True, meter: Meter | None = None, again_s: float = AGAIN_S
    ) -> None:
        self.budget_j = budget_j
        self.hard = hard
        self._again_s = again_s
        self._meter = meter
        self._meter_is_ours = meter is None
        self._spending: Spending | None = None
        self._left = threading.Event()
        self._armed = False
        self._late = False
        self._quiet_until_s = 0.0
        self._signal: signal.Signals | int | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        if self._spending is not None:
            raise UsageError("an energy budget is used once: call ecoml.energy_budget(…) again for another block")
        self._meter = self._meter or open_meter()
        self._spending = Spending(self._meter, self.budget_j)
        self.hard = self.hard and threading.current_thread() is threading.main_thread()
        if self.hard:
            self._signal = _unused_signal()
            signal.signal(self._signal, self._interrupt)
            arguments = (self._spending, threading.get_ident(), self._signal)
            self._thread = threading.Thread(target=self._watch, args=arguments, name="ecoml-budget", daemon=True)
            self._thread.start()
        self._armed = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._left.set()
        if self._thread is not None and self._signal is not None:
            self._thread.join()
            os.getppid()  # any system call: a signal on its way arrives before its handler is taken away
            signal.signal(self._signal, signal.SIG_DFL)
        assert self._spending is not None, "the block of an energy budget was left without being entered"
        self._spending.close()
        if self._meter_is_ours and self._meter is not None:
            self._meter.close()

    @property
    def energy(self) -> Energy:
        """The energy spent so far, or until the end of the block, with its uncertainty and provenance."""
        return self.by_domain.total

    @property
    def by_domain(self) -> EnergyByDomain:
        """The energy by domain, and what could not be read."""
        if self._spending is None:
            return EnergyByDomain()
        spent = self._spending.read()
        if self._late:
            self._late = False
            self._raise(spent)
        return spent

    @property
    def spent_j(self) -> float:
        """Joules spent so far."""
        return self.by_domain.energy_j

    @property
    def remaining_j(self) -> float:
        """Joules left; 0.0 if more than the budget was spent."""
        return max(0.0, self.budget_j - self.spent_j)

    @property
    def exhausted(self) -> bool:
        """Whether the budget is spent. The call is cheap: it reads the meter only if the rest of the budget could be
        spent by now.
        """
        return self._spending is not None and self._spending.exhausted()

    def check(self) -> None:
        """Raise `BudgetExhausted` if the budget is spent; cheap enough for every batch.

        Raises:
            BudgetExhausted: The budget is spent.
        """
        if self.exhausted:
            raise self._error(self.by_domain)

    def __repr__(self) -> str:
        return f"<EnergyBudget: {describe_spent(self.energy, self.budget_j)}>"

    def _error(self, spent: EnergyByDomain) -> BudgetExhausted:
        return OwnBudgetExhausted(f"the energy budget is spent: {describe_spent(spent.total, self.budget_j)}")

    def _watch(self, spending: Spending, thread: int, number: int) -> None:
        while not self._left.wait(spending.due_s()):
            if spending.exhausted():
                signal.pthread_kill(thread, number)
                self._left.wait(max(_RETRY_S, self._quiet_until_s - time.monotonic()))

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        """The signal handler. It interrupts neither the entry to the block nor the exit from it. A reading, during
        which the main thread holds the meter's locks, is interrupted at its end, or by the next signal.
        """
        del number
        self._late = _is_reading(frame)
        if not self._late:
            assert self._spending is not None, "the handler stands only within the block"
            self._raise(self._spending.last)

    def _raise(self, spent: EnergyByDomain) -> None:
        now_s = time.monotonic()
        if self._armed and not self._left.is_set() and now_s >= self._quiet_until_s:
            self._quiet_until_s = now_s + self._again_s
            raise self._error(spent)


def _is_reading(frame: FrameType | None) -> bool:
    """Whether code of a budget or of a meter runs, be it called by the user's."""
    while frame is not None:
        if str(frame.f_globals.get("__name__")).startswith(_READ_BY):
            return True
        frame = frame.f_back
    return False


def _unused_signal() -> int:
    """A signal that nothing in this process uses."""
    real_time = range(signal.SIGRTMAX, signal.SIGRTMIN, -1) if hasattr(signal, "SIGRTMAX") else range(0)
    for number in (*real_time, signal.SIGUSR2, signal.SIGUSR1):
        if signal.getsignal(number) is signal.SIG_DFL:
            return int(number)
    raise UsageError("every signal that could stop this loop is taken; give hard=False and call budget.check()")
