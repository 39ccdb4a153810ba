"""A gauge: the cumulative energy of one domain, and the uncertainty of its readings.

The error of a window on a gauge is modelled as

    half-width = gain · E + (doubt₂ − doubt₁) + undecided + edges
    edges      = min(late₁ + late₂,  max(E, P_max · Δt − E))
               = spread · √(Δt · T) + |stray₂ − stray₁| + step             if less, with no update between them
    late       = max(ahead,  P · lag − ahead) + step                       for any load
               = spread · age + stray + step                               if less, once the spread is known

E: joules of the window; gain: the source's own relative error, which is the same in every window and so adds up over
windows; doubt: joules interpolated or lost so far; undecided: joules of which it is not yet known whether they belong
to the domain; lag: the largest age of the figure read at an edge; step: the resolution; ahead: joules interpolated
since the last update. P: the domain's power limit, or the highest mean power seen, W; P_max: more than it can draw, W;
Δt: length of the window; T: length of an update period. Spread, age and stray: see `interpolation.py`; these bounds
hold in at least 95 of 100 windows. The root is chosen such that the edges of consecutive windows, added in quadrature,
equal those of one window of the same total length.

The age of a figure has two upper bounds: the time since a different value was seen, and the longest update period. A
value that outlasts the period had the age of a period when it was first seen, and has aged since.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

from ecoml.energy import Energy, Provenance
from ecoml.meter.base import DeviceState, Source


class Reading(NamedTuple):
    """The state of a gauge at one instant.

    Attributes:
        energy_j: Joules since the gauge was opened; never decreases.
        doubt_j: Half-width in joules of the energy interpolated or lost so far; never decreases.
        at_s: The time of the reading.
        stale_s: Largest possible age of the figure, from the values seen; ∞ before any value.
        still_s: Smallest possible age of the figure.
        period_s: The longest update period known so far.
        power_w: The power that may have been drawn since the last update; ∞ if unknown.
        max_power_w: More than the domain can draw.
        step_j: Resolution of the figure.
        undecided_j: Joules of which it is not yet known whether they should be counted.
        seen: Number of successful readings so far.
        failing: Whether the source currently cannot be read.
        updates: Number of updates seen so far.
        update_s: Time between updates; a shorter window is a share of an update.
        ahead_j: The interpolated part of the figure, which the source does not show yet.
        stray_j: Error of this part that does not depend on the power.
        age_s: Time since the last update; ∞ if unknown.
        spread_w: Error of the power assumed for this time; ∞ if unknown.
        shared_s: Seconds so far that other processes counted, if the domain's energy is divided among processes.
    """

    energy_j: float
    doubt_j: float = 0.0
    at_s: float = 0.0
    stale_s: float = 0.0
    still_s: float = 0.0
    period_s: float = math.inf
    power_w: float = 0.0
    max_power_w: float = math.inf
    step_j: float = 0.0
    undecided_j: float = 0.0
    seen: int = 1
    failing: bool = False
    updates: int = 1
    update_s: float = 0.0
    ahead_j: float = 0.0
    stray_j: float = 0.0
    age_s: float = math.inf
    spread_w: float = math.inf
    shared_s: float = 0.0

    def lag_s(self, period_s: float) -> float:
        """Largest possible age of the figure, given the longest update period."""
        return min(self.stale_s, period_s if self.still_s <= period_s else self.still_s + period_s)


class Gauge(Protocol):
    """One domain's energy. Only its meter calls it, one call at a time."""

    domain: str
    provenance: Provenance
    gain: float
    """Half-width of the source's own error, as a share of the energy."""
    poll_s: float | None
    """Longest time in s between two readings without a loss; None: any."""

    def read(self, now_s: float) -> Reading:
        """The reading now. A source that fails repeats its last energy; nothing is raised."""

    def wait_s(self, now_s: float) -> float | None:
        """Seconds to wait for a reading from which it would learn; None once it has learnt enough."""

    def align(self, clock: Callable[[], float]) -> None:
        """Wait for the next update of the source, if it is at most 2 ms away."""

    def interrupt(self, *, clock: bool) -> None:
        """The clock was set, or the machine slept, between this reading and the next."""

    def describe(self, source: Source) -> Source:
        """The source, with its update period and resolution as known so far."""

    @property
    def failure(self) -> str | None:
        """Why the gauge currently cannot be read, one sentence; None if it can."""

    def news(self) -> list[str]:
        """The faults since the last call that have ended, one sentence each."""

    def close(self) -> None:
        """Free the source. May be called twice."""


@dataclass(frozen=True, slots=True)
class FoundGauges:
    """The sources found for one kind of hardware.

    Attributes:
        gauges: Readable sources that are counted.
        sources: All sources that were looked for.
        unseen: Domain → why it cannot be read, for existing hardware that should be counted.
        devices: Domain → function that returns the current state of its device.
        beside: Readable sources that are not counted, with their gauges, if they are kept for comparison.
    """

    gauges: list[Gauge]
    sources: list[Source]
    unseen: dict[str, str]
    devices: dict[str, Callable[[], DeviceState]] = field(default_factory=dict)
    beside: list[tuple[Gauge, Source]] = field(default_factory=list)

    def set_aside(self, domains: Collection[str] | None, why: str, *, keep: bool) -> None:
        """Count none of these domains (None: no domain at all), because another source covers them.

        Args:
            domains: Their names.
            why: The reason, for the list of sources.
            keep: Whether their gauges stay open for comparison.
        """
        for gauge in [gauge for gauge in self.gauges if domains is None or gauge.domain in domains]:
            self.gauges.remove(gauge)
            at = next(i for i, source in enumerate(self.sources) if source.used and source.domain == gauge.domain)
            self.sources[at] = replace(self.sources[at], used=False, remedy=why)
            self.devices.pop(gauge.domain, None)
            if keep:
                self.beside.append((gauge, self.sources[at]))
            else:
                gauge.close()
        for domain in [domain for domain in self.unseen if domains is None or domain in domains]:
            del self.unseen[domain]


def between(gauge: Gauge, first: Reading, last: Reading) -> Energy:
    """Energy of a gauge between two of its readings; `missing` if no reading succeeded after the first."""
    energy_j = last.energy_j - first.energy_j
    common_j = gauge.gain * energy_j + (last.doubt_j - first.doubt_j) + abs(last.undecided_j - first.undecided_j)
    seconds = last.at_s - first.at_s
    unseen = last.failing and (last.seen == first.seen or last.updates == first.updates)
    short = 0 < seconds < last.update_s
    provenance = Provenance.MISSING if unseen else Provenance.ATTRIBUTED if short else gauge.provenance
    if last is first:
        return Energy(energy_j, common_j, provenance)
    possible_j = max(energy_j, last.max_power_w * seconds - energy_j) if seconds > 0 else math.inf
    # Not cut to what is possible: what was late at the opening of a short lap is still late in the laps joined to it.
    opening_j, closing_j = _late_j(first, last), _late_j(last, last)
    edge_j = min(opening_j + closing_j, possible_j)
    if last.updates == first.updates and math.isfinite(last.age_s):
        spread_j = last.spread_w * math.sqrt(seconds * last.update_s)
        edge_j = min(edge_j, spread_j + abs(last.stray_j - first.stray_j) + last.step_j)
    return Energy(energy_j, common_j + edge_j, provenance, edge_j, opening_j, closing_j)


def _late_j(edge: Reading, last: Reading) -> float:
    """Possible error at an edge, with the knowledge at the last reading."""
    lag_s = edge.lag_s(last.period_s)
    late_j = max(edge.ahead_j, (last.power_w * lag_s if lag_s > 0 else 0.0) - edge.ahead_j)
    spread_w = max(last.spread_w, edge.spread_w if math.isfinite(edge.spread_w) else 0.0)
    if math.isfinite(spread_w):
        late_j = min(late_j, spread_w * edge.age_s + edge.stray_j)
    return late_j + last.step_j
