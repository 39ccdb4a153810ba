"""The meter's clock: it never goes back, stops while the machine sleeps, and reports when it had to correct the
time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

_SET_BACK_S = 1e-3  # less than this is noise of a clock, not a step
_ASLEEP_S = 0.1


@dataclass(frozen=True, slots=True)
class Interruption:
    """An interruption between two calls of the clock.

    Attributes:
        sentence: The message for people.
        clock: Whether the host's clock was set, so that the elapsed time is unknown; else the machine slept.
    """

    sentence: str
    clock: bool


class MeterClock:
    """Seconds that never go back.

    Args:
        clock: Returns seconds; it may be set.
        asleep_s: Returns the seconds that the machine has slept so far, which `clock` does not count.
    """

    def __init__(self, clock: Callable[[], float], asleep_s: Callable[[], float] = lambda: 0.0) -> None:
        self._clock = clock
        self._asleep_s = asleep_s
        self._shift_s = 0.0
        self._last_s = clock()
        self._slept_s = asleep_s()

    @classmethod
    def of_this_host(cls) -> MeterClock:
        """The monotonic clock, which cannot be set."""
        return cls(time.monotonic, _asleep_s)

    def __call__(self) -> tuple[float, Interruption | None]:
        """The time now, and the interruption since the last call, if any."""
        now_s, slept_s = self._clock() + self._shift_s, self._asleep_s()
        interruption = None
        if now_s < self._last_s:
            back_s = self._last_s - now_s
            self._shift_s += back_s
            now_s = self._last_s
            if back_s > _SET_BACK_S:
                sentence = f"the clock went back by {back_s:.3g} s, and the elapsed time is not known"
                interruption = Interruption(sentence, clock=True)
        if slept_s - self._slept_s > _ASLEEP_S:
            sentence = f"the machine slept for {slept_s - self._slept_s:.3g} s: the energy of that time is not counted"
            interruption = Interruption(sentence, clock=False)
        self._last_s, self._slept_s = now_s, slept_s
        return now_s, interruption


def _asleep_s() -> float:
    """Seconds this machine has slept since it was started; 0 if the system does not say."""
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return 0.0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)
