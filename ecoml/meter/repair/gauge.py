"""A gauge: the cumulative energy of one domain, and how far its readings can be trusted.

The error of a window on a gauge is modelled as

    half-width = gain · E + (doubt₂ − doubt₁) + undecided + edges
    edges      = min(late₁ + late₂,  max(E, P_max · Δt − E))
               = spread · √(Δt · T) + |stray₂ − stray₁| + step             if less, with no update between them
    late       = max(ahead,  P · lag − ahead) + step                       whatever the load does
               = spread · age + stray + step                               if less, once the spread is known

E: joules of the window; gain: the source's own relative error, which is the same in every window and hence adds up over
windows; doubt: joules that were interpolated or lost so far; undecided: joules of which it is not known yet whether
they are the domain's at all; lag: how old what was read at an edge may have been; step: the resolution; ahead: what the
figure was carried on by since it was read from hardware. P: what the domain may draw where the host tells, else the
highest mean power it was seen to draw, W; P_max: more than it can draw, W; Δt: length of the window; T: of an update
period. Spread, age and stray: see `interpolation.py`; what they bound holds in at least 95 of 100 windows. The root is
such that the edges of windows in a row, added in quadrature, come to those of one that is as long as all of them.

How old a figure may be is bounded twice: by the time since another value was seen, and by the longest update period.
A value that outlasts the period was that old when it was first seen, and has grown older since.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

from ecoml.energy import Energy, Provenance
from ecoml.meter.base import DeviceState, Source


class Reading(NamedTuple):
    """What a gauge says at one instant.

    Attributes:
        energy_j: Joules since the gauge was opened; never falls.
        doubt_j: Half-width in joules of what was interpolated or lost so far; never falls.
        at_s: When it was read.
        stale_s: How old, at most, the figure is, by what was seen; ∞ before anything was.
        still_s: How old, at least, it is.
        period_s: The longest update period, as known by now.
        power_w: What may have been drawn since the figure was new; ∞ before anything is known.
        max_power_w: More than the domain can draw.
        step_j: Resolution of the figure.
        undecided_j: Joules counted or not counted, of which it is not known yet whether they should be.
        seen: Number of readings that succeeded so far.
        failing: Whether nothing can be read at present.
        updates: Number of updates seen so far.
        update_s: How far apart they are; what is shorter is a share of what the source counts.
        ahead_j: What of the figure the source does not show yet.
        stray_j: How wrong that may be at whatever power.
        age_s: For how long it was carried on; ∞ if that is not known.
        spread_w: By how much the power meanwhile may have been another; ∞ if that is not known.
        shared_s: Seconds so far that others claimed of the domain's energy, where it is divided among processes.
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
        """How old the figure may have been, given the longest update period."""
        return min(self.stale_s, period_s if self.still_s <= period_s else self.still_s + period_s)


class Gauge(Protocol):
    """One domain's energy. Only its meter calls it, one call at a time."""

    domain: str
    provenance: Provenance
    gain: float
    """Half-width of the source's own error, as a share of the energy."""
    poll_s: float | None
    """Longest time between two readings that loses nothing, in s; None: any."""

    def read(self, now_s: float) -> Reading:
        """The energy now. A source that fails gives its last energy again; nothing is raised."""

    def wait_s(self, now_s: float) -> float | None:
        """How long to wait for a reading that it would learn from, in s; None where it has learnt enough."""

    def align(self, clock: Callable[[], float]) -> None:
        """Wait for the next update of what is read, if that is no more than 2 ms away."""

    def interrupt(self, *, clock: bool) -> None:
        """The clock was set, or the machine slept, between this reading and the next."""

    def describe(self, source: Source) -> Source:
        """The source, with what is known by now of its period and its resolution."""

    @property
    def failure(self) -> str | None:
        """Why the gauge cannot be read at present, one sentence; None if it can."""

    def news(self) -> list[str]:
        """What went wrong since the last call and is over, one sentence each."""

    def close(self) -> None:
        """Free the source. May be called twice."""


@dataclass(frozen=True, slots=True)
class FoundGauges:
    """What was found of one kind of hardware.

    Attributes:
        gauges: What can be read and is counted.
        sources: All that was looked for.
        unseen: Domain → why it cannot be read, for what is there, ought to be counted and cannot.
        devices: Domain → what tells the present state of its device.
        beside: What can be read and is not counted, with its source, where such was asked for.
    """

    gauges: list[Gauge]
    sources: list[Source]
    unseen: dict[str, str]
    devices: dict[str, Callable[[], DeviceState]] = field(default_factory=dict)
    beside: list[tuple[Gauge, Source]] = field(default_factory=list)

    def set_aside(self, domains: Collection[str] | None, why: str, *, keep: bool) -> None:
        """Count none of these domains (None: nothing at all), as another source covers them.

        Args:
            domains: Their names.
            why: What is said of each.
            keep: Whether their gauges stay open, beside.
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
    """Energy of a gauge between two of its readings; `missing` where nothing was read after the first."""
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
    """What may be wrong at an edge, as is known at the last reading."""
    lag_s = edge.lag_s(last.period_s)
    late_j = max(edge.ahead_j, (last.power_w * lag_s if lag_s > 0 else 0.0) - edge.ahead_j)
    spread_w = max(last.spread_w, edge.spread_w if math.isfinite(edge.spread_w) else 0.0)
    if math.isfinite(spread_w):
        late_j = min(late_j, spread_w * edge.age_s + edge.stray_j)
    return late_j + last.step_j
