"""Gauges on hardware: a reader of the hardware, combined with the correction of its raw figures."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace

from ecoml.energy import Provenance
from ecoml.meter.base import Source
from ecoml.meter.repair.counter import Counter, PowerIntegral
from ecoml.meter.repair.gauge import Reading

_ALIGN_S = 2e-3
_ALIGN_STEP_S = 5e-5  # asleep between two looks: a window's edge is known no better than that, and costs a tenth
_ALIGN_READS = 1000  # whatever the clock says


def _nothing() -> None:
    pass


def _unknown() -> float:
    return math.nan


class Sensor:
    """A hardware figure that is read, corrected, and may fail; implements `Gauge`.

    Args:
        domain: The domain it covers.
        provenance: Its provenance.
        gain: Half-width of its own error, as a share.
        poll_s: Longest time between two readings without a loss; None: any.
        mend: Turns the raw figures into energy.
        sense: Reads the hardware: J for a `Counter`, W for a `PowerIntegral`. It may raise any error.
        close: Frees the hardware.
        power_w: Returns the power that was read with it; NaN if it was not.
        glance: Reads the power alone, if that takes much less time; it may raise any error.
    """

    def __init__(
        self,
        domain: str,
        provenance: Provenance,
        gain: float,
        poll_s: float | None,
        mend: Counter | PowerIntegral,
        sense: Callable[[], float],
        close: Callable[[], None] = _nothing,
        power_w: Callable[[], float] = _unknown,
        glance: Callable[[], float] | None = None,
    ) -> None:
        self.domain = domain
        self.provenance = provenance
        self.gain = gain
        self.poll_s = poll_s
        self.failure: str | None = None
        self._mend = mend
        self._sense = sense
        self._close = close
        self._power_w = power_w
        self._glance = glance
        self._seen = 0
        self._failing = False
        self._failed_s = 0.0
        self._news: list[str] = []

    def read(self, now_s: float) -> Reading:
        """The energy now."""
        mend = self._mend
        if self._glanced(now_s):
            return mend.reading(now_s, self._seen, failing=False)
        try:
            raw = self._sense()
        except Exception as error:
            if not self._failing:
                self._failing, self._failed_s = True, now_s
            self.failure = f"{self.domain} cannot be read: {_reason(error)}"
        else:
            gap = mend.advance(raw, now_s, self._power_w())
            if gap is not None:
                self._news.append(gap)
            if self._failing:
                outcome = mend.after_failure if self._seen else "its energy is counted from now on"
                self._news.append(f"{self.failure} (for {now_s - self._failed_s:.3g} s; {outcome})")
                self._failing = False
            self._seen += 1
            self.failure = mend.stuck(now_s)
        return mend.reading(now_s, self._seen, self.failure is not None)

    def _glanced(self, now_s: float) -> bool:
        """Whether the power alone was read, which is enough now."""
        mend = self._mend
        if (
            self._glance is None
            or self.failure is not None
            or not isinstance(mend, Counter)
            or not mend.suffices(now_s)
        ):
            return False
        try:
            mend.glance(now_s, self._glance())
        except Exception:  # the counter itself will tell what is wrong
            return False
        return True

    def wait_s(self, now_s: float) -> float | None:
        """Seconds to wait for a reading from which it would learn."""
        return None if self._failing else self._mend.wait_s(now_s)

    def align(self, clock: Callable[[], float]) -> None:
        """Wait for the next update if it is near, so that the next reading is new."""
        ticks = self._mend.ticks
        if ticks is None or not ticks.measured or ticks.bound_s > _ALIGN_S or self.failure is not None:
            return
        energy_j, end_s = self._mend.energy_j, clock() + _ALIGN_S
        for _ in range(_ALIGN_READS):
            self.read(now_s := clock())
            if self._mend.energy_j != energy_j or now_s > end_s:
                return
            time.sleep(_ALIGN_STEP_S)

    def interrupt(self, *, clock: bool) -> None:
        """The clock was set, or the machine slept."""
        self._mend.interrupt(clock=clock)

    def describe(self, source: Source) -> Source:
        """The source, with its period and its resolution."""
        ticks, step_j = self._mend.ticks, self._mend.resolution_j
        if ticks is None:
            return source
        return replace(source, period_s=ticks.period_s, period_measured=ticks.measured, resolution_j=step_j)

    def news(self) -> list[str]:
        """The faults since the last call that have ended."""
        news, self._news = self._news, []
        return news

    def close(self) -> None:
        """Free the hardware."""
        close, self._close = self._close, _nothing
        close()


def _reason(error: Exception) -> str:
    return f"{getattr(error, 'strerror', None) or error or type(error).__name__}"
