"""Energy meters: cumulative joules by domain, from counters where there are any, estimated where there are none.

Every readable counter is counted that no other covers. Where no counter of the processor can be read, the domain `cpu`
is estimated. Hardware that is there but cannot be read is `missing`, and named: never a silent zero.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from ecoml.energy import Provenance
from ecoml.meter.base import DeviceState, Hardware, Meter, Process, Source, Window, describe_sources
from ecoml.meter.counters.constants import BUILT_IN, load_constants
from ecoml.meter.counters.cpu_time import cpu_seconds, usable_cpus
from ecoml.meter.counters.device import MODULE
from ecoml.meter.counters.estimate import DOMAIN as ESTIMATED
from ecoml.meter.counters.estimate import Estimate
from ecoml.meter.counters.neighbours import Neighbours, SharedGauge
from ecoml.meter.counters.nvml import find_gpus
from ecoml.meter.counters.rapl import find_rapl
from ecoml.meter.host import HostMeter
from ecoml.meter.repair.clock import MeterClock
from ecoml.meter.repair.gauge import Gauge

__all__ = ["DeviceState", "Hardware", "Meter", "Process", "Source", "Window", "describe_sources", "open_meter"]

_LEARN_S = 0.015  # so long a RAPL counter may be read at once to learn its period: a dozen of its updates


def open_meter(
    root: Path = Path("/"),
    nvml: Any | None = None,
    clock: Callable[[], float] | None = None,
    *,
    gpus: Collection[int] | None = None,
    claims: bool = True,
) -> HostMeter:
    """This host's meter.

    Args:
        root: Root of the file system the counters are looked for in.
        nvml: What has the functions of the module `pynvml`; None: that module if `root` is `/`, else nothing.
        clock: Gives seconds, and moves only when told to, so that nothing is learnt by waiting; None: the host's own.
        gpus: NVML's indices of the GPUs that are metered; None: all that CUDA_VISIBLE_DEVICES leaves.
        claims: Whether the energy is this process' to account for. Other processes that meter the host (`/`) then
            claim the less of it; a meter that is only looked at lets them be.

    Returns:
        A meter that is already counting. Close it, or use it as a context manager. It belongs to this process: a
        forked child opens its own.

    Raises:
        MeterError: The user's constants of the estimate (`ecoml.meter.counters.constants`) cannot be used.
    """
    root = Path(root)
    host = root == Path("/")
    constants = load_constants() if host else BUILT_IN
    meter_clock = MeterClock.of_this_host() if clock is None else MeterClock(clock)
    now_s, _ = meter_clock()
    boards, close_nvml = find_gpus(root, nvml, now_s, gpus)
    container = next((gauge.domain for gauge in boards.gauges if gauge.domain.startswith(MODULE)), None)
    rapl = find_rapl(root, now_s, container)
    if clock is None:
        for gauge in rapl.gauges:
            _learn(gauge, meter_clock)
    hardware = boards.gauges + rapl.gauges
    counted = any(gauge.domain == "psys" or gauge.domain.startswith("cpu:") for gauge in rapl.gauges)
    estimated = not counted and container is None

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
    why = "a counter is read" if counted else f"{container} contains it"
    remedy = "" if estimated else f"not counted, as {why}"
    estimate = Source("estimate", ESTIMATED, Provenance.ESTIMATED, True, estimated, covers, remedy)
    return HostMeter(
        gauges,
        [*boards.sources, *rapl.sources, estimate],
        boards.unseen | rapl.unseen,
        meter_clock,
        devices=boards.devices,
        neighbours=neighbours,
        watch=clock is None and bool(hardware),
        on_close=close_nvml,
    )


def _learn(gauge: Gauge, clock: MeterClock) -> None:
    """Read a counter that is quick to read and to update until its period is known."""
    end_s = time.monotonic() + _LEARN_S
    while gauge.wait_s(now_s := clock()[0]) is not None and time.monotonic() < end_s:
        gauge.read(now_s)
