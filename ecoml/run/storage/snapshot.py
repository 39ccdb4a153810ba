"""The content of a ledger file at one moment; another process may be writing it."""

from __future__ import annotations

import gc
import json
import math
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ecoml.carbon.footprint import Footprint
from ecoml.carbon.grid import GridProvenance
from ecoml.endings import SearchEnd, TrialEnd
from ecoml.energy import Energy, EnergyByDomain, Provenance, Purpose, SharedUse, add_up, energy_of
from ecoml.metric import Metric
from ecoml.run.storage.schema import open_to_read, unreadable
from ecoml.trial import Inference, Point, Trial, TrialState, Usage, next_point

_PROVENANCES = {provenance.value: provenance for provenance in Provenance}


class Progress(NamedTuple):
    """One measurement in the order of the search; `point.spent_j` is the energy that the search had spent by then.

    Attributes:
        trial: The trial's number.
        point: The point of its curve.
    """

    trial: int
    point: Point


@dataclass(frozen=True, slots=True)
class PowerSample:
    """One sample of the trace: the mean power of a domain over some seconds.

    Attributes:
        at: The end of these seconds; Unix time.
        seconds: Their number.
        purpose: The purpose at their end.
        trial: The trial; None for none.
        domain: The domain.
        power_w: Mean power in W.
        uncertainty_w: Its half-width.
        provenance: Its provenance.
        utilisation: Share of the time in which the device was busy; None if not shown.
        temperature_c: In °C; None if not shown.
        clock_mhz: In MHz; None if not shown.
    """

    at: float
    seconds: float
    purpose: str
    trial: int | None
    domain: str
    power_w: float
    uncertainty_w: float
    provenance: Provenance
    utilisation: float | None = None
    temperature_c: float | None = None
    clock_mhz: float | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The content of the ledger at one moment, without the trace.

    Attributes:
        trials: All trials, in order.
        progress: All measurements, in order.
        tests: Test score and its details by trial and step.
        usages: What predictions with the models of the front cost, by trial and step.
        by_purpose: The entries, by purpose.
        host: The metered energy of each domain, every session as one window.
        seconds: Seconds of metering, by domain; if several processes metered it, this one's share.
        idle: Joules of one idle second by domain, as far as known.
        shared: Other processes that used metered domains.
        gaps: What could not be metered, one sentence each.
        settings: Figures and words by name.
        co2e: The CO2e of the entries.
    """

    trials: list[Trial]
    progress: list[Progress]
    tests: dict[tuple[int, int], tuple[float, dict[str, Any]]]
    usages: dict[tuple[int, int], Usage]
    by_purpose: dict[Purpose, EnergyByDomain]
    host: dict[str, Energy]
    seconds: dict[str, float]
    idle: dict[str, Energy]
    shared: tuple[SharedUse, ...]
    gaps: tuple[str, ...]
    settings: dict[str, Any]
    co2e: Footprint = field(default_factory=Footprint)

    @property
    def ended(self) -> SearchEnd | None:
        """Why the search ended; None while it runs."""
        kept = self.settings.get("ended")
        return SearchEnd.of(kept) if kept else None

    @property
    def spent_j(self) -> float:
        """All joules entered."""
        return math.fsum(energy.energy_j for energy in self.by_purpose.values())

    @property
    def reported(self) -> bool:
        """Whether the training reported the energy."""
        return any(Provenance.REPORTED is energy.provenance for energy in self.by_purpose.values())


def read_snapshot(path: Path, metric: Metric) -> Snapshot:
    """Read a ledger file with scores of `metric`; another process may be writing it.

    Raises:
        RunFolderError: The file is no ledger, or of a newer version.
    """
    try:
        with closing(open_to_read(path)) as connection:
            connection.execute("BEGIN")
            return snapshot_of(connection, metric)
    except sqlite3.DatabaseError as error:
        raise unreadable(path, error) from None


def read_trace(path: Path) -> list[PowerSample]:
    """Power over time, oldest first; empty without a trace.

    Raises:
        RunFolderError: As in `read_snapshot`.
    """
    with closing(open_to_read(path)) as connection:
        return [
            PowerSample(at, seconds, purpose, trial, domain, w, half_w, Provenance(source), busy, temperature_c, mhz)
            for at, seconds, purpose, trial, domain, w, half_w, source, busy, temperature_c, mhz in connection.execute(
                "SELECT at, seconds, purpose, trial, domain, power_w, uncertainty_w, provenance, utilisation,"
                " temperature_c, clock_mhz FROM power ORDER BY id"
            )
        ]


@contextmanager
def _no_collection() -> Iterator[None]:
    """Reading makes many objects and no garbage: Python need not search them for it in between."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@_no_collection()
def snapshot_of(connection: sqlite3.Connection, metric: Metric) -> Snapshot:
    """The content of a connection; the caller prevents changes during the reading."""
    trials = {
        number: Trial(number, json.loads(config), TrialState(state), end=TrialEnd.of(json.loads(end)) if end else None)
        for number, config, state, end in connection.execute(
            "SELECT number, config, state, ending FROM trial ORDER BY number"
        )
    }
    progress = _read_curves(connection, trials, metric)
    entries: defaultdict[tuple[str, str], list[Energy]] = defaultdict(list)
    charged: defaultdict[int, list[Energy]] = defaultdict(list)
    for purpose, number, domain, energy_j, uncertainty_j, provenance, edge_j in connection.execute(
        "SELECT purpose, trial, domain, energy_j, uncertainty_j, provenance, edge_j FROM entry ORDER BY id"
    ):
        part = energy_of(energy_j, uncertainty_j, _PROVENANCES[provenance], edge_j)
        entries[purpose, domain].append(part)
        if number is not None:
            charged[number].append(part)
    for number, parts in charged.items():
        _set_tail(trials[number], parts)
    host: dict[str, list[Energy]] = {}
    seconds: dict[str, float] = {}
    for domain, lasted_s, *figures in connection.execute(
        "SELECT domain, seconds, energy_j, uncertainty_j, provenance, edge_j FROM host ORDER BY session"
    ):
        host.setdefault(domain, []).append(_figure(figures))
        seconds[domain] = seconds.get(domain, 0.0) + lasted_s
    usages = _read_usages(connection)
    for (number, _), usage in sorted(usages.items()):  # its network is the same at each point of its curve
        trials[number].usage = usage
    return Snapshot(
        trials=list(trials.values()),
        progress=progress,
        tests={
            (trial, step): (score, json.loads(details or "{}"))
            for trial, step, score, details in connection.execute("SELECT trial, step, score, details FROM test")
        },
        usages=usages,
        by_purpose={
            purpose: EnergyByDomain({domain: add_up(parts) for (of, domain), parts in entries.items() if of == purpose})
            for purpose in Purpose
        },
        host={domain: add_up(parts) for domain, parts in host.items()},
        seconds=seconds,
        idle={
            domain: _figure(figures)
            for domain, *figures in connection.execute(
                "SELECT domain, power_w, uncertainty_w, provenance, edge_w FROM idle"
            )
        },
        shared=tuple(
            SharedUse(*row)
            for row in connection.execute("SELECT domain, pid, name, seconds FROM shared ORDER BY 1, 2, 3")
        ),
        gaps=tuple(text for (text,) in connection.execute("SELECT text FROM gap ORDER BY id")),
        settings={key: json.loads(value) for key, value in connection.execute("SELECT key, value FROM setting")},
        co2e=_read_footprint(connection),
    )


def _read_footprint(connection: sqlite3.Connection) -> Footprint:
    """The CO2e of the entries, as far as it was entered with them."""
    by_purpose: dict[Purpose, float] = {}
    known_j: list[float] = []
    grids: set[GridProvenance] = set()
    for purpose, grid, energy_j, grams in connection.execute(
        "SELECT purpose, grid, TOTAL(energy_j), TOTAL(co2e_g) FROM entry WHERE grid IS NOT NULL GROUP BY purpose, grid"
    ):
        by_purpose[Purpose(purpose)] = by_purpose.get(Purpose(purpose), 0.0) + grams
        known_j.append(energy_j)
        grids.add(GridProvenance(grid))
    ((unknown_j,),) = connection.execute("SELECT TOTAL(energy_j) FROM entry WHERE grid IS NULL")
    return Footprint(
        co2e_g=math.fsum(by_purpose.values()),
        energy_j=math.fsum(known_j),
        unknown_j=unknown_j,
        by_purpose={purpose: by_purpose.get(purpose, 0.0) for purpose in Purpose} if grids else {},
        by_step={
            (trial, step): grams
            for trial, step, grams in connection.execute(
                "SELECT trial, step, co2e_g FROM measurement WHERE grid IS NOT NULL"
            )
        },
        provenance=max(grids, key=lambda grid: grid.rank, default=None),
    )


def _read_curves(connection: sqlite3.Connection, trials: Mapping[int, Trial], metric: Metric) -> list[Progress]:
    """Add all measurements to their trials' curves."""
    progress = []
    for number, score, evaluation_j, spent_j, floor_j, details, host, *figures in connection.execute(
        "SELECT trial, score, evaluation_j, spent_j, floor_j, details, host, energy_j, uncertainty_j, provenance,"
        " edge_j FROM measurement ORDER BY id"
    ):
        curve = trials[number].curve
        point = next_point(
            curve,
            score,
            _figure(figures),
            metric,
            evaluation_j=evaluation_j,
            spent_j=spent_j,
            floor_j=floor_j,
            details=json.loads(details) if details else {},
            host=host or "",
        )
        curve.append(point)
        progress.append(Progress(number, point))
    return progress


def _read_usages(connection: sqlite3.Connection) -> dict[tuple[int, int], Usage]:
    inferences: dict[tuple[int, int], dict[int, Inference]] = {}
    for trial, step, batch_size, images, latency_s, *figures in connection.execute(
        "SELECT trial, step, batch_size, images, latency_s, energy_j, uncertainty_j, provenance, edge_j FROM inference"
        " ORDER BY batch_size"
    ):
        found = Inference(batch_size, images, latency_s, _figure(figures))
        inferences.setdefault((trial, step), {})[batch_size] = found
    return {
        (trial, step): Usage(parameters, file_bytes, flop, inferences[trial, step])
        for trial, step, parameters, file_bytes, flop in connection.execute(
            "SELECT trial, step, parameters, file_bytes, flop FROM model"
        )
    }


def _figure(row: Sequence[Any]) -> Energy:
    energy_j, uncertainty_j, provenance, edge_j = row
    return energy_of(energy_j, uncertainty_j, _PROVENANCES[provenance], edge_j)


def _set_tail(trial: Trial, charged: Sequence[Energy]) -> None:
    """Set the energy that was charged to a trial beyond its curve."""
    whole, curve = add_up(charged), trial.energy
    tail_j = whole.energy_j - curve.energy_j
    if tail_j > 1e-9 * whole.energy_j:
        trial.tail = Energy(tail_j, max(0.0, whole.uncertainty_j - curve.uncertainty_j), whole.provenance)
