"""Readings: how much a host has counted so far by its own account, and what two of them differ by."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from ecoml.energy import Energy, EnergyByDomain
from ecoml.ledger.accounts.sharing import Activity


@dataclass(frozen=True, slots=True)
class Reading:
    """A host's joules so far. The counters only grow, also over the agent's incarnations, since its spool keeps them.

    Attributes:
        host: The host's name.
        spool: The id of its spool: the counters count since that was made.
        incarnation: Number of the agent's process that writes the spool, from 1.
        sequence: Greater than that of all readings of this incarnation before.
        counters: Joules by purpose and trial, of all that changed since what was acknowledged.
        seen: What its meter saw, by session and domain: seconds, and joules as one window.
        power_w: The highest power seen.
        unwatched_j: The most that was spent between two checks of an allowance.
        gaps: What could not be metered in this incarnation, one sentence each.
    """

    host: str
    spool: str
    incarnation: int
    sequence: int
    counters: Mapping[Activity, EnergyByDomain] = field(default_factory=dict)
    seen: Mapping[tuple[int, str], tuple[float, Energy]] = field(default_factory=dict)
    power_w: float = 0.0
    unwatched_j: float = 0.0
    gaps: tuple[str, ...] = ()

    @property
    def order(self) -> tuple[int, int]:
        """Greater for the later of two."""
        return self.incarnation, self.sequence


def difference(new: Energy, old: Energy | None) -> Energy:
    """What a counter has gained since an older reading; never less than nothing."""
    if old is None:
        return new
    edge_j = math.sqrt(max(0.0, new.edge_j**2 - old.edge_j**2))  # edges were added in quadrature
    common_j = max(0.0, new.common_j - old.common_j)
    return Energy(max(0.0, new.energy_j - old.energy_j), common_j + edge_j, new.provenance, edge_j)
