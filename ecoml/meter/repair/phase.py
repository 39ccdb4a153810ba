"""The time of a counter's last update, inferred from readings at other times.

A value that is shown at t₁ and was not shown at t₀ came with an update in (t₀, t₁], at most one period ago. This update
also lies a whole number of periods after the one before. Both facts together narrow its time further and further, and
the number of periods between two distant updates gives the length of a period.
"""

from __future__ import annotations

import math

_LEAST = _JITTER = 0.01  # of a period: no update is taken to be known better than that, or to be so punctual
_LOCKED = 0.25  # of a period: an update known no better than that tells nothing of when the next one comes


class Phase:
    """The time of the last update, as a middle and a half-width.

    Attributes:
        period_s: The update period; NaN until it is learnt.
        tick_s: The time of the update that brought the current value; NaN if unknown.
        within_s: Half-width of that time.
    """

    def __init__(self) -> None:
        self.period_s = self.tick_s = math.nan
        self.within_s = math.inf
        self._period_within_s = math.inf
        self._learnt = math.nan, math.inf  # the period and its half-width, as they were told
        self._first = self._last = math.nan, math.inf  # updates told from those beside them: middle and half-width
        self._count = 0  # periods between the two

    def learn(self, low_s: float, high_s: float) -> None:
        """Learn that the period lies between these bounds."""
        middle_s = (low_s + high_s) / 2
        self._learnt = self.period_s, self._period_within_s = middle_s, (high_s - low_s) / 2 + _LEAST * middle_s

    def forget(self) -> None:
        """Forget the last update; keep the period."""
        self.tick_s, self.within_s = self._last = math.nan, math.inf

    def see(self, before_s: float, now_s: float, most_s: float) -> None:
        """Learn that the value changed between these two readings, and at most `most_s` ago."""
        low_s = max(now_s - min(most_s, self.period_s + self._period_within_s), before_s)
        self.tick_s, self.within_s = (low_s + now_s) / 2, (now_s - low_s) / 2
        fits = self._fits(low_s, now_s)
        if fits is None:
            self._begin()
        elif not fits:
            self.period_s, self._period_within_s = self._learnt
            self._begin()
        elif len(fits) == 1:
            number, first_s, last_s = fits[0]
            self.tick_s, self.within_s = (first_s + last_s) / 2, max((last_s - first_s) / 2, _LEAST * self.period_s)
            self._last = self.tick_s, self.within_s
            self._count += number
            self._narrow()

    def _fits(self, low_s: float, now_s: float) -> list[tuple[int, float, float]] | None:
        """Possible numbers of periods since the last update, each with its range of times; None if no prediction is
        possible.
        """
        last_s, last_within_s = self._last
        about = (now_s - last_s) / self.period_s
        if math.isnan(about) or last_within_s + about * self._period_within_s > _LOCKED * self.period_s:
            return None
        fits = []
        jitter_s = _JITTER * self.period_s
        for number in range(max(1, int(about) - 1), int(about) + 2):
            foreseen_s = last_s + number * self.period_s
            within_s = last_within_s + number * self._period_within_s
            first_s, end_s = max(low_s, foreseen_s - within_s), min(now_s, foreseen_s + within_s)
            if first_s <= end_s + jitter_s:
                fits.append((number, first_s, end_s))
        return fits

    def _begin(self) -> None:
        self._first = self._last = self.tick_s, self.within_s
        self._count = 0

    def _narrow(self) -> None:
        mean_s = (self._last[0] - self._first[0]) / self._count
        within_s = (self._last[1] + self._first[1]) / self._count
        low_s = max(mean_s - within_s, self.period_s - self._period_within_s)
        high_s = min(mean_s + within_s, self.period_s + self._period_within_s)
        if low_s <= high_s:
            self.period_s, self._period_within_s = (low_s + high_s) / 2, (high_s - low_s) / 2
