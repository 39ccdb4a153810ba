"""Fits the constants of the estimate to real counters.

Windows with k of n CPUs busy, k = 0 … n; each gives a mean power P and CPU seconds of load per second u:

    P = n · idle + (busy − idle) · u          least squares over the windows

Each constant is a sum of the windows' powers with fixed weights. Its uncertainty is the sum of two parts: the windows'
own uncertainties, added because the windows of one host err together; and the largest distance from the line.
"""

from __future__ import annotations

import datetime
import platform
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from ecoml.energy import Provenance
from ecoml.errors import MeterError
from ecoml.meter.base import Meter
from ecoml.meter.counters.constants import Constants
from ecoml.meter.probe.load import busy_cpus

SETTLE_S = 1.0
WINDOW_S = 3.0
LEVELS = 5

Load = Callable[[int], AbstractContextManager[Callable[[], float]]]
"""Keeps a number of CPUs busy; its context gives a function that returns the CPU seconds spent so far."""


@dataclass(frozen=True, slots=True)
class LoadPoint:
    """The measurement of one window.

    Attributes:
        threads: Number of CPUs kept busy.
        busy_cpus: CPU seconds of load per second.
        power_w: Mean power.
        uncertainty_w: Its half-width.
    """

    threads: int
    busy_cpus: float
    power_w: float
    uncertainty_w: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """The result of a calibration.

    Attributes:
        constants: The constants of the estimate.
        idle_uncertainty_w: Half-width of `idle_w_per_cpu`.
        busy_uncertainty_w: Half-width of `busy_w_per_cpu`.
        residual: Largest distance of a window's power from the line, as a share of this power.
        points: The windows.
        domains: The domains whose power was measured.
    """

    constants: Constants
    idle_uncertainty_w: float
    busy_uncertainty_w: float
    residual: float
    points: tuple[LoadPoint, ...]
    domains: tuple[str, ...]


def calibrate(
    meter: Meter,
    *,
    cpus: int,
    threads: int,
    load: Load = busy_cpus,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    say: Callable[[str], None] | None = None,
) -> Calibration:
    """Fit the constants to the counters of the processor, and to that of its memory if there is one.

    Args:
        meter: A meter; its measured domains other than GPUs are used. Nothing else should run on the host.
        cpus: Number of logical CPUs that share this power: all of the host.
        threads: Number of CPUs that may be kept busy.
        load: Keeps CPUs busy.
        clock: Returns seconds.
        sleep: Waits for a number of seconds.
        say: Receives progress messages.

    Raises:
        MeterError: There is no counter of the processor, or its power does not rise with the load.
    """
    domains = processor_domains(meter)
    points = []
    for busy in sorted({round(threads * level / (LEVELS - 1)) for level in range(LEVELS)}):
        if say is not None:
            say(f"{busy} of {cpus} CPUs busy, {SETTLE_S + WINDOW_S:g} s")
        with load(busy) as cpu_s:
            sleep(SETTLE_S)
            window, start_s, before_s = meter.window(), clock(), cpu_s()
            sleep(WINDOW_S)
            energy, elapsed_s, spent_s = window.lap(), clock() - start_s, cpu_s() - before_s
        parts = [energy.domains[domain] for domain in domains]
        if any(part.provenance is not Provenance.MEASURED for part in parts):
            raise MeterError(
                f"the counters failed during the measurement, and nothing was calibrated: {' '.join(energy.gaps)}"
            )
        power_w = sum(part.energy_j for part in parts) / elapsed_s
        points.append(
            LoadPoint(busy, spent_s / elapsed_s, power_w, sum(part.uncertainty_j for part in parts) / elapsed_s)
        )
    return _fit(points, cpus, domains)


def processor_domains(meter: Meter) -> tuple[str, ...]:
    """The measured domains of a meter that are not GPUs.

    Raises:
        MeterError: There are none.
    """
    domains = tuple(
        source.domain
        for source in meter.sources
        if source.used and source.provenance is Provenance.MEASURED and not source.domain.startswith(("gpu", "module"))
    )
    if not domains:
        raise MeterError("--calibrate needs a counter of the processor, and none can be read: `ecoml meters` says why")
    return domains


def _fit(points: Sequence[LoadPoint], cpus: int, domains: tuple[str, ...]) -> Calibration:
    count = len(points)
    mean_u = sum(point.busy_cpus for point in points) / count
    spread = sum((point.busy_cpus - mean_u) ** 2 for point in points)
    if count < 2 or spread <= 0:
        raise MeterError(
            "nothing was calibrated: the load got no CPU time; stop everything else that runs on this host"
        )
    slopes = [(point.busy_cpus - mean_u) / spread for point in points]
    levels = [1 / count - mean_u * slope for slope in slopes]
    slope_w = sum(weight * point.power_w for weight, point in zip(slopes, points, strict=True))
    level_w = sum(weight * point.power_w for weight, point in zip(levels, points, strict=True))
    off_w = max(abs(point.power_w - level_w - slope_w * point.busy_cpus) for point in points)
    idle_w, busy_w = level_w / cpus, level_w / cpus + slope_w
    if slope_w <= 0 or idle_w < 0:
        raise MeterError(
            f"nothing was calibrated: {level_w:.3g} W at rest and {slope_w:.3g} W for each busy CPU cannot be the "
            "power of a processor; stop everything else that runs on this host, and try again"
        )

    def uncertainty_w(weights: Sequence[float]) -> float:
        return sum(abs(weight) * (point.uncertainty_w + off_w) for weight, point in zip(weights, points, strict=True))

    idle_weights = [weight / cpus for weight in levels]
    busy_weights = [weight / cpus + slope for weight, slope in zip(levels, slopes, strict=True)]
    today = datetime.datetime.now(tz=datetime.UTC).date()
    origin = f"on {today} against {', '.join(domains)} of {platform.node() or 'this host'}"
    return Calibration(
        Constants(idle_w_per_cpu=round(idle_w, 4), busy_w_per_cpu=round(busy_w, 4), calibrated=origin),
        uncertainty_w(idle_weights),
        uncertainty_w(busy_weights),
        off_w / max(point.power_w for point in points),
        tuple(points),
        domains,
    )
