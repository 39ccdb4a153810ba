"""Energy meters: cumulative joules by domain, from hardware counters, or estimated if there are none.

A meter counts every readable counter that no other counter covers (`found.py`). If no counter of the processor can be
read, it counts the meter of the entire machine; without one, it estimates the domain `cpu`. Hardware that exists but
cannot be read is named and counts as `missing`, never as zero.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from ecoml.energy import Provenance
from ecoml.errors import MeterError
from ecoml.meter.base import REAL_TIME, DeviceState, Hardware, Meter, Process, Source, Timing, Window, describe_sources
from ecoml.meter.choice import SourceChoice
from ecoml.meter.counters.constants import BUILT_IN, load_constants
from ecoml.meter.counters.cpu.rapl import find_rapl
from ecoml.meter.counters.cpu_time import cpu_seconds, usable_cpus
from ecoml.meter.counters.estimate import DOMAIN as ESTIMATED
from ecoml.meter.counters.estimate import Estimate
from ecoml.meter.counters.neighbours import Neighbours, SharedGauge
from ecoml.meter.counters.node.find import find_node, find_sockets
from ecoml.meter.counters.node.ipmi import Ipmitool
from ecoml.meter.counters.nvml import find_gpus
from ecoml.meter.counters.remote.prometheus import open_prometheus
from ecoml.meter.counters.zeus.find import find_zeus
from ecoml.meter.found import FoundSources
from ecoml.meter.host import HostMeter
from ecoml.meter.repair.clock import MeterClock
from ecoml.meter.repair.gauge import Gauge
from ecoml.outside.fetch import Fetch

__all__ = ["DeviceState", "Hardware", "Meter", "Process", "Source", "Window", "describe_sources", "open_meter"]

_LEARN_S = 0.015  # so long a RAPL counter may be read at once to learn its period: a dozen of its updates


def open_meter(
    root: Path = Path("/"),
    nvml: Any | None = None,
    clock: Callable[[], float] | None = None,
    *,
    gpus: Collection[int] | None = None,
    claims: bool = True,
    sources: Sequence[str] = (),
    compare: bool = False,
    zeus: Any | None = None,
    ipmitool: Ipmitool | None = None,
    fetch: Fetch | None = None,
    sleep: Callable[[float], None] | None = None,
) -> HostMeter:
    """This host's meter.

    Args:
        root: Root of the file system in which the counters are looked for.
        nvml: Replacement for the module `pynvml`; None: that module if `root` is `/`, else no GPU.
        clock: A simulated clock that returns seconds; None: the host's own. With a simulated clock the meter waits for
            nothing, and so learns no update periods.
        gpus: NVML's indices of the metered GPUs; None: all that CUDA_VISIBLE_DEVICES allows.
        claims: Whether this process counts the energy as its own. Other processes that meter the host (`/`) then count
            a smaller share of it. With False they are not affected.
        sources: The sources to use: `node`, `powercap:DIR`, `prometheus:URL?query=…` (`ecoml.meter.choice`).
        compare: Whether readable sources that are not counted are metered separately, as `HostMeter.beside`.
        zeus: Replacement for `zeus.device`; None: that module, if there is hardware for it.
        ipmitool: Returns what `ipmitool dcmi power reading` prints; None: the tool itself, if there is a management
            controller.
        fetch: Sends a request to a server; None: over HTTP.
        sleep: Waits for seconds of the simulated clock; None: nothing waits for it, and no idle power is measured.

    Returns:
        A meter that is already counting. Close it, or use it as a context manager. It belongs to this process: a forked
        child opens its own.

    Raises:
        MeterError: The user's constants of the estimate (`ecoml.meter.counters.constants`) cannot be used, or a source
            named in `sources` cannot be read.
        UsageError: `sources` cannot be understood.
    """
    root = Path(root)
    host = root == Path("/")
    choice = SourceChoice.of(sources)
    constants = load_constants() if host else BUILT_IN
    meter_clock = MeterClock.of_this_host() if clock is None else MeterClock(clock)
    now_s, _ = meter_clock()
    boards, close_nvml = find_gpus(root, nvml, now_s, gpus)
    found = FoundSources([], [], {}, keep=compare)
    found.add(boards)
    found.add(find_zeus(root, zeus, now_s, clock, gpus))
    rapl = find_rapl(root, now_s, powercap=choice.powercap, keep=compare)
    if choice.powercap is not None and not any(source.readable for source in rapl.sources):
        raise MeterError(
            f"--powercap-root {choice.powercap}: no counter in it can be read; give the folder that holds zones such as"
            " intel-rapl:0, each with an energy_uj"
        )
    found.add(rapl)
    if clock is None:
        for gauge in rapl.gauges:
            _learn(gauge, meter_clock)
    found.add(find_sockets(root, clock))
    for query in choice.queries:
        found.put(open_prometheus(query, clock, fetch))
    several = gpus is not None and len(gpus) > 1  # trials on them are told apart by their own counters
    found.weigh_node(find_node(root, clock, ipmitool), asked=choice.node, instead=not (found.counts_cpu or several))
    hardware, estimated = found.gauges, not found.counts_cpu

    domains = [gauge.domain for gauge in hardware] + [ESTIMATED] * estimated
    neighbours = Neighbours(domains, claims=claims) if host else None
    gauges: list[Gauge] = [SharedGauge(gauge, neighbours) for gauge in hardware] if neighbours else list(hardware)
    cpu_s = cpu_seconds(root)
    if estimated:
        sharers = (lambda: neighbours.sharers(ESTIMATED)) if neighbours else (lambda: 1)
        gauges.append(Estimate(cpu_s, now_s, usable_cpus(root), constants, sharers))
    else:
        cpu_s.close()
    covers = (
        f"CPU seconds of {cpu_s.covers}: {constants}; the truth lies between 1/{constants.interval:g} of that and "
        f"{constants.interval:g} times it"
    )
    remedy = "" if estimated else f"not counted, as {found.why_no_estimate}"
    estimate = Source("estimate", ESTIMATED, Provenance.ESTIMATED, True, estimated, covers, remedy)
    beside = HostMeter(*found.opinions(), {}, meter_clock, watch=clock is None) if found.beside else None
    return HostMeter(
        gauges,
        [*found.sources, estimate],
        found.unseen,
        meter_clock,
        devices=found.devices,
        neighbours=neighbours,
        watch=clock is None and bool(hardware),
        beside=beside,
        on_close=close_nvml,
        pace=REAL_TIME if clock is None else Timing(clock, sleep),
        nvml=nvml,
    )


def _learn(gauge: Gauge, clock: MeterClock) -> None:
    """Read a counter that is fast to read and fast to update until its update period is known."""
    end_s = time.monotonic() + _LEARN_S
    while gauge.wait_s(now_s := clock()[0]) is not None and time.monotonic() < end_s:
        gauge.read(now_s)
