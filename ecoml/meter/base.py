"""The contract of an energy meter.

A meter gives one cumulative reading in joules per domain (`gpu:0`, `cpu:0`, `dram:0`, …); a window is the difference of
two readings. Domains that cover each other are never both reported.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Protocol, Self

from ecoml.energy import EnergyByDomain, Provenance


@dataclass(frozen=True, slots=True)
class Hardware:
    """What is behind a source, where it tells.

    Attributes:
        name: What its maker calls it.
        driver: Version of its driver; empty if it is not told.
        limit_w: What it may draw at present; None if it is not told, as below.
        default_limit_w: What it may draw unless somebody changed that.
    """

    name: str
    driver: str = ""
    limit_w: float | None = None
    default_limit_w: float | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """One place energy can be read from, for people (`ecoml meters`).

    Attributes:
        name: E.g. `NVML energy counter`, `RAPL package`, `estimate`.
        domain: E.g. `cpu:0`.
        provenance: What a figure of it is worth.
        readable: Whether it can be read here and now.
        used: Whether the meter counts it (a readable source may be covered by another).
        covers: What it covers, in words.
        remedy: The exact way to make it readable, or why it is not counted; empty if all is well.
        period_s: Time between two updates of what is read; None where there are none.
        period_measured: Whether that was measured here; else it is assumed.
        resolution_j: Smallest step of the reading in joules; None where that is not what it reads.
        hardware: What is behind it; None where that is not told.
        lag_s: How old, at most, what is read of a power or from afar may be; 0 of a counter of this host.
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


def describe_sources(sources: Iterable[Source]) -> dict[str, dict[str, Any]]:
    """What energy is read from, by domain, for a file that says how a run was measured; nothing in it is None."""
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
    """A process on a device that is none of this one's.

    Attributes:
        pid: As the driver numbers it.
        name: None if it cannot be told.
        memory_b: Device memory it holds in bytes, None if it cannot be told.
    """

    pid: int
    name: str | None = None
    memory_b: int | None = None


@dataclass(frozen=True, slots=True)
class DeviceState:
    """What a device does at present; None for what it does not tell.

    Attributes:
        utilisation: Share of the time in which something ran on it, 0 to 1.
        temperature_c: Its temperature.
        clock_mhz: Its processors' clock.
        memory_used_b: Bytes of its memory in use.
        processes: Processes on it that are neither this one nor its children.
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
        """Energy since the window opened or since the last lap; the next lap starts at this very reading."""

    @property
    def energy_j(self) -> float:
        """Joules from opening to closing (to now, while it is open)."""

    @property
    def by_domain(self) -> dict[str, float]:
        """Joules by domain."""

    @property
    def uncertainty_j(self) -> float:
        """Half-width in joules."""

    @property
    def provenance(self) -> Provenance:
        """That of the weakest domain."""

    @property
    def gaps(self) -> tuple[str, ...]:
        """What could not be read, one sentence each."""


class Meter(Protocol):
    """Cumulative joules of this host."""

    @property
    def sources(self) -> tuple[Source, ...]:
        """All that was looked for, found or not."""

    @property
    def provenance(self) -> Provenance:
        """What a window opened now would be worth."""

    def read(self) -> dict[str, float]:
        """Joules by domain since the meter was opened. A domain that cannot be read keeps its last value."""

    def power_w(self) -> dict[str, float]:
        """Mean power by domain over about the last second; a domain of which it cannot be told is left out."""

    def observe(self) -> dict[str, DeviceState]:
        """What each metered device does at present, by domain. Raises nothing."""

    @property
    def neighbours(self) -> tuple[int, ...]:
        """Processes that meter this host with ecoml at present, this one left out."""

    def window(self) -> Window:
        """A window; any number may be open at once, and an open one costs nothing."""

    def close(self) -> None:
        """Stop the polling thread and free the sources. May be called twice."""
