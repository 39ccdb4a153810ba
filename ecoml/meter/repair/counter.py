"""Turns raw hardware figures into energy that never decreases: corrects cumulative counters, integrates power readings.

Nothing in this module reads hardware, a file or a clock.

    counter, plausible rise     E += raw₂ − raw₁                       if 0 ≤ raw₂ − raw₁ ≤ P_max · (Δt + slack)
    counter, wrap               E += raw₂ − raw₁ + modulus             if that is plausible in the same sense
    counter, anything else      a reset: nothing is counted, doubt += P · Δt, and a gap is reported
    counter that stood still    doubt += P · Δt − (raw₂ − raw₁)        when it moves again, and a gap is reported
    power                       E += ½ (P₁ + P₂) · Δt                  doubt += ½ |P₂ − P₁| · Δt
    power that is held for T    the same                               doubt += |P₂ − P₁| · T, if that is more

Between the updates of a slow counter, its energy is interpolated (`interpolation.py`).

P_max: more than the domain can draw, W; P: its power limit, or the highest mean power seen so far, W; slack: the time
for which the value stood, one update period and 10 ms.
"""

from __future__ import annotations

import math

from ecoml.meter.repair.gauge import Reading
from ecoml.meter.repair.interpolation import AsCounted, Interpolation
from ecoml.meter.repair.ticks import Ticks

_SLACK_S = 0.01  # a clock and a counter are not read at one instant
_SPAN_PERIODS = 10  # a mean power over fewer update periods is wrong by more than a tenth
_ROUNDED = 1.0 + 1e-6  # times a difference of two clock readings is no less than the time between them
_UNLIKELY = 2.0  # a fall that takes more than this times the highest power for a wrap may be a reset
_NOTEWORTHY = 0.05  # and more than this share of a wrap
_LONGEST_STEP_S = 2.0  # power that was read less often than this is interpolated, not sampled


class Counter:
    """A corrected cumulative counter.

    All wraps are found if the counter is read at least every `modulus_j / max_power_w` seconds. If it is read less
    often, it counts the smallest possible number of wraps, treats the rest as uncertain, and says so.

    Args:
        name: The name in messages.
        period_s: The assumed time between two updates, until it is learnt.
        longest_s: Upper bound of this time until it is learnt.
        max_power_w: More than it can rise in a second.
        modulus_j: Joules after which it wraps; None if it does not wrap.
        limit_w: The power that the host allows, with a margin; None if the host does not say.
        resolution_j: Its smallest step.
        interpolated: Whether it is interpolated between its updates.

    Attributes:
        ticks: Learns when it updates.
    """

    after_failure = "the energy it counted in this time is included"

    def __init__(
        self,
        name: str,
        period_s: float,
        longest_s: float,
        max_power_w: float,
        modulus_j: float | None = None,
        limit_w: float | None = None,
        resolution_j: float = 0.0,
        *,
        interpolated: bool = False,
    ) -> None:
        self.energy_j = 0.0
        self.doubt_j = 0.0
        self.ticks = Ticks(period_s, longest_s)
        self.resolution_j = resolution_j
        self._name = name
        self._max_power_w = max_power_w
        self._modulus_j = modulus_j
        self._limit_w = limit_w
        self._raw_j: float | None = None
        self._read_s = 0.0
        self._interrupted: str | None = None
        self._span_s, self._span_j = 0.0, 0.0
        self._peak_w: float | None = None
        self._burst_w = 0.0  # the highest mean power from an update to a later one, unless a reset was between them
        self._updates = 0
        self._shown = Interpolation(self.ticks) if interpolated else AsCounted()

    @property
    def _power_w(self) -> float:
        """The host's power limit; else the highest mean power seen so far, if there is one."""
        if self._limit_w is not None:
            return max(self._limit_w, self._peak_w or 0.0)
        return self._max_power_w if self._peak_w is None else self._peak_w

    def reading(self, now_s: float, seen: int = 1, failing: bool = False) -> Reading:
        """The reading that the values so far amount to."""
        ticks, shown = self.ticks, self._shown
        return Reading(
            shown.shown_j,
            self.doubt_j,
            now_s,
            ticks.stale_s(now_s),
            ticks.still_s(now_s),
            ticks.bound_s,
            self._edge_w(now_s),
            self._max_power_w if self._limit_w is None else self._power_w,
            self.resolution_j,
            0.0,
            seen,
            failing,
            self._updates,
            ticks.period_s,
            shown.shown_j - self.energy_j,
            shown.stray_j,
            shown.age_s(now_s),
            shown.spread_w,
        )

    def wait_s(self, now_s: float) -> float | None:
        """How long to wait for a reading that tells when it updates, or its power in between; None: for none."""
        learns_s = self.ticks.wait_s(now_s)
        return self._shown.wait_s(now_s) if learns_s is None else learns_s

    def stuck(self, now_s: float) -> str | None:
        """The message that it has stopped; None if it has not."""
        still_s = self.ticks.still_s(now_s)
        if self._raw_j is None or still_s < self.ticks.stuck_after_s:
            return None
        return f"the counter of {self._name} has stopped at {self._raw_j:.6g} J"

    def suffices(self, now_s: float) -> bool:
        """Whether it was read so recently that between its updates the power alone is worth a reading."""
        return self._interrupted is None and self._shown.suffices(now_s)

    def glance(self, now_s: float, power_w: float) -> None:
        """Process the power alone; its time is never before that of the last value."""
        self._shown.see(self.energy_j, now_s, power_w, new=False, looked=False)

    def interrupt(self, *, clock: bool) -> None:
        """The clock was set, or the machine slept, between this reading and the next.

        Args:
            clock: Whether the elapsed time is unknown; else the counter may have been reset.
        """
        self._interrupted = "clock" if clock else "sleep"

    def advance(self, raw_j: float, now_s: float, power_w: float = math.nan) -> str | None:
        """Process a raw value; its time is never before that of the last one.

        Args:
            raw_j: The value.
            now_s: The time.
            power_w: The power at that time; NaN if it was not read.

        Returns:
            A message if something went wrong since the last value, else None.
        """
        before_j, energy_j = self._raw_j, self.energy_j
        interrupted, self._interrupted = self._interrupted, None
        gap = None
        if interrupted:
            self.ticks.forget()
        if before_j is not None:
            elapsed_s = now_s - self._read_s
            stood_s = self.ticks.still_s(self._read_s)
            gap = self._rise(before_j, raw_j, math.inf if interrupted == "clock" else elapsed_s)
            rise_j = self.energy_j - energy_j
            if interrupted == "sleep":
                self.doubt_j += rise_j
            elif gap is None and raw_j != before_j and stood_s >= self.ticks.stuck_after_s:
                lost_j = max(0.0, self._power_w * (stood_s + elapsed_s + self.ticks.bound_s) - rise_j)
                self.doubt_j += lost_j
                gap = (
                    f"the counter of {self._name} stood still for {stood_s:.3g} s: up to {lost_j:.3g} J are not counted"
                )
            # It was drawn since the update that brought the value before: a period ago, if not longer.
            bound_s = self.ticks.bound_s
            mean_w = rise_j / min(max(bound_s, self.ticks.stale_s(now_s)), elapsed_s + stood_s + bound_s)
            if not interrupted:
                self._burst_w = max(self._burst_w, mean_w)
        self._raw_j, self._read_s = raw_j, now_s
        self.ticks.see(raw_j, now_s)
        new = before_j is not None and raw_j != before_j
        self._updates += new
        if interrupted or gap is not None:
            self._shown.forget()
        self._shown.see(self.energy_j, now_s, power_w, new=new)
        if before_j is None or interrupted or gap is not None:
            self._span_s, self._span_j = now_s, self.energy_j
        else:
            self._track(now_s)
        return gap

    def _rise(self, before_j: float, raw_j: float, elapsed_s: float) -> str | None:
        """Count the energy between two raw values; the elapsed time is ∞ if unknown."""
        modulus_j, timed = self._modulus_j, math.isfinite(elapsed_s)
        # What is shown late comes at once: also all that was drawn while the value before stood.
        held_s = self.ticks.still_s(self._read_s) + self.ticks.bound_s
        slack_s = held_s + _SLACK_S
        most_j = self._max_power_w * (elapsed_s + slack_s) if timed else (modulus_j or math.inf) / 2
        rise_j = raw_j - before_j
        fell = rise_j < 0
        if fell and modulus_j is not None:
            rise_j += modulus_j
        within = f"within {elapsed_s:.3g} s" if timed else "while the clock was set"
        if not 0 <= rise_j <= most_j:
            lost_j = self._power_w * ((elapsed_s if timed else 0.0) + held_s)
            self.doubt_j += lost_j
            self.ticks.forget()
            return (
                f"{self._name} jumped from {before_j:.6g} J to {raw_j:.6g} J {within}: it was reset, and about "
                f"{lost_j:.3g} J are not counted"
            )
        self.energy_j += rise_j
        if not timed or modulus_j is None:
            return None
        if (unseen := int((self._max_power_w * (elapsed_s + _SLACK_S) - rise_j) // modulus_j)) > 0:
            self.doubt_j += unseen * modulus_j
            return (
                f"{self._name} was not read for {elapsed_s:.3g} s, "
                f"in which its counter may have wrapped {unseen} more time{'s' if unseen > 1 else ''}"
            )
        usual_j = _UNLIKELY * (self._peak_w or math.inf) * (elapsed_s + slack_s)
        if fell and rise_j > max(usual_j, _NOTEWORTHY * modulus_j):
            self.doubt_j += rise_j
            self.ticks.forget()
            return (
                f"{self._name} fell from {before_j:.6g} J to {raw_j:.6g} J {within}: {rise_j:.4g} J are counted, "
                "as after a wrap; but it usually draws less, and may have been reset"
            )
        return None

    def _track(self, now_s: float) -> None:
        length_s = now_s - self._span_s
        if length_s * _ROUNDED >= _SPAN_PERIODS * self.ticks.bound_s:
            self._peak_w = max(self._peak_w or 0.0, (self.energy_j - self._span_j) / length_s)
            self._span_s, self._span_j = now_s, self.energy_j

    def _edge_w(self, now_s: float) -> float:
        """The power assumed for the energy that the counter does not show yet."""
        if self._limit_w is not None:
            return self._power_w
        length_s, counted_j = now_s - self._span_s, self.energy_j - self._span_j
        if self._peak_w is None:  # too little was seen for a mean that can be trusted
            return (
                min(self._max_power_w, max(self._burst_w, _UNLIKELY * counted_j / length_s))
                if counted_j > 0 < length_s
                else self._max_power_w
            )
        # What was counted within a time was drawn within that time and one update period.
        return max(self._peak_w, self._burst_w, counted_j / (length_s + self.ticks.bound_s))


class PowerIntegral:
    """Power readings, integrated over time by the trapezium rule.

    Args:
        name: The name in messages.
        averaged_s: The time over which the hardware averages a reading.
        max_power_w: More than it can draw.
        held_s: The time for which a reading is repeated before there is a new one: the largest delay.
    """

    after_failure = "its power in between is interpolated"
    ticks: Ticks | None = None
    resolution_j: float | None = None

    def __init__(self, name: str, averaged_s: float, max_power_w: float, held_s: float = 0.0) -> None:
        self.energy_j = 0.0
        self.doubt_j = 0.0
        self._name = name
        self._averaged_s = averaged_s + held_s
        self._held_s = held_s
        self._max_power_w = max_power_w
        self._interrupted = False
        self._last_w: float | None = None
        self._peak_w = 0.0
        self._read_s = 0.0

    def reading(self, now_s: float, seen: int = 1, failing: bool = False) -> Reading:
        """The reading that the values so far amount to."""
        lag_s = self._averaged_s + now_s - self._read_s
        power_w = self._peak_w if self._last_w is not None else self._max_power_w
        most_w = self._max_power_w
        figures = self.energy_j, self.doubt_j, now_s, lag_s, 0.0, lag_s, power_w, most_w, 0.0, 0.0, seen, failing
        return Reading(*figures, updates=seen)

    def wait_s(self, now_s: float) -> float | None:  # noqa: ARG002 - as Counter's
        """It is polled as often as it has to be."""
        return None

    def stuck(self, now_s: float) -> str | None:  # noqa: ARG002 - as Counter's
        """None: a constant power is no fault."""
        return None

    def interrupt(self, *, clock: bool) -> None:  # noqa: ARG002 - as Counter's
        """As `Counter.interrupt`: the energy since the last reading is not integrated."""
        self._interrupted = True

    def advance(self, power_w: float, now_s: float, _power_w: float = math.nan) -> str | None:
        """Process a power reading, as `Counter.advance`."""
        gap = None
        if self._last_w is not None and not self._interrupted:
            elapsed_s = now_s - self._read_s
            step_j = 0.5 * (self._last_w + power_w) * elapsed_s
            self.energy_j += step_j
            self.doubt_j += abs(power_w - self._last_w) * max(0.5 * elapsed_s, self._held_s)
            if elapsed_s > _LONGEST_STEP_S:
                self.doubt_j += step_j
                gap = f"the power of {self._name} was not sampled for {elapsed_s:.3g} s, and is interpolated"
        self._interrupted = False
        self._last_w, self._read_s = power_w, now_s
        self._peak_w = max(self._peak_w, power_w)
        return gap
