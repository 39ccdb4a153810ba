"""Sharing: divides a piece's joules if several trials run at once, each on its own metered device.

A device's joules belong to the trial that runs on it; those of a device without a trial belong to the host: to the
strategy while it computes, or to overhead. Joules of no worker (processors, memory) are divided equally among
everything that runs: each trial, and the strategy while it computes. Since the true division is unknown, a share may be
all of it or nothing, and its half-width covers this. Shares always sum to the total.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ecoml.energy import Energy, EnergyByDomain, Purpose

Activity = tuple[Purpose, int | None]
"""A purpose, and the trial it is for (None: none)."""

AT_REST: Activity = (Purpose.OVERHEAD, None)


class Sharing:
    """The current activities of the host and of each worker.

    Args:
        domains: The domain of each worker's device; empty if there is one activity at a time, which then has all
            joules.

    Attributes:
        host: The host's own activity.
        busy: The activity of each worker, by its number; an idle worker is absent.
    """

    def __init__(self, domains: Sequence[str] = ()) -> None:
        self.host = AT_REST
        self.busy: dict[int, Activity] = {}
        self._worker_of = {domain: worker for worker, domain in enumerate(domains)}

    def of_trial(self, trial: int) -> int | None:
        """The worker of a trial; None if it has none."""
        return next((worker for worker, (_, number) in self.busy.items() if number == trial), None)

    def of_domain(self, domain: str) -> Activity:
        """The activity that draws on a domain; the host's own one if several trials share it."""
        worker = self._worker_of.get(domain)
        return self.host if worker is None else self.busy.get(worker, self.host)

    def divide(self, piece: EnergyByDomain) -> dict[Activity, EnergyByDomain]:
        """The division of a piece during which no activity changed."""
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
    """One of several equal shares, which may in truth be anything from zero to the total."""
    share = part.times(1.0 / among)
    return replace(share, uncertainty_j=part.uncertainty_j / among + part.energy_j * (1.0 - 1.0 / among))
