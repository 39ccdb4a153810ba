"""What the account's heartbeat sees besides joules: who else is on the metered devices, and the trace of power."""

from __future__ import annotations

import os
import time

from ecoml.energy import THIS_PROCESS, EnergyByDomain
from ecoml.ledger.accounts.sharing import Sharing
from ecoml.meter.base import DeviceState, Meter
from ecoml.run.storage.snapshot import PowerSample
from ecoml.run.storage.store import Store

HOST = "host"
"""What another ecoml process shares, in the table `shared`."""

OBSERVE_S = 10.0
"""Without a trace the devices are asked this often who is on them: a driver takes milliseconds to answer."""

SHORTEST_SAMPLE_S = 0.1
"""Mean power over less says more about the counter's ticks than about the host."""


class Watch:
    """Observes a meter's devices, and keeps what was seen.

    Args:
        meter: What is observed. A meter of one's own that shows no devices is left in peace.
        store: Where it is kept.
        opened_s: When the session's window was opened, on the account's clock.
        trace: Whether to keep power over time. Its joules are the account's, so they sum to the host's.
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
        """Ask the devices, if it is time to. Not under the account's lock."""
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
        """Other ecoml processes come and go, and are looked for at every beat: that asks no driver."""
        since_s, self._neighbours_s = now_s - self._neighbours_s, now_s
        for pid in getattr(self._meter, "neighbours", ()):
            self._add((HOST, pid, THIS_PROCESS if pid == os.getpid() else "ecoml"), since_s)

    def _add(self, other: tuple[str, int, str], seconds: float) -> None:
        self._seen[other] = self._seen.get(other, 0.0) + seconds

    def add(self, piece: EnergyByDomain) -> None:
        """A further piece of energy was cut."""
        if self._trace:
            self._since_sample = piece if self._since_sample is None else self._since_sample.then(piece)

    def keep(self, now_s: float, sharing: Sharing, *, last: bool = False) -> None:
        """Put on disk what was seen up to now, and what is going on; at the last time however little it is."""
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
