"""Energy as a value: joules by domain, with provenance and uncertainty.

Units: joules (J) as float everywhere inside; kWh only where a person reads or types.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

J_PER_KWH = 3.6e6

HARDLY = 0.05
"""Edges of a smaller share of a figure hardly matter to it."""


class Provenance(StrEnum):
    """Where a figure comes from, strongest first."""

    MEASURED = "measured"  # a hardware counter
    SAMPLED = "sampled"  # integrated power readings
    ATTRIBUTED = "attributed"  # a share of a measured total: the counter is slower than what it is asked for
    REPORTED = "reported"  # the caller's figure
    ESTIMATED = "estimated"  # a model
    MISSING = "missing"  # nobody looked

    @property
    def rank(self) -> int:
        """0 for the strongest."""
        return _RANK[self]


_RANK = {provenance: rank for rank, provenance in enumerate(Provenance)}


class Purpose(StrEnum):
    """What a joule was spent on. The four sum to the host's total."""

    TRAINING = "training"
    EVALUATION = "evaluation"
    OPTIMISER = "optimiser"
    OVERHEAD = "overhead"


def weakest(provenances: Iterable[Provenance]) -> Provenance:
    """The provenance of a sum: that of its weakest part; `missing` for a sum of nothing."""
    return max(provenances, key=lambda p: p.rank, default=Provenance.MISSING)


def weaker(one: Provenance, other: Provenance) -> Provenance:
    """The weaker of two."""
    return one if one.rank >= other.rank else other


def comparable(first: Provenance, second: Provenance) -> bool:
    """Whether joules of the two mean the same: those of counters do, and those of a model only among themselves.

    What is missing says nothing about the rest of a sum, and is taken for a counter's or a model's.
    """
    if Provenance.REPORTED in (first, second):
        return first is second
    return first is second or Provenance.ESTIMATED not in (first, second) or Provenance.MISSING in (first, second)


@dataclass(slots=True, unsafe_hash=True)  # a frozen one takes five times as long to make, in every step of a replay
class Energy:
    """Energy of one domain over one window, or over several; once made it never changes.

    Attributes:
        energy_j: Joules, ≥ 0.
        uncertainty_j: Half-width in joules; for an estimate, the distance to the upper end of its interval.
        provenance: Source of the figure.
        edge_j: The part of `uncertainty_j` that stems from how late the readings at the edges may have been. What one
            window gains by it, the window beside it loses.
        opening_j: What the opening alone may have to do with it, however short the window is; it may exceed `edge_j`.
        closing_j: The same of the close.
    """

    energy_j: float
    uncertainty_j: float
    provenance: Provenance
    edge_j: float = 0.0
    opening_j: float = 0.0
    closing_j: float = 0.0

    @property
    def common_j(self) -> float:
        """The rest of the uncertainty: the source's own error, which is the same in all windows, and what was lost."""
        return max(0.0, self.uncertainty_j - self.edge_j)

    def __add__(self, other: Energy) -> Energy:
        """As `add_up` of the two."""
        edge_j = self.edge_j + other.edge_j
        if not edge_j and self.provenance is other.provenance is Provenance.REPORTED:  # thousands a second in a replay
            uncertainty_j = self.uncertainty_j + other.uncertainty_j
            return Energy(self.energy_j + other.energy_j, uncertainty_j, Provenance.REPORTED)
        if edge_j:
            edge_j = min(edge_j, max(math.hypot(self.edge_j, other.edge_j), self.opening_j + other.closing_j))
        provenance = weaker(self.provenance, other.provenance)
        if provenance is Provenance.ATTRIBUTED:
            provenance = _of_shares((self, other), edge_j)
        return Energy(
            self.energy_j + other.energy_j,
            self.common_j + other.common_j + edge_j,
            provenance,
            edge_j,
            self.opening_j,
            other.closing_j,
        )

    def then(self, other: Energy) -> Energy:
        """This window and the one that opens with the very reading that closed it: the edge between them cancels."""
        edge_j = min(self.opening_j + other.closing_j, self.edge_j + other.edge_j)
        provenance = weaker(self.provenance, other.provenance)
        if provenance is Provenance.ATTRIBUTED:
            provenance = _of_shares((self, other), edge_j, joined=True)
        return Energy(
            self.energy_j + other.energy_j,
            self.common_j + other.common_j + edge_j,
            provenance,
            edge_j,
            self.opening_j,
            other.closing_j,
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"energy_j": self.energy_j, "uncertainty_j": self.uncertainty_j, "provenance": self.provenance.value}

    def times(self, factor: float) -> Energy:
        """So many times this energy, with its error so many times: power over a second becomes energy."""
        return Energy(
            factor * self.energy_j,
            factor * self.uncertainty_j,
            self.provenance,
            factor * self.edge_j,
            factor * self.opening_j,
            factor * self.closing_j,
        )


def energy_of(energy_j: float, uncertainty_j: float, provenance: Provenance, edge_j: float) -> Energy:
    """A figure of which no more is kept than this: each edge is taken for a half of `edge_j`."""
    return Energy(energy_j, uncertainty_j, provenance, edge_j, edge_j / 2, edge_j / 2)


def add_up(parts: Sequence[Energy]) -> Energy:
    """The energy of several windows one after the other, summed without rounding errors piling up.

    A source that reads too high does so in every window, so that part adds up. How late a reading was at an edge is
    independent from edge to edge: that part adds in quadrature, but never to less than the one window over all of them
    has. Windows known to share their edges are joined by `then`, which is tighter.
    """
    if not parts:
        return Energy(0.0, 0.0, Provenance.MISSING)
    outer_j = parts[0].opening_j + parts[-1].closing_j
    edges_j = [part.edge_j for part in parts]
    edge_j = min(math.fsum(edges_j), max(math.hypot(*edges_j), outer_j))
    provenance = weakest(part.provenance for part in parts)
    if provenance is Provenance.ATTRIBUTED:
        provenance = _of_shares(parts, edge_j)
    return Energy(
        math.fsum(part.energy_j for part in parts),
        math.fsum(part.common_j for part in parts) + edge_j,
        provenance,
        edge_j,
        parts[0].opening_j,
        parts[-1].closing_j,
    )


def _of_shares(parts: Sequence[Energy], edge_j: float, *, joined: bool = False) -> Provenance:
    """What a sum is worth that holds shares of a counter's total.

    They make up what was measured again as soon as their edges hardly matter, or if they are joined to a window in
    which the counter updated.
    """
    counted = [part.provenance for part in parts if part.provenance is not Provenance.ATTRIBUTED]
    if (joined and counted) or edge_j <= HARDLY * math.fsum(part.energy_j for part in parts):
        return weakest(counted) if counted else Provenance.MEASURED
    return Provenance.ATTRIBUTED


@dataclass(slots=True, unsafe_hash=True)  # as `Energy`
class EnergyByDomain:
    """Energy over one window: every domain that does not cover another, and what went unseen; it never changes.

    Attributes:
        domains: Energy by domain, e.g. `{"gpu:0": …, "cpu:0": …}`.
        gaps: What could not be read, one sentence each.
    """

    domains: Mapping[str, Energy] = field(default_factory=dict)
    gaps: tuple[str, ...] = ()

    @property
    def energy_j(self) -> float:
        """Joules of all domains together."""
        return math.fsum(part.energy_j for part in self.domains.values())

    @property
    def by_domain(self) -> dict[str, float]:
        """Joules by domain."""
        return {name: part.energy_j for name, part in self.domains.items()}

    @property
    def uncertainty_j(self) -> float:
        """Half-width in joules; the domains' own are added, since one host's sources may err together."""
        return math.fsum(part.uncertainty_j for part in self.domains.values())

    @property
    def total(self) -> Energy:
        """All domains as one figure."""
        if len(self.domains) == 1:
            return next(iter(self.domains.values()))
        parts = self.domains.values()
        return Energy(
            self.energy_j,
            self.uncertainty_j,
            self.provenance,
            math.fsum(part.edge_j for part in parts),
            math.fsum(part.opening_j for part in parts),
            math.fsum(part.closing_j for part in parts),
        )

    @property
    def provenance(self) -> Provenance:
        """That of the weakest domain."""
        return weakest(part.provenance for part in self.domains.values())

    def __add__(self, other: EnergyByDomain) -> EnergyByDomain:
        return self._with(other, Energy.__add__)

    def then(self, other: EnergyByDomain) -> EnergyByDomain:
        """This window and the one that opens with the very reading that closed it, as one window."""
        return self._with(other, Energy.then)

    def _with(self, other: EnergyByDomain, add: Callable[[Energy, Energy], Energy]) -> EnergyByDomain:
        domains = dict(self.domains)
        for name, part in other.domains.items():
            domains[name] = add(domains[name], part) if name in domains else part
        return EnergyByDomain(domains, self.gaps + other.gaps)


THIS_PROCESS = "this process"
"""Name of a use by another meter of the very process that meters."""


@dataclass(frozen=True, slots=True)
class SharedUse:
    """Another process that used what is metered here.

    Attributes:
        domain: The domain it used; `host` for another ecoml process that meters this host.
        pid: Its number.
        name: Its name; empty if it is not known.
        seconds: For how long it was seen.
    """

    domain: str
    pid: int
    name: str
    seconds: float


def reported(energy_j: float, uncertainty_j: float = 0.0) -> EnergyByDomain:
    """Energy that the caller's training function brought along."""
    return EnergyByDomain({"reported": Energy(energy_j, uncertainty_j, Provenance.REPORTED)})


def co2e_g(energy_j: float, g_per_kwh: float) -> float:
    """Grams of CO2e that so much energy stands for on a grid of that intensity."""
    return energy_j / J_PER_KWH * g_per_kwh
