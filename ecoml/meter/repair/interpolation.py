"""Interpolation: the energy that a counter has counted since its last update and does not show yet.

    t_k     time of the last update (`phase.py`), known to ± d, at which E_k was counted
    P(t)    power: a factor times the power read with the counter, or times 1; the factor is learnt from the updates
    shown   the figure at the last reading, + ∫ P dt since then, but limited to
            E_k + ∫ P dt from t_k ± d to now

An update corrects the figure: a shortfall is added at once; an excess is worked off while the figure continues to grow
at a part of the power. The figure never decreases, windows cut from it sum to what the counter counts, and no window
has zero energy.

Each update also shows the error of the power since the update before, in W. If the errors come in no order, the next
one exceeds the highest of the last N with a probability of 1 / (N + 1).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

from ecoml.meter.repair.ticks import Ticks

_JUDGED = 20  # N
_READ, _UNREAD = 0.05, 0.2  # of the power, if it is read or not: what comes and goes between updates is in no error
_SLOW = 0.1  # of the power: what the figure grows with while it is ahead
_READ_PARTS, _SHORTEST_S = 4.0, 0.01  # readings in a period, unless they were closer together than that
_EARLY = 0.02  # of a period: an update comes no earlier than that
_KEPT = 0.8  # of what a factor, or the error it led to, was learnt from, at each update


class _Course:
    """One way to derive the power between two readings, up to a factor.

    Args:
        signal: Function of the powers read at both readings.
        factor: The factor until an update is seen; 0 for a course that gives nothing until then.
        kept: Share of the earlier observations of the factor that is kept at each update.

    Attributes:
        factor: Counted joules per unit of the integral.
        since: ∫ signal dt since the last update; NaN if a power was not read.
        error_w: The recent error of the power.
    """

    def __init__(self, signal: Callable[[float, float], float], factor: float, kept: float) -> None:
        self.signal = signal
        self.factor = factor
        self.since = 0.0
        self.error_w = math.inf
        self._kept = kept
        self._counted_j = self._integral = 0.0

    def settle(self, counted_j: float, elapsed_s: float) -> float:
        """Process an update that came this long after the one before; returns the error of the power, ∞ if there was no
        power.
        """
        if math.isnan(self.since):
            self.error_w, self._counted_j, self._integral = math.inf, 0.0, 0.0
            return math.inf
        error_w = abs(counted_j - self.factor * self.since) / elapsed_s if self.factor > 0 else math.inf
        known = math.isfinite(self.error_w)
        self.error_w = _KEPT * self.error_w + (1 - _KEPT) * error_w if known else error_w
        self._counted_j = self._kept * self._counted_j + counted_j
        self._integral = self._kept * self._integral + self.since
        if self._integral > 0:
            self.factor = self._counted_j / self._integral
        return error_w


class AsCounted:
    """The figure of a counter that updates so often that it needs no interpolation."""

    def __init__(self) -> None:
        self.shown_j = self.stray_j = 0.0
        self.spread_w = math.inf

    def age_s(self, now_s: float) -> float:  # noqa: ARG002 - as Interpolation's
        """Zero: the figure is not interpolated."""
        return math.inf

    def wait_s(self, now_s: float) -> float | None:  # noqa: ARG002 - as Interpolation's
        """Nothing is to be seen between its updates."""
        return None

    def forget(self) -> None:
        """Do nothing: nothing is stored."""

    def suffices(self, now_s: float) -> bool:  # noqa: ARG002 - as Interpolation's
        """False: it shows everything itself."""
        return False

    def see(self, counted_j: float, *_: object, new: bool, looked: bool = True) -> None:  # noqa: ARG002 - as above
        """Process a reading."""
        self.shown_j = counted_j


class Interpolation:
    """A counter's figure between its updates.

    Args:
        ticks: When the counter updates.

    Attributes:
        shown_j: The figure; never decreases.
        stray_j: Error of the figure that does not depend on the power.
    """

    def __init__(self, ticks: Ticks) -> None:
        self.shown_j = self.stray_j = 0.0
        self._ticks = ticks
        self._tick_s, self._tick_j = math.nan, 0.0
        self._read_s, self._read_w = math.nan, math.nan
        self._looked_s = math.nan
        self._power_w = 0.0
        self._courses = (
            _Course(lambda before_w, now_w: now_w, 1.0, _KEPT),  # noqa: ARG005 - a step just after the reading before
            _Course(lambda before_w, now_w: (before_w + now_w) / 2, 1.0, _KEPT),  # a straight line between the two
            _Course(lambda before_w, now_w: 1.0, 0.0, 0.0),  # noqa: ARG005 - the same since the last update
        )
        self._errors_w: deque[float] = deque(maxlen=_JUDGED)

    @property
    def spread_w(self) -> float:
        """Possible error of the power; ∞ until enough updates were seen."""
        if len(self._errors_w) < _JUDGED:
            return math.inf
        return max(*self._errors_w, (_UNREAD if math.isnan(self._read_w) else _READ) * self._power_w)

    def age_s(self, now_s: float) -> float:
        """Largest possible time since the last update; ∞ if unknown."""
        age_s = now_s - self._tick_s + self._ticks.phase.within_s
        return age_s if age_s <= self._ticks.foreseen_s else math.inf

    def wait_s(self, now_s: float) -> float | None:
        """How long to wait for the next reading, for the power or the time of an update; None: for none.

        The reading at the foreseen time of an update halves what is not known of this time.
        """
        wait_s = self._ticks.period_s / _READ_PARTS
        if not self._ticks.measured or wait_s < _SHORTEST_S:
            return None
        due_s = self._tick_s + self._ticks.phase.period_s - now_s
        return due_s if 0 < due_s < wait_s else wait_s

    def forget(self) -> None:
        """Start again, because counted and lost energy cannot be told apart."""
        self._tick_s = self._read_s = self._looked_s = math.nan

    def suffices(self, now_s: float) -> bool:
        """Whether no update can have come since the last one that was seen: the power alone is then worth a reading."""
        ticks, phase = self._ticks, self._ticks.phase
        slow = ticks.measured and ticks.period_s >= _READ_PARTS * _SHORTEST_S
        known = slow and math.isfinite(self.spread_w)
        return known and now_s < self._tick_s + (1 - _EARLY) * phase.period_s - phase.within_s

    def see(self, counted_j: float, now_s: float, power_w: float, *, new: bool, looked: bool = True) -> None:
        """Process a reading.

        Args:
            counted_j: The energy counted at the last update.
            now_s: The time of the reading.
            power_w: The power at that time; NaN if it was not read.
            new: Whether an update came since the last reading.
            looked: Whether the counter was read, and not the power alone.
        """
        foreseen_s, phase = self._ticks.foreseen_s, self._ticks.phase
        passed_s = now_s - self._read_s
        if passed_s == 0 and not new:
            return
        before_w = power_w if math.isnan(self._read_w) else self._read_w
        signals = [course.signal(before_w, power_w) for course in self._courses]
        if new:
            phase.see(self._looked_s, now_s, foreseen_s)
            self._settle(counted_j, phase.tick_s, signals)
        lasted_s = max(0.0, min(now_s, self._tick_s + foreseen_s) - max(self._tick_s, self._read_s))
        for course, signal in zip(self._courses, signals, strict=True):
            course.since += lasted_s * signal
        if looked:
            self._looked_s = now_s
        best = self._best
        self._power_w = best.factor * best.signal(before_w, power_w)
        about_j = counted_j + best.factor * best.since
        within_j = 0.0 if math.isnan(self._tick_s) else phase.within_s * self._power_w
        low_j, high_j = max(counted_j, about_j - within_j), about_j + within_j
        step_j = self._power_w * passed_s if passed_s > 0 else 0.0
        goal_j = self.shown_j + step_j
        # Over a long time the power may have been so wrong that the update's time tells more.
        vague = best.error_w * passed_s > within_j
        best_j = about_j if vague else min(high_j, max(low_j, goal_j))
        overdue = now_s - self._tick_s > 2 * self._ticks.bound_s
        self.shown_j = max(best_j, self.shown_j + (0.0 if overdue else _SLOW * step_j))
        self.stray_j = max(self.shown_j - low_j, high_j - self.shown_j)
        self._read_s, self._read_w = now_s, power_w

    @property
    def _best(self) -> _Course:
        """The course with the smallest recent error. At constant power all are right, and the one that uses the power
        read will see a change.
        """
        *read, constant = self._courses
        known = [course for course in read if not math.isnan(course.since)]
        best = min(known, key=lambda course: course.error_w, default=constant)
        return best if best.error_w <= constant.error_w + _READ * self._power_w else constant

    def _settle(self, counted_j: float, tick_s: float, signals: list[float]) -> None:
        """Process an update that came between the last reading and this one."""
        best, elapsed_s = self._best, tick_s - self._tick_s
        for course, signal in zip(self._courses, signals, strict=True):
            course.since += max(0.0, tick_s - self._read_s) * signal
            if elapsed_s > 0:
                error_w = course.settle(counted_j - self._tick_j, elapsed_s)
                if course is best and self._ticks.measured and error_w < math.inf:
                    self._errors_w.append(error_w)
            course.since = 0.0
        self._tick_s, self._tick_j = tick_s, counted_j
