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
"""Below this share of a figure, the uncertainty at the edges of its window is negligible."""


class Provenance(StrEnum):
    """The source of an energy figure, strongest first."""

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
    """The purpose for which energy was spent. The four purposes add up to the host's total."""

    TRAINING = "training"
    EVALUATION = "evaluation"
    OPTIMISER = "optimiser"
    OVERHEAD = "overhead"


def weakest(provenances: Iterable[Provenance]) -> Provenance:
    """The provenance of a sum: that of its weakest part; `missing` for an empty sum."""
    return max(provenances, key=lambda p: p.rank, default=Provenance.MISSING)


def weaker(one: Provenance, other: Provenance) -> Provenance:
    """The weaker of two."""
    return one if one.rank >= other.rank else other


def comparable(first: Provenance, second: Provenance) -> bool:
    """Whether joules of the two provenances may be compared: both come from counters, or both from the estimate.

    `missing` may be compared with everything, because it says nothing about the rest of a sum.
    """
    if Provenance.REPORTED in (first, second):
        return first is second
    return first is second or Provenance.ESTIMATED not in (first, second) or Provenance.MISSING in (first, second)


@dataclass(frozen=True, slots=True)
class Energy:
    """The energy of one domain over one window, or over several windows.

    Attributes:
        energy_j: Joules, ≥ 0.
        uncertainty_j: Half-width of the interval in joules; of an estimate, the distance to the interval's upper end.
        provenance: The source of the figure.
        edge_j: The part of `uncertainty_j` that comes from late readings at the two edges of the window. An error at an
            edge moves joules between two neighbouring windows; their sum does not change.
        opening_j: The part that the opening alone may contribute, however short the window is; it may exceed `edge_j`.
        closing_j: The same for the close.
    """

    energy_j: float
    uncertainty_j: float
    provenance: Provenance
    edge_j: float = 0.0
    opening_j: float = 0.0
    closing_j: float = 0.0

    @property
    def common_j(self) -> float:
        """The rest of the uncertainty: the source's own error, which is the same in all windows, and lost readings."""
        return max(0.0, self.uncertainty_j - self.edge_j)

    def __add__(self, other: Energy) -> Energy:
        """The sum, as `add_up` computes it."""
        edge_j = self.edge_j + other.edge_j
        if not edge_j and self.provenance is other.provenance is Provenance.REPORTED:  # thousands a second in a replay
            uncertainty_j = self.uncertainty_j + other.uncertainty_j
            return Energy(self.energy_j + other.energy_j, uncertainty_j, Provenance.REPORTED)
        if edge_j:
            edge_j = min(edge_j, max(math.hypot(self.edge_j, other.edge_j), self.opening_j + other.closing_j))
        return self._with(other, edge_j, joined=False)

    def then(self, other: Energy) -> Energy:
        """The sum of this window and the next one, which opened with the reading that closed this one: their common
        edge cancels.
        """
        edge_j = min(self.opening_j + other.closing_j, self.edge_j + other.edge_j)
        return self._with(other, edge_j, joined=True)

    def _with(self, other: Energy, edge_j: float, *, joined: bool) -> Energy:
        """The sum with this half-width of its edges; `joined`: as `then`."""
        provenance = weaker(self.provenance, other.provenance)
        if provenance is Provenance.ATTRIBUTED:
            provenance = _of_shares((self, other), edge_j, joined=joined)
        return Energy(
            self.energy_j + other.energy_j,
            self.common_j + other.common_j + edge_j,
            provenance,
            edge_j,
            self.opening_j,
            other.closing_j,
        )

    def to_dict(self) -> dict[str, Any]:
        """The value as a JSON object."""
        return {"energy_j": self.energy_j, "uncertainty_j": self.uncertainty_j, "provenance": self.provenance.value}

    def times(self, factor: float) -> Energy:
        """This energy multiplied by `factor`, and its uncertainty with it."""
        return Energy(
            factor * self.energy_j,
            factor * self.uncertainty_j,
            self.provenance,
            factor * self.edge_j,
            factor * self.opening_j,
            factor * self.closing_j,
        )


def energy_of(energy_j: float, uncertainty_j: float, provenance: Provenance, edge_j: float) -> Energy:
    """An energy of which only these figures are stored: each of its two edges gets half of `edge_j`."""
    return Energy(energy_j, uncertainty_j, provenance, edge_j, edge_j / 2, edge_j / 2)


def add_up(parts: Sequence[Energy]) -> Energy:
    """The energy of several windows one after the other, summed without accumulating rounding errors.

    A source that reads too high does so in every window, so this part of the error adds up. The delay of a reading
    differs from edge to edge: this part adds in quadrature, but is never smaller than that of one window over all of
    them. Windows that share their edges are joined by `then`, which is tighter.
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
    """The provenance of a sum that contains shares of a counter's total.

    The sum counts as measured if its edges are negligible, or if it is joined to a window in which the counter updated.
    """
    counted = [part.provenance for part in parts if part.provenance is not Provenance.ATTRIBUTED]
    if (joined and counted) or edge_j <= HARDLY * math.fsum(part.energy_j for part in parts):
        return weakest(counted) if counted else Provenance.MEASURED
    return Provenance.ATTRIBUTED


@dataclass(frozen=True, slots=True)
class EnergyByDomain:
    """Energy over one window by domain, without domains that another one covers, and with the gaps.

    Attributes:
        domains: Energy by domain, e.g. `{"gpu:0": …, "cpu:0": …}`.
        gaps: What could not be read, one sentence each.
    """

    domains: Mapping[str, Energy] = field(default_factory=dict)
    gaps: tuple[str, ...] = ()

    @property
    def energy_j(self) -> float:
        """Joules of all domains."""
        return math.fsum(part.energy_j for part in self.domains.values())

    @property
    def by_domain(self) -> dict[str, float]:
        """Joules by domain."""
        return {name: part.energy_j for name, part in self.domains.items()}

    @property
    def uncertainty_j(self) -> float:
        """Half-width in joules: the sum of the domains' half-widths, since the sources of one host may err in the same
        direction.
        """
        return math.fsum(part.uncertainty_j for part in self.domains.values())

    @property
    def total(self) -> Energy:
        """All domains as one energy."""
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
        """The provenance of the weakest domain."""
        return weakest(part.provenance for part in self.domains.values())

    def __add__(self, other: EnergyByDomain) -> EnergyByDomain:
        return self._with(other, Energy.__add__)

    def then(self, other: EnergyByDomain) -> EnergyByDomain:
        """The sum of this window and the next one, which opened with the reading that closed this one."""
        return self._with(other, Energy.then)

    def _with(self, other: EnergyByDomain, add: Callable[[Energy, Energy], Energy]) -> EnergyByDomain:
        domains = dict(self.domains)
        for name, part in other.domains.items():
            domains[name] = add(domains[name], part) if name in domains else part
        return EnergyByDomain(domains, self.gaps + other.gaps)


THIS_PROCESS = "this process"
"""The name of a `SharedUse` by a second meter in this process."""


@dataclass(frozen=True, slots=True)
class SharedUse:
    """Another process that used a metered domain during the search.

    Attributes:
        domain: The domain it used; `host` for another ecoml process that meters this host.
        pid: Its process number.
        name: Its name; empty if unknown.
        seconds: The time over which it was seen.
    """

    domain: str
    pid: int
    name: str
    seconds: float


def reported(energy_j: float, uncertainty_j: float = 0.0) -> EnergyByDomain:
    """Energy that the caller's training function reported."""
    return EnergyByDomain({"reported": Energy(energy_j, uncertainty_j, Provenance.REPORTED)})


def co2e_g(energy_j: float, g_per_kwh: float) -> float:
    """Grams of CO2e of this energy on a grid of this carbon intensity."""
    return energy_j / J_PER_KWH * g_per_kwh
