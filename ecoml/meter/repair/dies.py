"""The dies of one processor; several of them may repeat the same counter."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from ecoml.meter.base import Source
from ecoml.meter.repair.gauge import Reading
from ecoml.meter.repair.sensor import Sensor

_SAME_J = 5.0  # 1 kW for 5 ms: far more than two reads of one counter lie apart
_SAME_SHARE = 1e-3  # two dies at work differ by per cents
_DECIDED_J = 500.0  # dies of their own that differ by a per cent are apart by 5 J then
_APART_S = 1e-3  # reads further apart than this are not compared


class Dies:
    """The dies of one package, counted once or summed; implements `Gauge`.

    On some processors every die repeats the package's counter, on others each has its own. Only their changes show
    which: the dies count once (the highest) until two of them differ, and from then on as their sum, including the
    past. Until they differ, or have moved together for long enough, the other dies' joules are undecided; the
    uncertainty covers them.
    """

    def __init__(self, dies: Sequence[Sensor]) -> None:
        first = dies[0]
        self.domain = first.domain
        self.provenance = first.provenance
        self.gain = first.gain
        self.poll_s = first.poll_s
        self.distinct = False
        self._decided = False
        self._dies = tuple(dies)
        self._news: list[str] = []

    @property
    def failure(self) -> str | None:
        """Why the package currently cannot be read."""
        return next((die.failure for die in self._dies if die.failure is not None), None)

    def read(self, now_s: float) -> Reading:
        """The energy now."""
        started_s = time.perf_counter()
        readings = [die.read(now_s) for die in self._dies]
        comparable = time.perf_counter() - started_s < _APART_S and not any(reading.failing for reading in readings)
        energies_j = [reading.energy_j for reading in readings]
        rest_j = sum(energies_j) - max(energies_j)
        if comparable and not self.distinct:
            self._compare(max(energies_j), min(energies_j), rest_j)
        total = sum if self.distinct else max
        return readings[0]._replace(
            energy_j=total(energies_j),
            doubt_j=sum(reading.doubt_j for reading in readings),
            stale_s=max(reading.stale_s for reading in readings),
            still_s=max(reading.still_s for reading in readings),
            period_s=max(reading.period_s for reading in readings),
            power_w=(sum if self.distinct or not self._decided else max)(reading.power_w for reading in readings),
            max_power_w=sum(reading.max_power_w for reading in readings),
            step_j=sum(reading.step_j for reading in readings),
            undecided_j=0.0 if self._decided else rest_j,
            seen=min(reading.seen for reading in readings),
            failing=any(reading.failing for reading in readings),
            updates=sum(reading.updates for reading in readings),
            ahead_j=sum(reading.ahead_j for reading in readings),
            age_s=math.inf,
            spread_w=math.inf,
        )

    def wait_s(self, now_s: float) -> float | None:
        """Seconds to wait for a reading from which it would learn."""
        return min((wait for die in self._dies if (wait := die.wait_s(now_s)) is not None), default=None)

    def align(self, clock: Callable[[], float]) -> None:
        """Do nothing: there is no instant at which all dies are new."""

    def interrupt(self, *, clock: bool) -> None:
        """The clock was set, or the machine slept."""
        for die in self._dies:
            die.interrupt(clock=clock)

    def describe(self, source: Source) -> Source:
        """The source, with its period and its resolution."""
        return self._dies[0].describe(source)

    def news(self) -> list[str]:
        """The faults since the last call that have ended."""
        news, self._news = self._news, []
        return news + [sentence for die in self._dies for sentence in die.news()]

    def close(self) -> None:
        """Free the hardware."""
        for die in self._dies:
            die.close()

    def _compare(self, most_j: float, least_j: float, rest_j: float) -> None:
        if most_j - least_j > _SAME_J + _SAME_SHARE * most_j:
            if self._decided:
                self._news.append(
                    f"the dies of {self.domain} turned out to have counters of their own: {rest_j:.4g} J are counted "
                    "now that were drawn earlier"
                )
            self.distinct = self._decided = True
        elif most_j > _DECIDED_J:
            self._decided = True
