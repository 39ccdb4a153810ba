"""Statements of a host's own account, and the difference of two of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from ecoml.energy import Energy, EnergyByDomain
from ecoml.ledger.accounts.sharing import Activity


@dataclass(frozen=True, slots=True)
class Statement:
    """A host's joules so far. The counters only increase, also over the agent's incarnations, because its spool stores
    them.

    Attributes:
        host: The host's name.
        spool: The id of its spool: the counters count since it was created.
        incarnation: Number of the agent's process that writes the spool, from 1.
        sequence: Greater than that of all earlier statements of this incarnation.
        counters: Joules by purpose and trial, for everything that changed since the last acknowledgement.
        seen: The metered energy, by session and domain: seconds, and joules as one window.
        power_w: The highest power so far.
        unwatched_j: The largest energy between two checks of an allowance.
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
        """Greater for the later of two statements."""
        return self.incarnation, self.sequence


def difference(new: Energy, old: Energy | None) -> Energy:
    """The increase of a counter since an older statement; never negative."""
    if old is None:
        return new
    edge_j = math.sqrt(max(0.0, new.edge_j**2 - old.edge_j**2))  # edges were added in quadrature
    common_j = max(0.0, new.common_j - old.common_j)
    return Energy(max(0.0, new.energy_j - old.energy_j), common_j + edge_j, new.provenance, edge_j)
