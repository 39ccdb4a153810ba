"""When a counter updates, learnt from its readings.

    t₀    last reading that showed another value
    t₁    first reading that showed the present value
    t₂    latest reading

The update that brought the present value came after t₀, so the value is at most now − t₀ old. If a next value appears
at t₃, its update and the one before lie at least t₂ − t₁ and at most t₃ − t₀ apart. An interval that is bounded in this
way to within a factor of two is one observation of the period; after three observations the period is known.
"""

from __future__ import annotations

import math

from ecoml.meter.repair.phase import Phase

_TIGHT = 2.0  # an interval is an observation if its bounds differ by less than this factor
_ENOUGH = 3  # so many observations make a period known
_PAUSE = 4.0  # an interval this many times the known period is a pause, not a period
_MARGIN = 1.1  # clocks and readings are not simultaneous
_PART = 8.0  # while it learns, a period is divided into this many readings
_SHORTEST_S = 2e-4
_LEARN_S, _LEARN_PERIODS = 1.0, 60.0  # for the longer of these it learns, or gives up

STUCK_S = 1.0
STUCK_PERIODS = 20.0


class Ticks:
    """The updates of one counter.

    Args:
        assumed_s: The initial update period.
        longest_s: Longer than the period of any such counter; the bound until the period is known.

    Attributes:
        phase: The time of the last update.
    """

    def __init__(self, assumed_s: float, longest_s: float) -> None:
        self._assumed_s = assumed_s
        self._longest_s = longest_s
        self._other_s = -math.inf  # t₀
        self._first_s = self._latest_s = math.nan  # t₁, t₂
        self._raw_j: float | None = None
        self._observations = 0
        self._least_high_s = self._longest_high_s = math.inf
        self._most_low_s = 0.0
        self._known_s: float | None = None
        self._learns_until_s = math.inf
        self.phase = Phase()

    @property
    def measured(self) -> bool:
        """Whether the period was observed; else it is assumed."""
        return self._known_s is not None

    @property
    def period_s(self) -> float:
        """The update period, observed or assumed."""
        return self._assumed_s if self._known_s is None else self._known_s

    @property
    def bound_s(self) -> float:
        """The longest time between two updates."""
        return self._longest_s if self._known_s is None else _MARGIN * self._known_s

    @property
    def foreseen_s(self) -> float:
        """The expected longest time between two updates."""
        return self._assumed_s if self._known_s is None else self.bound_s

    @property
    def stuck_after_s(self) -> float:
        """A counter that shows one value for this long has stopped."""
        return max(STUCK_S, STUCK_PERIODS * self.period_s)

    def stale_s(self, now_s: float) -> float:
        """Largest possible age of the current value; ∞ before a second value."""
        return now_s - self._other_s

    def still_s(self, now_s: float) -> float:
        """Smallest possible time since the value changed."""
        return now_s - self._first_s

    def wait_s(self, now_s: float) -> float | None:
        """Seconds to wait for the next reading from which the period can be learnt; None once it is known."""
        if self.measured or now_s > self._learns_until_s:
            return None
        return max(_SHORTEST_S, (now_s - self._first_s) / _PART)

    def see(self, raw_j: float, now_s: float) -> None:
        """Process a reading; its time is never before that of the last one."""
        if math.isinf(self._learns_until_s):
            self._learns_until_s = now_s + max(_LEARN_S, _LEARN_PERIODS * self._assumed_s)
        if raw_j == self._raw_j:
            self._latest_s = now_s
            return
        if self._raw_j is not None:
            shortest_s, longest_s = self._latest_s - self._first_s, now_s - self._other_s
            pause_s = self.stuck_after_s if self._known_s is None else _PAUSE * self._known_s
            if 0 < longest_s <= _TIGHT * shortest_s and shortest_s < pause_s:
                self._learn(shortest_s, longest_s)
            self._other_s = self._latest_s
        self._raw_j, self._first_s, self._latest_s = raw_j, now_s, now_s

    def forget(self) -> None:
        """Forget the readings, because time was interrupted or the counter was reset; they say nothing about the age of
        later values.
        """
        self._other_s, self._raw_j = -math.inf, None
        self.phase.forget()

    def _learn(self, low_s: float, high_s: float) -> None:
        self._observations += 1
        self._least_high_s = min(self._least_high_s, high_s)
        if low_s > self._most_low_s:
            self._most_low_s, self._longest_high_s = low_s, high_s
        if self._observations >= _ENOUGH:
            # One period explains all that was seen, unless some interval was longer than another can have been.
            regular = self._most_low_s <= self._least_high_s
            if regular and not self.measured:
                self.phase.learn(self._most_low_s, self._least_high_s)
            self._known_s = self._least_high_s if regular else self._longest_high_s
