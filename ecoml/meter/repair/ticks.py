"""When a counter updates, learnt from the readings themselves.

    t₀    last reading that showed another value
    t₁    first reading that showed the present value
    t₂    latest reading

The update that brought the present value came after t₀, so that the value is at most now − t₀ old. When a next value
shows at t₃, its update and the one before lie at least t₂ − t₁ and at most t₃ − t₀ apart. An interval that is so
bounded to within a factor of two is an observation of the period; three of them make it known.
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
    """The updates of one counter, as far as they were seen.

    Args:
        assumed_s: The update period to begin with.
        longest_s: Longer than any such counter is known to take; the bound until the period is known.

    Attributes:
        phase: When the last update came.
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
        """Whether the period is known from observations."""
        return self._known_s is not None

    @property
    def period_s(self) -> float:
        """The update period, as it was observed; else as it is assumed."""
        return self._assumed_s if self._known_s is None else self._known_s

    @property
    def bound_s(self) -> float:
        """No update is taken to be later than this after the one before."""
        return self._longest_s if self._known_s is None else _MARGIN * self._known_s

    @property
    def foreseen_s(self) -> float:
        """The next update is expected to come no later than this after the one before."""
        return self._assumed_s if self._known_s is None else self.bound_s

    @property
    def stuck_after_s(self) -> float:
        """A counter that shows one value for so long is taken to have stopped."""
        return max(STUCK_S, STUCK_PERIODS * self.period_s)

    def stale_s(self, now_s: float) -> float:
        """How old the value shown may be; ∞ before a second value was seen."""
        return now_s - self._other_s

    def still_s(self, now_s: float) -> float:
        """For how long, at least, the value has not changed."""
        return now_s - self._first_s

    def wait_s(self, now_s: float) -> float | None:
        """How long to wait for the next reading that the period is to be learnt from; None where that is done."""
        if self.measured or now_s > self._learns_until_s:
            return None
        return max(_SHORTEST_S, (now_s - self._first_s) / _PART)

    def see(self, raw_j: float, now_s: float) -> None:
        """Take in a reading; its time never lies before that of the reading before."""
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
        """Time was interrupted, or it was reset: what was seen before tells nothing of the age of what is seen next."""
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
