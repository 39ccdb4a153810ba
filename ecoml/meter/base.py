"""The interface of an energy meter.

A meter gives one cumulative reading in joules per domain (`gpu:0`, `cpu:0`, `dram:0`, …); a window is the difference of
two readings. Of domains that cover each other, only one is reported.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Protocol, Self

from ecoml.energy import EnergyByDomain, Provenance


@dataclass(frozen=True, slots=True)
class Timing:
    """How time passes for a meter: as for everybody, or as a simulation wants it.

    Attributes:
        clock: Returns seconds.
        sleep: Waits for seconds of this clock; None: nothing waits for it.
    """

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] | None = time.sleep


REAL_TIME = Timing()


@dataclass(frozen=True, slots=True)
class Hardware:
    """The hardware behind a source, as far as it is known.

    Attributes:
        name: The maker's name for it.
        driver: Version of its driver; empty if unknown.
        limit_w: Its current power limit; None if unknown.
        default_limit_w: Its factory power limit; None if unknown.
    """

    name: str
    driver: str = ""
    limit_w: float | None = None
    default_limit_w: float | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """One source of energy readings, described for people (`ecoml meters`).

    Attributes:
        name: E.g. `NVML energy counter`, `RAPL package`, `estimate`.
        domain: E.g. `cpu:0`.
        provenance: The provenance of its figures.
        readable: Whether it can be read here and now.
        used: Whether the meter counts it (another source may cover it).
        covers: What it covers, in words.
        remedy: How to make it readable, or why it is not counted; empty if it is counted.
        period_s: Time between two updates; None if it has no updates.
        period_measured: Whether this period was measured here; else it is assumed.
        resolution_j: Smallest step of the reading in joules; None if it does not read joules.
        hardware: The hardware behind it; None if unknown.
        lag_s: Greatest delay of a reading: of a power, or of another machine's counter; 0 for a counter of this
            machine.
    """

    name: str
    domain: str
    provenance: Provenance
    readable: bool
    used: bool
    covers: str
    remedy: str = ""
    period_s: float | None = None
    period_measured: bool = False
    resolution_j: float | None = None
    hardware: Hardware | None = None
    lag_s: float = 0.0


def pace_of(meter: Meter) -> Timing:
    """How time passes for a meter; for a user's own that does not say it, as for everybody."""
    pace: Timing = getattr(meter, "pace", REAL_TIME)
    return pace


def describe_sources(sources: Iterable[Source]) -> dict[str, dict[str, Any]]:
    """The energy sources by domain, for the file that documents a run; no value is None."""
    described: dict[str, dict[str, Any]] = {}
    for source in sources:
        if source.used:
            facts = {"source": source.name, "provenance": source.provenance.value, "covers": source.covers}
            if source.hardware is not None:
                facts |= {key: value for key, value in asdict(source.hardware).items() if value not in (None, "")}
            described[source.domain] = facts
    return described


@dataclass(frozen=True, slots=True)
class Process:
    """A process of someone else on a metered device.

    Attributes:
        pid: The driver's number of it.
        name: Its name; None if unknown.
        memory_b: Device memory it uses in bytes; None if unknown.
    """

    pid: int
    name: str | None = None
    memory_b: int | None = None


@dataclass(frozen=True, slots=True)
class DeviceState:
    """The current state of a device; unknown values are None.

    Attributes:
        utilisation: Share of the time in which something ran on it, 0 to 1.
        temperature_c: Its temperature.
        clock_mhz: Its processors' clock.
        memory_used_b: Bytes of its memory in use.
        processes: Processes on it, without this one and its children.
    """

    utilisation: float | None = None
    temperature_c: float | None = None
    clock_mhz: float | None = None
    memory_used_b: int | None = None
    processes: tuple[Process, ...] = ()


class Window(Protocol):
    """Energy between two readings. As a context manager it opens on entry and closes on exit."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc_info: object) -> None: ...

    def lap(self) -> EnergyByDomain:
        """Energy since the window opened or since the last lap; the next lap starts at the same reading."""

    @property
    def energy_j(self) -> float:
        """Joules from the opening to the close, or to now while the window is open."""

    @property
    def by_domain(self) -> dict[str, float]:
        """Joules by domain."""

    @property
    def uncertainty_j(self) -> float:
        """Half-width in joules."""

    @property
    def provenance(self) -> Provenance:
        """The provenance of the weakest domain."""

    @property
    def gaps(self) -> tuple[str, ...]:
        """What could not be read, one sentence each."""


class Meter(Protocol):
    """Cumulative joules of this host."""

    @property
    def sources(self) -> tuple[Source, ...]:
        """All sources that were looked for, found or not."""

    @property
    def provenance(self) -> Provenance:
        """The provenance that a window opened now would have."""

    def read(self) -> dict[str, float]:
        """Joules by domain since the meter was opened. A domain that cannot be read keeps its last value."""

    def power_w(self) -> dict[str, float]:
        """Mean power by domain over about the last second, of the domains for which it is known."""

    def observe(self) -> dict[str, DeviceState]:
        """The current state of each metered device, by domain. Raises nothing."""

    @property
    def neighbours(self) -> tuple[int, ...]:
        """Other processes that currently meter this host with ecoml."""

    def window(self) -> Window:
        """A window that opens now. Any number may be open at once, and an open one costs nothing."""

    def close(self) -> None:
        """Stop the polling thread and free the sources. May be called twice."""
