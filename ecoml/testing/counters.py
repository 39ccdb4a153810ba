"""A simulated energy counter: what the hardware shows, and the true energy.

It updates as hardware does: a reading is the energy up to the last update, in the hardware's steps. It can wrap, be
reset, stop, and fail in every way that hardware and permissions fail.
"""

from __future__ import annotations

import math
from collections.abc import Callable

Power = float | Callable[[float], float]
"""Watts, or watts as a function of the clock's seconds."""

RAPL_STEP_J = 2.0**-14
"""The resolution of most RAPL counters: 61 µJ."""

_STEP_S = 0.05  # a power that changes is taken as constant over this


class SimulatedCounter:
    """One energy counter and its true energy.

    Args:
        power_w: The domain's power; may be set at any time.
        period_s: Time between two updates.
        start_j: Raw value at the start.
        modulus_j: Joules after which it wraps; None: never.
        phase_s: Time of the first update after the clock's zero.
        step_j: Resolution.

    Attributes:
        true_j: Joules drawn since the start.
        now_w: The last power.
        failing: Whether it cannot be read.
        garbage: The text that is read in place of a number while it fails; None: an error.
        stuck: Whether it has stopped, and repeats its last value.
    """

    def __init__(
        self,
        power_w: Power,
        period_s: float,
        start_j: float,
        modulus_j: float | None = None,
        phase_s: float = 0.0,
        step_j: float = 0.0,
    ) -> None:
        self.power_w = power_w
        self.period_s = period_s
        self.modulus_j = modulus_j
        self.true_j = 0.0
        self.failing = False
        self.garbage: str | None = None
        self.stuck = False
        self.step_j = step_j
        self.now_w = 0.0
        self._phase_s = phase_s
        self._start_j = start_j
        self._ticked_j = 0.0
        self._ticks = -1

    @property
    def raw_j(self) -> float:
        """The value that the hardware shows."""
        raw_j = self._start_j + self._ticked_j
        if self.step_j:
            raw_j = math.floor(raw_j / self.step_j) * self.step_j
        return raw_j if self.modulus_j is None else raw_j % self.modulus_j

    def reset(self) -> None:
        """Set the raw value to zero; the true energy continues."""
        self._start_j = -self._ticked_j

    def lose(self) -> None:
        """Continue after a stop, without the energy of that time."""
        self._start_j -= self.true_j - self._ticked_j
        self._ticked_j = self.true_j
        self.stuck = False

    def advance(self, start_s: float, end_s: float) -> None:
        """Draw power from one instant to the next."""
        steps = max(1, math.ceil((end_s - start_s) / _STEP_S)) if callable(self.power_w) else 1
        for step in range(steps):
            self._draw(
                start_s + (end_s - start_s) * step / steps,
                start_s + (end_s - start_s) * (step + 1) / steps,
            )

    def _draw(self, start_s: float, end_s: float) -> None:
        self.now_w = self.power_w((start_s + end_s) / 2) if callable(self.power_w) else self.power_w
        ticks = math.floor((end_s - self._phase_s) / self.period_s + 1e-9)
        tick_s = self._phase_s + ticks * self.period_s
        if tick_s >= start_s and ticks > self._ticks and not self.stuck:
            self._ticked_j = self.true_j + self.now_w * (min(tick_s, end_s) - start_s)
        self._ticks = ticks  # an update that comes when two steps meet is one
        self.true_j += self.now_w * (end_s - start_s)
