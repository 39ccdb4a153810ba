"""What the account's heartbeat observes apart from joules: other users of the metered devices, and the power trace."""

from __future__ import annotations

import os
import time

from ecoml.energy import THIS_PROCESS, EnergyByDomain
from ecoml.ledger.accounts.sharing import Sharing
from ecoml.meter.base import DeviceState, Meter
from ecoml.run.storage.snapshot import PowerSample
from ecoml.run.storage.store import Store

HOST = "host"
"""The domain under which other ecoml processes are stored in the table `shared`."""

OBSERVE_S = 10.0
"""Seconds between two queries of the devices' users without a trace: a driver takes milliseconds to answer."""

SHORTEST_SAMPLE_S = 0.1
"""The mean power over a shorter time depends on the counter's resolution more than on the host."""


class Watch:
    """Observes a meter's devices, and stores the observations.

    Args:
        meter: The meter. A user's own meter that shows no devices is not queried.
        store: Where observations are stored.
        opened_s: When the session's window was opened, on the account's clock.
        trace: Whether to store power over time. Its joules are the account's, so they sum to the host's.
    """

    def __init__(self, meter: Meter, store: Store, opened_s: float, *, trace: bool) -> None:
        self._meter = meter
        self._store = store
        self._trace = trace
        self._states: dict[str, DeviceState] = {}
        self._seen: dict[tuple[str, int, str], float] = {}
        self._observed_s: float | None = None
        self._since_sample: EnergyByDomain | None = None
        self._sampled_s = self._neighbours_s = opened_s

    def observe(self, now_s: float) -> None:
        """Query the devices, if it is due. Not called under the account's lock."""
        self._observe_neighbours(now_s)
        since_s = 0.0 if self._observed_s is None else now_s - self._observed_s
        if self._observed_s is not None and since_s < OBSERVE_S and not self._trace:
            return
        self._observed_s = now_s
        observe = getattr(self._meter, "observe", None)
        self._states = observe() if observe is not None else {}
        for domain, state in self._states.items():
            for process in state.processes:
                self._add((domain, process.pid, process.name or ""), since_s)

    def _observe_neighbours(self, now_s: float) -> None:
        """Look for other ecoml processes at every beat, because this queries no driver."""
        since_s, self._neighbours_s = now_s - self._neighbours_s, now_s
        for pid in getattr(self._meter, "neighbours", ()):
            self._add((HOST, pid, THIS_PROCESS if pid == os.getpid() else "ecoml"), since_s)

    def _add(self, other: tuple[str, int, str], seconds: float) -> None:
        self._seen[other] = self._seen.get(other, 0.0) + seconds

    def add(self, piece: EnergyByDomain) -> None:
        """A piece of energy was cut."""
        if self._trace:
            self._since_sample = piece if self._since_sample is None else self._since_sample.then(piece)

    def keep(self, now_s: float, sharing: Sharing, *, last: bool = False) -> None:
        """Write the observations so far to disk; with `last`, even the shortest ones."""
        for (domain, pid, name), seconds in self._seen.items():
            self._store.add_shared(domain, pid, name, seconds)
        self._seen = {}
        lasted_s = now_s - self._sampled_s
        if self._since_sample is None or lasted_s <= (0.0 if last else SHORTEST_SAMPLE_S):
            return
        at = time.time()
        samples = []
        for domain, part in self._since_sample.domains.items():
            power = part.times(1 / lasted_s)
            purpose, trial = sharing.of_domain(domain)
            state = self._states.get(domain, DeviceState())
            samples.append(
                PowerSample(
                    at,
                    lasted_s,
                    purpose,
                    trial,
                    domain,
                    power.energy_j,
                    power.uncertainty_j,
                    power.provenance,
                    state.utilisation,
                    state.temperature_c,
                    state.clock_mhz,
                )
            )
        self._store.add_power(samples)
        self._since_sample, self._sampled_s = None, now_s
