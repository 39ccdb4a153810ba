"""Measures many small tasks in turns; each is repeated until a block of it is long enough for the meter.

Notation
    b   blocks of each task; every turn runs one block of every task, so that changes of the machine affect all tasks
    n   executions per block, such that it lasts at least `block_s`
    figure = mean of a block's joules / n ± t·s/√b (95 %, Student), and how late a counter may be at its edges

The uncertainty is that of comparing tasks with each other. The source's own error (a counter's gain, the factor of two
of an estimate) is the same for all tasks, and is stated once. With an estimate, joules are CPU seconds of this process
× the stated power of a busy CPU: other processes and waiting do not count.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ecoml.energy import Energy, Provenance, add_up
from ecoml.meter import Meter

BLOCK_S = 0.05
"""A block lasts at least this many seconds, and fifty updates of the slowest counter."""

_UPDATES = 50
_MOST = 100_000

Task = Callable[[], object]


@dataclass(frozen=True, slots=True)
class BlockCost:
    """The cost of one execution of a task.

    Attributes:
        energy: Energy; its uncertainty is that of comparing tasks, and independent from task to task.
        time_s: Seconds of wall time.
    """

    energy: Energy
    time_s: float

    @property
    def energy_j(self) -> float:
        """Joules."""
        return self.energy.energy_j

    @property
    def uncertainty_j(self) -> float:
        """Half-width of `energy_j`."""
        return self.energy.uncertainty_j


def cost(energy_j: float, uncertainty_j: float, provenance: Provenance, time_s: float) -> BlockCost:
    """The cost of one execution, with an uncertainty independent of others: uncertainties add in quadrature."""
    return BlockCost(Energy(energy_j, uncertainty_j, provenance, edge_j=uncertainty_j), time_s)


def together(costs: Sequence[BlockCost]) -> BlockCost:
    """The sum of independently measured costs."""
    return BlockCost(add_up([cost.energy for cost in costs]), math.fsum(cost.time_s for cost in costs))


class BlockMeter(Protocol):
    """Measures a block."""

    @property
    def provenance(self) -> Provenance:
        """Provenance of the joules."""

    @property
    def block_s(self) -> float:
        """The smallest length of a block in seconds."""

    def block(self, run: Callable[[], None]) -> tuple[float, float, float]:
        """Joules of a call, the part of them that the edges may be wrong by, and seconds."""


class CounterGauge:
    """Measures blocks with a meter's counters."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        periods_s = [source.period_s for source in meter.sources if source.used and source.period_s]
        self.block_s = max([BLOCK_S, *(_UPDATES * period_s for period_s in periods_s)])
        self.provenance = meter.provenance

    def block(self, run: Callable[[], None]) -> tuple[float, float, float]:
        """As `BlockMeter.block`."""
        with self._meter.window() as window:
            start_s = time.perf_counter()
            run()
            end_s = time.perf_counter()
            energy = window.lap().total
        return energy.energy_j, energy.edge_j, end_s - start_s


class CpuGauge:
    """Measures blocks by CPU time, if there is no counter.

    Args:
        power_w: Power of a busy CPU.
        cpu_s: Returns this process's CPU seconds.
    """

    provenance = Provenance.ESTIMATED
    block_s = BLOCK_S

    def __init__(self, power_w: float, cpu_s: Callable[[], float] = time.process_time) -> None:
        self._power_w = power_w
        self._cpu_s = cpu_s

    def block(self, run: Callable[[], None]) -> tuple[float, float, float]:
        """As `BlockMeter.block`."""
        start_s, start_cpu_s = time.perf_counter(), self._cpu_s()
        run()
        return self._power_w * (self._cpu_s() - start_cpu_s), 0.0, time.perf_counter() - start_s


def gauge_of(meter: Meter) -> BlockMeter:
    """Counters if the meter has them, else CPU time."""
    if meter.provenance is Provenance.ESTIMATED:
        from ecoml.meter.counters.constants import load_constants

        return CpuGauge(load_constants().busy_w_per_cpu)
    return CounterGauge(meter)


def measure(
    tasks: Mapping[str, Task], gauge: BlockMeter, *, finish: Callable[[], None] = lambda: None, blocks: int = 9
) -> dict[str, BlockCost]:
    """The cost of one execution of each task.

    Args:
        tasks: The tasks by name.
        gauge: Measures a block.
        finish: Waits until the device has finished all work.
        blocks: Blocks per task, at least 2.
    """
    counts = {name: _count(task, gauge.block_s, finish) for name, task in tasks.items()}
    seen: dict[str, list[tuple[float, float, float]]] = {name: [] for name in tasks}
    for _ in range(blocks):
        for name, task in tasks.items():
            count = counts[name]
            joules, edge_j, seconds = gauge.block(_repeated(task, count, finish))
            seen[name].append((joules / count, edge_j / count, seconds / count))
    return {name: _figure(found, gauge.provenance) for name, found in seen.items()}


def _figure(blocks: list[tuple[float, float, float]], provenance: Provenance) -> BlockCost:
    from scipy.stats import t

    count = len(blocks)
    joules = [block[0] for block in blocks]
    mean_j = math.fsum(joules) / count
    spread_j = math.sqrt(math.fsum((value - mean_j) ** 2 for value in joules) / (count - 1))
    edge_j = math.hypot(*(block[1] for block in blocks)) / count
    width_j = float(t.ppf(0.975, count - 1)) * spread_j / math.sqrt(count)
    return cost(mean_j, width_j + edge_j, provenance, math.fsum(block[2] for block in blocks) / count)


def _repeated(task: Task, count: int, finish: Callable[[], None]) -> Callable[[], None]:
    def run() -> None:
        for _ in range(count):
            task()
        finish()

    return run


def _count(task: Task, block_s: float, finish: Callable[[], None]) -> int:
    """The number of executions that last long enough; finding it also warms the task up."""
    count = 1
    while True:
        start_s = time.perf_counter()
        _repeated(task, count, finish)()
        lasted_s = time.perf_counter() - start_s
        if lasted_s >= block_s or count >= _MOST:
            return count
        growth = 1.2 * block_s / lasted_s if lasted_s > 0 else 10.0
        count = min(_MOST, math.ceil(count * min(max(growth, 2.0), 10.0)))
