"""`ecoml meters --check`: a test of whether the counters of this host can be trusted.

    look closely    read without pause: update period T, smallest step
    rest            windows at rest: power P₀ and its scatter
    load            every CPU and GPU busy: E₁ in t, then E₂ in 2 t, GPU power p(τ) sampled at the same time

The test then compares figures, each time within the uncertainty that the meter states:

    a counter       E₂ with E₁ · t₂ / t₁         within u₂ + u₁ · t₂ / t₁
                    E₂ / t₂ with P₀              above it, where it holds a processor
    a GPU's too     E₂ with ∫ p dτ               within u₂ + 5 % · ∫ p dτ + |p(t₂) − p(0)| · 1 s
    an estimate     joules above rest per CPU second of the load, in t and in 2 t      within a tenth

If the meter was opened with `compare`, each source is compared with those that cover the same (`second_opinion.py`). A
counter without a second source may be wrong by a factor that this test cannot find; the output says so.
"""

from __future__ import annotations

import importlib
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

from ecoml.energy import EnergyByDomain, Provenance
from ecoml.meter.base import Meter, Source
from ecoml.meter.counters.nvml import AVERAGED_S
from ecoml.meter.counters.nvml import GAIN as BOARD_GAIN
from ecoml.meter.host import HostMeter
from ecoml.meter.probe.finding import Check, CrossCheck, Finding, Opinion
from ecoml.meter.probe.load import busy_cpus, busy_gpus
from ecoml.meter.probe.look import Look
from ecoml.meter.probe.second_opinion import opinions_of

LOOK_S = 2.0
LOOK_STEP_S = 2e-4
REST_WINDOWS = 6
REST_S = 0.5  # or longer, so that together they hold an update of each source
SETTLE_S = 2.0  # a GPU's power reading is a mean over a second
MOST_SETTLE_S = 60.0  # a slow source, such as a plug that is scraped, is waited for so long
LOAD_S = 3.0
SAMPLE_S = 0.05
SAME_SHARE = 0.1
STILL_SHARE = 0.03
"""Fraction of the power at rest that a source may drift by without showing the load."""
BUSY_CPU_W = 1.0
"""Smallest additional power of a busy CPU on almost every machine."""
RAISED = ("cpu", "psys", "module", "node")
"""Domains with a processor. The load hardly uses memory, and PyTorch may not support a GPU: those are not expected to
rise.
"""

Load = Callable[[], AbstractContextManager[Callable[[], float]]]
"""Makes every device busy; its context gives a function that returns the CPU seconds spent so far."""


@dataclass(frozen=True, slots=True)
class _Busy:
    """One window under load. `boards`: domain → joules from its integrated power, and by how many they may be off."""

    energy: EnergyByDomain
    elapsed_s: float
    cpu_s: float
    boards: Mapping[str, tuple[float, float]]


class _Rise(NamedTuple):
    """Power at rest and under load; whether the load shows in it, and if not, whether it would have to."""

    rest_w: float
    load_w: float
    shows: bool
    can_be_told: bool


class Probe:
    """A test of a meter.

    Args:
        meter: The meter. Nothing else should run on the host.
        cpus: Number of logical CPUs to keep busy.
        load: Makes every device busy; None: CPUs by hashing, GPUs by matrix products.
        boards_w: Domain → function that reads a GPU's power in W, independently of its energy counter.
        clock: Returns seconds; None: `time.monotonic`.
        sleep: Waits for a number of seconds; None: `time.sleep`.
        say: Receives progress messages.
        look_s: Seconds of looking at every change of the counters.
    """

    def __init__(
        self,
        meter: HostMeter,
        *,
        cpus: int,
        load: Load | None = None,
        boards_w: Mapping[str, Callable[[], float]] | None = None,
        clock: Callable[[], float] | None = None,
        sleep: Callable[[float], None] | None = None,
        say: Callable[[str], None] | None = None,
        look_s: float = LOOK_S,
    ) -> None:
        self._meter = meter
        self._load = load or (lambda: _everything(cpus))
        self._boards_w = dict(boards_w or {})
        self._clock = clock or time.monotonic
        self._sleep = sleep or time.sleep
        self._say = say or _silent
        self._look_s = look_s
        sources = (*meter.sources, *(() if meter.beside is None else meter.beside.sources))
        lags_s = [source.lag_s for source in sources if source.readable]
        self._settle_s = min(MOST_SETTLE_S, max([SETTLE_S, *lags_s]))

    def run(self) -> Check:
        """Run the test; takes about 20 s, plus three times the delay of the slowest source."""
        started_s = self._clock()
        whole = self._meter.window()
        self._say(f"looking closely for {self._look_s:g} s")
        ticks = self._look()
        self._sleep(self._settle_s - SETTLE_S)
        rest_s = max(REST_S, self._settle_s / REST_WINDOWS)
        self._say(f"at rest for {REST_WINDOWS * rest_s:g} s")
        beside = self._meter.beside
        quiet = self._meter.window()
        others = None if beside is None else beside.window()
        rest = [self._window(rest_s) for _ in range(REST_WINDOWS)]
        other_rest, all_rest = EnergyByDomain() if others is None else others.lap(), quiet.lap()
        rest_s = sum(elapsed_s for _, elapsed_s in rest)
        self._say(f"under load for {self._settle_s + 3 * LOAD_S:g} s")
        with self._load() as cpu_s:
            self._sleep(self._settle_s)
            once = self._busy(LOAD_S, cpu_s)
            if others is not None:
                others.lap()
            twice = self._busy(2 * LOAD_S, cpu_s)
            other_load = EnergyByDomain() if others is None else others.lap()
        counted = [source for source in self._meter.sources if source.used]
        findings = tuple(self._finding(source, ticks.get(source.domain), rest, once, twice) for source in counted)
        opinions: tuple[Opinion, ...] = ()
        if beside is not None:
            ours, load_s = ((all_rest, rest_s), (twice.energy, twice.elapsed_s)), twice.elapsed_s
            theirs = (other_rest, rest_s), (other_load, load_s)
            opinions = tuple(opinions_of(counted, *ours, beside.sources, *theirs, self._settle_s + LOAD_S))
        return Check(findings, whole.lap(), self._clock() - started_s, opinions)

    def _look(self) -> dict[str, Look]:
        """When and by how much each domain's reading changes."""
        ticks: dict[str, Look] = {}
        end_s = self._clock() + self._look_s
        while (now_s := self._clock()) < end_s:
            for domain, energy_j in self._meter.counted().items():
                ticks.setdefault(domain, Look()).see(energy_j, now_s)
            self._sleep(LOOK_STEP_S)
        return ticks

    def _window(self, seconds: float) -> tuple[EnergyByDomain, float]:
        window, start_s = self._meter.window(), self._clock()
        self._sleep(seconds)
        return window.lap(), self._clock() - start_s

    def _busy(self, seconds: float, cpu_s: Callable[[], float]) -> _Busy:
        """A window under load, with the power of the GPUs sampled at the same time."""
        samples: dict[str, list[tuple[float, float]]] = {domain: [] for domain in self._boards_w}
        before_s, window, start_s = cpu_s(), self._meter.window(), self._clock()
        while True:
            now_s = self._clock()
            for domain, points in samples.items():
                with suppress(Exception):  # of a GPU that is lost meanwhile, the counter tells
                    points.append((now_s, self._boards_w[domain]()))
            if now_s >= start_s + seconds:
                break
            self._sleep(min(SAMPLE_S, start_s + seconds - now_s))
        energy, end_s = window.lap(), self._clock()
        integrals = {domain: _integral(points) for domain, points in samples.items() if len(points) > 1}
        return _Busy(energy, end_s - start_s, cpu_s() - before_s, integrals)

    def _finding(
        self, source: Source, ticks: Look | None, rest: list[tuple[EnergyByDomain, float]], once: _Busy, twice: _Busy
    ) -> Finding:
        domain = source.domain
        rests_w = [energy.domains[domain].energy_j / elapsed_s for energy, elapsed_s in rest]
        rest_w = statistics.fmean(rests_w)
        first, second = once.energy.domains[domain], twice.energy.domains[domain]
        faults = [
            f"{part.energy_j:.3g} J in {busy.elapsed_s:.3g} s of full load: the counter does not move or cannot be read"
            for part, busy in ((first, once), (second, twice))
            if part.provenance is Provenance.MISSING or part.energy_j <= 0
        ]
        comparisons: list[CrossCheck] = []
        if source.provenance is Provenance.ESTIMATED:
            one_j, two_j = (_per_cpu_second(domain, rest_w, busy) for busy in (once, twice))
            comparisons.append(
                CrossCheck("a CPU second of load in either window", two_j, one_j, SAME_SHARE * abs(one_j))
            )
            if min(one_j, two_j) <= 1e-6:
                faults.append(
                    "no joules above rest while CPUs were kept busy: the source does not see this process's CPU time"
                )
            unchecked = "its power cannot be checked: there is no counter to compare with"
        else:
            scale = twice.elapsed_s / once.elapsed_s
            within_j = second.uncertainty_j + scale * first.uncertainty_j
            what = f"{twice.elapsed_s:.3g} s of load with {once.elapsed_s:.3g} s, scaled"
            comparisons.append(CrossCheck(what, second.energy_j, scale * first.energy_j, within_j))
            unchecked = "its energy cannot be checked: there is no second source to compare with"
            rise = self._rises(source, rest, twice)
            if not (rise.shows or faults):
                told = f"{rise.rest_w:.3g} W at rest and {rise.load_w:.3g} W while every CPU was kept busy"
                if rise.can_be_told:
                    faults.append(f"{told}: it does not show the load")
                else:
                    unchecked = f"{told}: too little to decide whether it shows the load; its energy cannot be checked"
        if source.provenance is Provenance.MEASURED and domain in twice.boards:
            board_j, drift_j = twice.boards[domain]
            within_j = second.uncertainty_j + BOARD_GAIN * board_j + drift_j
            comparisons.append(
                CrossCheck("its energy counter with its power, integrated", second.energy_j, board_j, within_j)
            )
            unchecked = "an error common to counter and power cannot be found here"
        known = ticks if ticks is not None and source.period_s is not None else Look()
        return Finding(
            domain,
            source.name,
            source.provenance,
            known.period_s,
            known.is_bound,
            known.step_j,
            rest_w,
            statistics.stdev(rests_w),
            second.energy_j / twice.elapsed_s,
            tuple(comparisons),
            tuple(dict.fromkeys(faults)),
            unchecked,
        )

    def _rises(self, source: Source, rest: list[tuple[EnergyByDomain, float]], busy: _Busy) -> _Rise:
        """The effect of the load on a source with a processor; for several processors, on their sum."""
        kind = source.domain.partition(":")[0]
        alike = [domain for domain in busy.energy.domains if domain.partition(":")[0] == kind]
        rest_j = sum(energy.domains[domain].energy_j for energy, _ in rest for domain in alike)
        rest_w = rest_j / sum(elapsed_s for _, elapsed_s in rest)
        load_w = sum(busy.energy.domains[domain].energy_j for domain in alike) / busy.elapsed_s
        still_w, least_w = STILL_SHARE * rest_w, BUSY_CPU_W * busy.cpu_s / busy.elapsed_s
        shows = kind not in RAISED or load_w - rest_w > still_w
        can_be_told = still_w < least_w and source.lag_s <= self._settle_s + LOAD_S
        return _Rise(rest_w, load_w, shows, can_be_told)


def _per_cpu_second(domain: str, rest_w: float, busy: _Busy) -> float:
    """Joules above rest per CPU second of the load."""
    above_j = busy.energy.domains[domain].energy_j - rest_w * busy.elapsed_s
    return above_j / busy.cpu_s if busy.cpu_s > 0 else 0.0


def _integral(points: list[tuple[float, float]]) -> tuple[float, float]:
    """Joules from samples of power, and by how many they may be off because each is a mean over the second before."""
    energy_j = sum(0.5 * (w1 + w2) * (t2 - t1) for (t1, w1), (t2, w2) in pairwise(points))
    return energy_j, abs(points[-1][1] - points[0][1]) * AVERAGED_S


def board_powers(meter: Meter, nvml: Any | None = None) -> dict[str, Callable[[], float]]:
    """Domain → function that reads the power of a metered GPU that has an energy counter, for GPUs that show their
    power.
    """
    found: dict[str, Callable[[], float]] = {}
    for source in meter.sources:
        index = source.domain.removeprefix("gpu:")
        if not (source.used and source.provenance is Provenance.MEASURED and index.isdigit()):
            continue
        with suppress(Exception):  # then there is nothing to compare with, and the finding says so
            nvml = importlib.import_module("pynvml") if nvml is None else nvml
            read = partial(_power_w, nvml, nvml.nvmlDeviceGetHandleByIndex(int(index)))
            read()
            found[source.domain] = read
    return found


def _silent(_line: str) -> None:
    pass


def _power_w(nvml: Any, handle: Any) -> float:
    return int(nvml.nvmlDeviceGetPowerUsage(handle)) * 1e-3


@contextmanager
def _everything(cpus: int) -> Iterator[Callable[[], float]]:
    with busy_gpus(), busy_cpus(cpus) as cpu_s:
        yield cpu_s
