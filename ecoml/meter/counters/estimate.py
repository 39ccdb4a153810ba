"""The estimate: CPU seconds × watts, where no counter can be read.

    E = cpus · P_idle · t / n + (P_busy − P_idle) · c

t: seconds gone by; c: CPU seconds of what is metered (`ecoml.meter.counters.cpu_time`); cpus: logical CPUs it may use;
n: ecoml processes that meter this host at once, among which idling is divided. Power is taken as linear between idle
and full load, as in the methodology of Cloud Carbon Footprint, whose tables (made from SPECpower results of servers)
give, per logical CPU, 0.45–1.9 W idle and 1.9–6.0 W at full load between EPYC Milan and Haswell. The built-in constants
lie near the middle of these ranges on a logarithmic scale, so that ×/÷ 2 covers full load, and idling but for the
oldest. A GPU is not in it.

CPU time is a difference of counters, hence additive, whatever the length of a window. Load averages are not.
"""

from __future__ import annotations

from collections.abc import Callable

from ecoml.energy import Energy, Provenance
from ecoml.meter.base import Source
from ecoml.meter.counters.constants import BUILT_IN, Constants
from ecoml.meter.counters.cpu_time import CpuSeconds
from ecoml.meter.repair.gauge import Reading

DOMAIN = "cpu"


class Estimate:
    """Joules of what is metered as a model sees them; fulfils `Gauge`.

    Args:
        cpu_s: Gives the CPU seconds used so far.
        now_s: The instant it counts from, on the meter's clock.
        cpus: Logical CPUs whose idle power is counted.
        constants: What the CPU seconds are multiplied with.
        sharers: Gives the number of processes that idling is divided among.
    """

    def __init__(
        self,
        cpu_s: CpuSeconds,
        now_s: float,
        cpus: float,
        constants: Constants = BUILT_IN,
        sharers: Callable[[], int] = lambda: 1,
    ) -> None:
        self.domain = DOMAIN
        self.provenance = Provenance.ESTIMATED
        self.gain = constants.interval - 1.0  # the distance to the upper end of the interval
        self.poll_s: float | None = None
        self.failure: str | None = None
        self._constants = constants
        self._cpus = cpus
        self._cpu_s = cpu_s
        self._sharers = sharers
        self._among = 1
        self._read_s = now_s
        self._busiest_cpu_s = cpu_s()
        self._energy_j = self._doubt_j = self._shared_s = 0.0
        self._seen = 0

    @property
    def idle(self) -> Energy:
        """Joules of an idle second of the whole host, whoever claims it."""
        idle_j = self._cpus * self._constants.idle_w_per_cpu
        return Energy(idle_j, self.gain * idle_j, self.provenance)

    def read(self, now_s: float) -> Reading:
        """The energy now."""
        before, self._among = self._among, self._sharers()
        lasted_s = now_s - self._read_s
        idle_j = self._cpus * self._constants.idle_w_per_cpu * lasted_s
        claimed_j = idle_j / max(before, self._among)
        cpu_s = max(self._busiest_cpu_s, self._cpu_s())
        busy_w = self._constants.busy_w_per_cpu - self._constants.idle_w_per_cpu
        self._energy_j += claimed_j + busy_w * (cpu_s - self._busiest_cpu_s)
        self._doubt_j += self._constants.interval * (idle_j - claimed_j)
        self._shared_s += lasted_s * (1 - 1 / max(before, self._among))
        self._read_s, self._busiest_cpu_s = now_s, cpu_s
        self._seen += 1
        return Reading(self._energy_j, self._doubt_j, now_s, seen=self._seen, shared_s=self._shared_s)

    def wait_s(self, now_s: float) -> float | None:  # noqa: ARG002 - as every gauge's
        """There is nothing to learn."""
        return None

    def align(self, clock: Callable[[], float]) -> None:
        """It is always up to date."""

    def interrupt(self, *, clock: bool) -> None:
        """Its time stands still meanwhile, as the meter's clock does."""

    def describe(self, source: Source) -> Source:
        """A model has no period."""
        return source

    def news(self) -> list[str]:
        """Nothing: a model does not fail."""
        return []

    def close(self) -> None:
        """Free what counts the CPU seconds."""
        self._cpu_s.close()
