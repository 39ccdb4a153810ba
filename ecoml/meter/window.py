"""Windows on a meter's snapshots: they cost nothing while they are open, and laps sum to the whole."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Protocol, Self

from ecoml.energy import EnergyByDomain, Provenance
from ecoml.meter.repair.gauge import Reading

_NOTEWORTHY = 0.01


@dataclass(frozen=True, slots=True)
class Instant:
    """All gauges at one instant.

    Attributes:
        at_s: When.
        readings: One per gauge, in their order.
        gaps: Number of gaps recorded so far.
        failures: What fails at this instant.
    """

    at_s: float
    readings: tuple[Reading, ...]
    gaps: int
    failures: tuple[str, ...]


class Readings(Protocol):
    """What windows are cut from."""

    def snapshot(self, *, aligned: bool = False) -> Instant:
        """All gauges now; `aligned`: each of them as soon as it is new, if that is within 2 ms."""

    def between(self, first: Instant, last: Instant) -> EnergyByDomain:
        """The energy between two snapshots."""

    def claimed_s(self, first: Instant, last: Instant) -> dict[str, float]:
        """Seconds between them by domain, each for the share of it that this process claims."""


class HostWindow:
    """Energy between two snapshots of a meter; fulfils `ecoml.meter.base.Window`. Any thread may use it.

    It is open from the start; as a context manager it opens anew on entry and closes on exit. Laps go on from one
    another's very readings, and the lap after closing reaches up to the close: laps always sum to the window.

    As a context manager it waits for the counters' next update at either end, up to 2 ms: at the opening always, at
    the end where its edges would be more than a hundredth of it.
    """

    def __init__(self, meter: Readings) -> None:
        self._meter = meter
        self._lock = threading.Lock()
        self._open()

    def _open(self, *, aligned: bool = False) -> None:
        self._first = self._lapped = self._meter.snapshot(aligned=aligned)
        self._last: Instant | None = None

    def __enter__(self) -> Self:
        with self._lock:
            self._open(aligned=True)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """End the window now. May be called twice; the first counts."""
        with self._lock:
            if self._last is None:
                last = self._meter.snapshot()
                parts = self._meter.between(self._first, last).domains.values()
                short = any(part.edge_j > _NOTEWORTHY * part.energy_j for part in parts)
                self._last = self._meter.snapshot(aligned=True) if short else last

    def lap(self) -> EnergyByDomain:
        """Energy since the window opened or since the last lap; the next lap starts at this very reading."""
        with self._lock:
            first, self._lapped = self._lapped, self._last or self._meter.snapshot()
            return self._meter.between(first, self._lapped)

    def claimed_s(self) -> dict[str, float]:
        """Seconds from the opening to the last lap by domain, each for the share of it that this process claims.

        Idling is claimed by all processes of ecoml that meter the domain, as its joules are.
        """
        with self._lock:
            return self._meter.claimed_s(self._first, self._lapped)

    def energy(self) -> EnergyByDomain:
        """Energy from opening to closing (to now, while it is open), all of one reading."""
        with self._lock:
            return self._meter.between(self._first, self._last or self._meter.snapshot())

    @property
    def energy_j(self) -> float:
        """Joules from opening to closing (to now, while it is open)."""
        return self.energy().energy_j

    @property
    def by_domain(self) -> dict[str, float]:
        """Joules by domain."""
        return self.energy().by_domain

    @property
    def uncertainty_j(self) -> float:
        """Half-width in joules."""
        return self.energy().uncertainty_j

    @property
    def provenance(self) -> Provenance:
        """That of the weakest domain."""
        return self.energy().provenance

    @property
    def gaps(self) -> tuple[str, ...]:
        """What could not be read, one sentence each."""
        return self.energy().gaps
