"""The estimate: CPU seconds × watts, used if no counter can be read.

    E = cpus · P_idle · t / n + (P_busy − P_idle) · c

t: elapsed seconds; c: CPU seconds of the metered processes (`ecoml.meter.counters.cpu_time`); cpus: logical CPUs they
may use; n: number of ecoml processes that meter this host at once and share the idle power. Power is assumed linear
between idle and full load, as in the methodology of Cloud Carbon Footprint. Its tables (from SPECpower results of
servers) give, per logical CPU, 0.45–1.9 W idle and 1.9–6.0 W at full load between EPYC Milan and Haswell. The built-in
constants lie near the middle of these ranges on a logarithmic scale, so that ×/÷ 2 covers full load, and idle power
except for the oldest. The estimate contains no GPU.

CPU time is a difference of counters, so windows of any length add up. Load averages do not.
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
    """Estimated joules of the metered processes; implements `Gauge`.

    Args:
        cpu_s: Returns the CPU seconds used so far.
        now_s: The time from which it counts, on the meter's clock.
        cpus: Number of logical CPUs whose idle power is counted.
        constants: The constants of the estimate.
        sharers: Returns the number of processes that share the idle power.
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
        """Joules of one idle second of the entire host, before it is shared."""
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
        """None: an estimate has nothing to learn."""
        return None

    def align(self, clock: Callable[[], float]) -> None:
        """Do nothing: an estimate is always up to date."""

    def interrupt(self, *, clock: bool) -> None:
        """Do nothing: the meter's clock has stopped meanwhile."""

    def describe(self, source: Source) -> Source:
        """The source unchanged: an estimate has no update period."""
        return source

    def news(self) -> list[str]:
        """Nothing: an estimate does not fail."""
        return []

    def close(self) -> None:
        """Free the source of the CPU seconds."""
        self._cpu_s.close()
