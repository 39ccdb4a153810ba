"""The savings expected from waiting for a cleaner grid.

A search of a number of hours draws P while it works and ι · P while it waits, with ι from 0 (the machine runs anyway,
or sleeps) to 1. It waits while the grid is above a limit, until a deadline; after that it continues on any grid.

    at once        Σ g · dt over the first hours                g: intensity, g/kWh
    waiting        Σ g · dt over the hours of work + ι Σ g · dt over the hours of waiting
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ecoml.carbon.grid import HOUR_S, Stretch


@dataclass(frozen=True, slots=True)
class Waiting:
    """A search that never waits, compared with one that waits.

    Attributes:
        hours: Hours of work.
        straight_g_per_kwh: Mean intensity of the work if it starts at once.
        clean_g_per_kwh: Mean intensity of the work if the search waits.
        waiting_g_per_kwh: Addition by waiting, per kWh of work, if waiting drew as much power as work.
        idle_share: ι.
        ends_s: End of the search that waits; Unix time.
        waited_s: Seconds of waiting.
    """

    hours: float
    straight_g_per_kwh: float
    clean_g_per_kwh: float
    waiting_g_per_kwh: float
    idle_share: float
    ends_s: float
    waited_s: float

    @property
    def idle_g_per_kwh(self) -> float:
        """Addition by waiting, per kWh of work."""
        return self.idle_share * self.waiting_g_per_kwh

    @property
    def break_even(self) -> float:
        """The ι from which waiting saves nothing; ∞ if the search does not wait."""
        gain_g = self.straight_g_per_kwh - self.clean_g_per_kwh
        return max(0.0, gain_g / self.waiting_g_per_kwh) if self.waiting_g_per_kwh > 0 else math.inf

    @property
    def saved(self) -> float:
        """The share of the CO2e that waiting saves; below 0 if idling costs more than that."""
        return 1.0 - (self.clean_g_per_kwh + self.idle_g_per_kwh) / self.straight_g_per_kwh


def wait_for_clean(
    course: Sequence[Stretch],
    hours: float,
    limit_g_per_kwh: float,
    until_s: float,
    idle_share: float = 0.0,
) -> Waiting | None:
    """The comparison for a search; None if the forecast ends before the search does.

    Args:
        course: The intensity from the start on, without gaps.
        hours: Hours of work.
        limit_g_per_kwh: The search waits while the grid is above this.
        until_s: The end of waiting; Unix time.
        idle_share: ι.
    """
    need_s = hours * HOUR_S
    straight = _weigh(course, need_s)
    worked_s = waited_s = worked_g = idle_g = 0.0
    ends_s = course[0][0] if course else 0.0
    for begin_s, end_s, intensity in course:
        at_s = begin_s
        if intensity > limit_g_per_kwh and at_s < until_s:
            pause_s = min(end_s, until_s) - at_s
            waited_s += pause_s
            idle_g += intensity * pause_s
            at_s += pause_s
        work_s = min(end_s - at_s, need_s - worked_s)
        if work_s > 0:
            worked_s += work_s
            worked_g += intensity * work_s
            ends_s = at_s + work_s
        if worked_s >= need_s * (1 - 1e-12):
            break
    if straight is None or worked_s < need_s * (1 - 1e-9):
        return None
    return Waiting(hours, straight, worked_g / need_s, idle_g / need_s, idle_share, ends_s, waited_s)


def _weigh(course: Sequence[Stretch], need_s: float) -> float | None:
    """Mean intensity of the first seconds; None if they are not known."""
    left_s, total = need_s, 0.0
    for begin_s, end_s, intensity in course:
        taken_s = min(left_s, end_s - begin_s)
        total += intensity * taken_s
        left_s -= taken_s
        if left_s <= 0:
            return total / need_s
    return total / need_s if left_s <= need_s * 1e-9 else None
