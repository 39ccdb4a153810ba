"""Pausing between steps while the grid's intensity is above a limit: a suspended training costs only idle energy.

The energy of a pause is charged to the search as overhead, with the intensity of its time. A pause ends when the grid
is clean enough, when its deadline has passed on either clock, when the current intensity is unknown, and when idling
has spent the budget. Both clocks are checked regularly: the time of day may be set forward or back, and the machine may
sleep.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from ecoml.carbon.grid import Grid
from ecoml.carbon.plan import Waiting, wait_for_clean
from ecoml.energy import Purpose
from ecoml.format import describe_pause, describe_resumption
from ecoml.ledger import Ledger
from ecoml.limits import Limits

SLICE_S = 1.0
HOURS = (1.0, 8.0, 48.0)
"""Hours of work for which the plan is made, because a search's duration is unknown before it starts."""

_HORIZON_S = 14 * 86400.0

log = logging.getLogger("ecoml")


class CleanWait:
    """Waits while the grid's intensity is above a limit.

    Args:
        grid: The grid.
        limits: The limits of the search.
        ledger: The search's account.
        interruptible: A context in which Ctrl-C may interrupt.
        clock: Returns Unix seconds.
        monotonic: Returns seconds on a clock that is never set.
        sleep: Waits for a number of seconds.
    """

    def __init__(
        self,
        grid: Grid,
        limits: Limits,
        ledger: Ledger,
        interruptible: AbstractContextManager[object],
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        assert limits.when_clean_g_per_kwh is not None, "waiting was asked for"
        self._grid = grid
        self._limit = limits.when_clean_g_per_kwh
        self._until_s = limits.until_s
        self._ledger = ledger
        self._interruptible = interruptible
        self._clock = clock
        self._monotonic = monotonic
        self._sleep = sleep
        self._ends_s = monotonic() + self._until_s - clock()
        kept = ledger.snapshot().settings
        self._paused_s, self._paused_j = kept.get("paused_s", 0.0), kept.get("paused_j", 0.0)

    def __call__(self) -> None:
        """Wait if necessary."""
        if not self._is_called_for:
            return
        log.info(describe_pause(self._grid.at(self._clock()), self._limit, self._until_s))
        ledger = self._ledger
        ledger.enter(Purpose.OVERHEAD)
        ledger.settle()
        began_s, before_j = self._monotonic(), ledger.spent_j
        try:
            with self._interruptible:
                while self._is_called_for:
                    self._sleep(SLICE_S)
        finally:
            ledger.settle()
            lasted_s, took_j = self._monotonic() - began_s, ledger.spent_j - before_j
            self._paused_s, self._paused_j = self._paused_s + lasted_s, self._paused_j + took_j
            ledger.paused(self._paused_s, self._paused_j)
        log.info(describe_resumption(self._grid.at(self._clock()), lasted_s, took_j, ledger.provenance))

    @property
    def _is_called_for(self) -> bool:
        now_s = self._clock()
        over = now_s >= self._until_s or self._monotonic() >= self._ends_s or self._ledger.left_j <= 0
        return not over and self._grid.knows(now_s) and self._grid.at(now_s) > self._limit

    def plan(self, idle_share: float = 0.0) -> Iterator[Waiting]:
        """The expected savings by hours of work, for the hours with a forecast."""
        now_s = self._clock()
        course = self._grid.course(now_s, now_s + _HORIZON_S)
        for hours in HOURS:
            if (waiting := wait_for_clean(course, hours, self._limit, self._until_s, idle_share)) is not None:
                yield waiting
