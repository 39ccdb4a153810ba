"""The meter's time: it never falls, stands still while the machine sleeps, and tells when either was needed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

_SET_BACK_S = 1e-3  # less than this is noise of a clock, not a step
_ASLEEP_S = 0.1


@dataclass(frozen=True, slots=True)
class Interruption:
    """What came between two instants.

    Attributes:
        sentence: For people.
        clock: Whether the clock was set, so that the time between the two is not known; else the machine slept.
    """

    sentence: str
    clock: bool


class MeterClock:
    """Seconds that never fall.

    Args:
        clock: Gives seconds; it may be set.
        asleep_s: Gives the seconds that the machine has slept so far, which `clock` leaves out.
    """

    def __init__(self, clock: Callable[[], float], asleep_s: Callable[[], float] = lambda: 0.0) -> None:
        self._clock = clock
        self._asleep_s = asleep_s
        self._shift_s = 0.0
        self._last_s = clock()
        self._slept_s = asleep_s()

    @classmethod
    def of_this_host(cls) -> MeterClock:
        """The monotonic clock, which nobody can set."""
        return cls(time.monotonic, _asleep_s)

    def __call__(self) -> tuple[float, Interruption | None]:
        """The time now, and what came between this call and the one before."""
        now_s, slept_s = self._clock() + self._shift_s, self._asleep_s()
        interruption = None
        if now_s < self._last_s:
            back_s = self._last_s - now_s
            self._shift_s += back_s
            now_s = self._last_s
            if back_s > _SET_BACK_S:
                sentence = f"the clock went back by {back_s:.3g} s, and how long that took cannot be told"
                interruption = Interruption(sentence, clock=True)
        if slept_s - self._slept_s > _ASLEEP_S:
            sentence = f"the machine slept for {slept_s - self._slept_s:.3g} s: what it drew meanwhile is not counted"
            interruption = Interruption(sentence, clock=False)
        self._last_s, self._slept_s = now_s, slept_s
        return now_s, interruption


def _asleep_s() -> float:
    """Seconds this machine has slept since it was started; 0 where the system does not tell."""
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return 0.0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)
