"""Sharing: whose the joules of a piece are, where several trials run at once, each on a metered device of its own.

A device's joules are those of the trial that runs on it; of a device on which none runs they are the host's own
business: the strategy's thinking, or overhead. What no worker has to itself (processors, memory) is divided equally
among all that is under way: each trial, and the strategy while it thinks. Nobody can tell whose it was, so a share
among several may be all of it or nothing, and its half-width says so. Shares always sum to what is shared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ecoml.energy import Energy, EnergyByDomain, Purpose

Activity = tuple[Purpose, int | None]
"""What joules are spent on, and for which trial (None: for none)."""

AT_REST: Activity = (Purpose.OVERHEAD, None)


class Sharing:
    """What is going on, on the host and in each worker.

    Args:
        domains: That of each worker's device; none where one thing goes on at a time, which then has all joules.

    Attributes:
        host: What the host itself is at.
        busy: What is going on in a worker, by its number; a worker at rest is not in it.
    """

    def __init__(self, domains: Sequence[str] = ()) -> None:
        self.host = AT_REST
        self.busy: dict[int, Activity] = {}
        self._worker_of = {domain: worker for worker, domain in enumerate(domains)}

    def of_trial(self, trial: int) -> int | None:
        """The worker in which a trial runs; None if it runs in none."""
        return next((worker for worker, (_, number) in self.busy.items() if number == trial), None)

    def of_domain(self, domain: str) -> Activity:
        """What is going on that draws on a domain; of one that several trials share, what the host itself is at."""
        worker = self._worker_of.get(domain)
        return self.host if worker is None else self.busy.get(worker, self.host)

    def divide(self, piece: EnergyByDomain) -> dict[Activity, EnergyByDomain]:
        """Whose the joules of a piece are during which nothing changed."""
        if not self.busy:
            return {self.host: piece}
        sharers = list(self.busy.values())
        if self.host[0] is Purpose.OPTIMISER:
            sharers.append(self.host)
        divided: dict[Activity, dict[str, Energy]] = {activity: {} for activity in (*sharers, self.host)}
        for domain, part in piece.domains.items():
            if domain in self._worker_of:
                divided[self.of_domain(domain)][domain] = part
            else:
                for activity in sharers:
                    divided[activity][domain] = _share(part, len(sharers))
        first = sharers[0]
        return {
            activity: EnergyByDomain(domains, piece.gaps if activity == first else ())
            for activity, domains in divided.items()
            if domains
        }


def _share(part: Energy, among: int) -> Energy:
    """One of so many equal shares, which may in truth be anything from nothing to all."""
    share = part.times(1.0 / among)
    return replace(share, uncertainty_j=part.uncertainty_j / among + part.energy_j * (1.0 - 1.0 / among))
