"""Pausing between steps while the grid is dirtier than wanted: a suspended training costs nothing but idling.

What is drawn meanwhile is the search's, as overhead, at the intensity of its time. A pause ends when the grid is clean
enough, when its deadline has come by either clock, when nothing is known of the present intensity, and when idling has
taken the budget. Both clocks are looked at in every slice: the time of day may be set forward or back, and the machine
may sleep.
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
"""How long a search works is not known before it begins: the plan says it of these lengths."""

_HORIZON_S = 14 * 86400.0

log = logging.getLogger("ecoml")


class CleanWait:
    """Waits while the grid is dirtier than a limit.

    Args:
        grid: The grid.
        limits: What was asked for.
        ledger: The search's account.
        interruptible: Lets Ctrl-C through.
        clock: Gives Unix seconds.
        monotonic: Gives seconds that are never set.
        sleep: Waits so many seconds.
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
        """Wait, if that is called for."""
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
        """What it expects to save, by how long the search works; of those lengths that are foreseen."""
        now_s = self._clock()
        course = self._grid.course(now_s, now_s + _HORIZON_S)
        for hours in HOURS:
            if (waiting := wait_for_clean(course, hours, self._limit, self._until_s, idle_share)) is not None:
                yield waiting
