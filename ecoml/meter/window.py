"""Windows on a meter's snapshots: an open window costs nothing, and its laps sum to its energy."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Protocol, Self

from ecoml.energy import EnergyByDomain, Provenance
from ecoml.meter.repair.gauge import Reading

_NOTEWORTHY = 0.01


@dataclass(frozen=True, slots=True)
class Instant:
    """The readings of all gauges at one instant.

    Attributes:
        at_s: The time.
        readings: One per gauge, in their order.
        gaps: Number of gaps recorded so far.
        failures: The faults at this instant.
    """

    at_s: float
    readings: tuple[Reading, ...]
    gaps: int
    failures: tuple[str, ...]


class Readings(Protocol):
    """What a window needs of a meter."""

    def snapshot(self, *, aligned: bool = False) -> Instant:
        """The readings of all gauges now; with `aligned`, each gauge waits up to 2 ms for its next update."""

    def between(self, first: Instant, last: Instant) -> EnergyByDomain:
        """The energy between two snapshots."""

    def claimed_s(self, first: Instant, last: Instant) -> dict[str, float]:
        """Seconds between two snapshots by domain, weighted by the share that this process counts."""


class HostWindow:
    """Energy between two snapshots of a meter; implements `ecoml.meter.base.Window`. Thread-safe.

    A window is open from the start; as a context manager it opens again on entry and closes on exit. Each lap starts at
    the reading that ended the lap before, and the lap after the close ends at the close: laps always sum to the window.

    As a context manager the window waits up to 2 ms for the counters' next update: always at the opening, and at the
    close if its edges would be more than a hundredth of its energy.
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
        """Energy since the window opened or since the last lap; the next lap starts at the same reading."""
        with self._lock:
            first, self._lapped = self._lapped, self._last or self._meter.snapshot()
            return self._meter.between(first, self._lapped)

    def claimed_s(self) -> dict[str, float]:
        """Seconds from the opening to the last lap by domain, weighted by the share that this process counts.

        All ecoml processes that meter a domain share its idle time, as they share its energy.
        """
        with self._lock:
            return self._meter.claimed_s(self._first, self._lapped)

    def energy(self) -> EnergyByDomain:
        """Energy from the opening to the close, or to now while the window is open, from a single reading."""
        with self._lock:
            return self._meter.between(self._first, self._last or self._meter.snapshot())

    @property
    def energy_j(self) -> float:
        """Joules from the opening to the close, or to now while the window is open."""
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
        """The provenance of the weakest domain."""
        return self.energy().provenance

    @property
    def gaps(self) -> tuple[str, ...]:
        """What could not be read, one sentence each."""
        return self.energy().gaps
