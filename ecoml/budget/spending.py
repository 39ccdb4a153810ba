"""The energy spent since a budget was opened, and the time of the next reading."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ecoml.energy import EnergyByDomain
from ecoml.meter.base import Meter

LONGEST_BLIND_S = 1.0
"""The longest time between two readings of the meter, however much budget is left."""

SHORTEST_BLIND_S = 0.01
"""The shortest time between two readings, since each reading costs energy."""

FASTEST = 4.0
"""The next reading comes before the rest could be spent at this many times the highest power so far."""

SHORTEST_POWER_S = 0.05
"""The power over a shorter time depends on the counter's resolution more than on the host."""


class Spending:
    """The energy of a meter's window, compared with a budget. Thread-safe.

    Args:
        meter: The meter.
        budget_j: The budget.
        clock: Returns seconds.
    """

    def __init__(self, meter: Meter, budget_j: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.budget_j = budget_j
        self._clock = clock
        self._lock = threading.Lock()
        self._window = meter.window().__enter__()
        self._opened_s = self._read_s = clock()
        self._energy = EnergyByDomain()
        self._power_since = self._read_s, 0.0
        self._peak_w = 0.0
        self._closed = False

    def read(self) -> EnergyByDomain:
        """The energy spent so far, or until the close."""
        with self._lock:
            if not self._closed:
                self._lap()
            return self._energy

    @property
    def last(self) -> EnergyByDomain:
        """The energy up to the last reading; takes no lock, for signal handlers."""
        return self._energy

    def exhausted(self) -> bool:
        """Whether the budget is spent. Reads the meter only if the rest of the budget could be spent by now."""
        with self._lock:
            if not self._closed and self._clock() >= self._read_s + self._blind_s():
                self._lap()
            return self._energy.energy_j >= self.budget_j

    def due_s(self) -> float:
        """Seconds until the next reading is due."""
        with self._lock:
            return max(SHORTEST_BLIND_S, self._read_s + self._blind_s() - self._clock())

    @property
    def seconds(self) -> float:
        """Seconds from the opening to the last reading."""
        return self._read_s - self._opened_s

    def close(self) -> None:
        """Read the meter a last time; the values no longer change. May be called twice."""
        self.read()
        self._closed = True

    def _blind_s(self) -> float:
        if not self._peak_w:
            return SHORTEST_BLIND_S
        left_s = (self.budget_j - self._energy.energy_j) / (FASTEST * self._peak_w)
        return min(max(left_s, 0.0), LONGEST_BLIND_S)

    def _lap(self) -> None:
        joined = self._energy.then(self._window.lap())  # the first is joined to nothing, and stays what it is
        self._energy = EnergyByDomain(joined.domains, tuple(dict.fromkeys(joined.gaps)))
        self._read_s = self._clock()
        since_s, since_j = self._power_since
        if self._read_s - since_s >= SHORTEST_POWER_S:
            self._peak_w = max(self._peak_w, (self._energy.energy_j - since_j) / (self._read_s - since_s))
            self._power_since = self._read_s, self._energy.energy_j
