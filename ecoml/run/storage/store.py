"""The ledger on disk: one SQLite file in WAL mode, with one writer and any number of readers.

Every change is one transaction, so a killed process leaves either a complete step (its measurement, its joules, its
trial's state) or nothing of it. A heartbeat stores the energy of the current step as *in flight*, separately from the
entries; it becomes an entry when the step is settled, or when the folder is opened again after a kill, never both.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple
from enum import StrEnum
from pathlib import Path
from typing import Any

from ecoml.carbon.footprint import Grams
from ecoml.endings import EndReason, TrialEnd
from ecoml.energy import Energy, EnergyByDomain, Purpose
from ecoml.metric import Metric
from ecoml.outside.folders import as_text
from ecoml.run.storage.schema import SCHEMA_VERSION, bring_up_to_date, version_of
from ecoml.run.storage.snapshot import PowerSample, Snapshot, snapshot_of
from ecoml.run.storage.transaction import Transaction
from ecoml.trial import Point, Trial, TrialState, Usage

Activity = tuple[Purpose, int | None]

Pending = Mapping[tuple[Purpose, int | None], EnergyByDomain]
"""Joules that are not entered yet, by purpose and trial (None: for none)."""


_IN_FLIGHT = "purpose, trial, domain, energy_j, uncertainty_j, provenance, edge_j, co2e_g, grid"
_ENTER = f"INSERT INTO entry (at, {_IN_FLIGHT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - names


class Store:
    """The only writer of a ledger file. Thread-safe."""

    def __init__(self, path: Path, *, create: bool) -> None:
        version = 0 if create else version_of(path)
        self.path = path
        self._connection = connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._transaction = Transaction(connection, path, self._undone)
        self._in_flight = True  # as far as is known of a file that someone else wrote
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=ON")
        if version < SCHEMA_VERSION:
            with self.transaction():
                bring_up_to_date(connection, version)

    def _undone(self) -> None:
        self._in_flight = True

    def transaction(self) -> Transaction:
        """A transaction; one inside another becomes part of it."""
        return self._transaction

    def delay(self, delay_s: float) -> None:
        """Changes within this many seconds of a commit wait for the next commit."""
        self._transaction.delay_s = delay_s

    def flush(self) -> None:
        """Write waiting changes to disk.

        Raises:
            StorageError: This is not possible.
        """
        self._transaction.flush()

    def execute(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Execute a statement for each of these rows; for tables that another file manages."""
        with self._transaction:
            self._connection.executemany(statement, rows)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        with self._transaction.lock:
            return self._connection.execute(query).fetchall()

    def set(self, key: str, value: object, provenance: StrEnum | None = None) -> None:
        """Store a setting (a JSON value); one in joules with its provenance."""
        with self._transaction:
            self._connection.execute(
                "INSERT OR REPLACE INTO setting (key, value, provenance) VALUES (?, ?, ?)",
                (key, json.dumps(value), provenance),
            )

    def add_trial(self, trial: Trial) -> None:
        """A trial was started."""
        with self._transaction:
            self._connection.execute(
                "INSERT INTO trial (number, config, state) VALUES (?, ?, ?)",
                (trial.number, json.dumps(dict(trial.config)), trial.state.value),
            )

    def set_state(self, trial: Trial, traceback: str | None = None) -> None:
        """A trial's state has changed."""
        with self._transaction:
            self._connection.execute(
                "UPDATE trial SET state = ?, ending = ?, traceback = ? WHERE number = ?",
                (trial.state.value, _ending(trial.end), traceback and as_text(traceback), trial.number),
            )

    def add_measurement(self, trial: int, point: Point, taken: Energy, grams: Grams | None = None) -> None:
        """A run has yielded a point of its curve; its step took this energy and CO2e."""
        with self._transaction:
            self._connection.execute(
                "INSERT INTO measurement (trial, step, score, evaluation_j, spent_j, floor_j, at, details, energy_j,"
                " uncertainty_j, provenance, edge_j, co2e_g, grid, host)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(trial, point.step, point.score, point.evaluation_j, point.spent_j, point.floor_j, time.time()),
                    _json(point.details),
                    *figure(taken),
                    *_grams(grams),
                    point.host or None,
                ),
            )

    def add_test(self, trial: int, step: int, score: float, details: Mapping[str, Any] | None = None) -> None:
        """A model of the front was evaluated on the test set."""
        with self._transaction:
            self._connection.execute(
                "INSERT OR REPLACE INTO test (trial, step, score, details) VALUES (?, ?, ?, ?)",
                (trial, step, score, _json(details)),
            )

    def add_usage(self, trial: int, step: int, usage: Usage) -> None:
        """The cost of predictions with a model of the front was measured."""
        with self._transaction:
            self._connection.execute(
                "INSERT OR REPLACE INTO model (trial, step, parameters, file_bytes, flop) VALUES (?, ?, ?, ?, ?)",
                (trial, step, usage.parameters, usage.file_bytes, usage.flop),
            )
            self._connection.executemany(
                "INSERT OR REPLACE INTO inference (trial, step, batch_size, images, latency_s, energy_j, uncertainty_j,"
                " provenance, edge_j) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (trial, step, one.batch_size, one.images, one.latency_s, *figure(one.energy))
                    for one in usage.inferences.values()
                ],
            )

    def add_gap(self, text: str) -> None:
        """Something could not be metered."""
        with self._transaction:
            self._connection.execute("INSERT INTO gap (at, text) VALUES (?, ?)", (time.time(), as_text(text)))

    def enter(self, pending: Pending, grams: Mapping[Activity, Grams] | None = None) -> None:
        """Enter joules for good, with their CO2e; they are no longer in flight."""
        with self._transaction:
            self._forget_in_flight()
            self.add_entries(pending, grams)

    def add_entries(self, pending: Pending, grams: Mapping[Activity, Grams] | None = None) -> None:
        """Enter joules that were never in flight here, with their CO2e."""
        with self._transaction:
            self._connection.executemany(_ENTER, _rows(pending, grams or {}, time.time()))
            for energy in pending.values():
                for gap in energy.gaps:
                    self.add_gap(gap)

    def note_in_flight(self, pending: Pending, grams: Mapping[Activity, Grams] | None = None) -> None:
        """Store the energy of the current step, in case the process is killed."""
        with self._transaction:
            self._forget_in_flight()
            rows = list(_rows(pending, grams or {}))
            self._connection.executemany(
                f"INSERT INTO in_flight ({_IN_FLIGHT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - names
                rows,
            )
            self._in_flight = bool(rows)

    def _forget_in_flight(self) -> None:
        """Clear the energy in flight. Most steps are shorter than a heartbeat: then there is none, and no page is
        written.
        """
        if self._in_flight:
            self._connection.execute("DELETE FROM in_flight")
            self._in_flight = False

    def next_session(self) -> int:
        """The number of a session that starts now."""
        with self._transaction.lock:
            return int(self._connection.execute("SELECT COALESCE(MAX(session), 0) + 1 FROM host").fetchone()[0])

    def set_host(self, session: int, seconds: Mapping[str, float], energy: EnergyByDomain) -> None:
        """The metered energy of a session so far, as one window, and the seconds of each domain that count for this
        process.
        """
        with self._transaction:
            self._connection.executemany(
                "INSERT OR REPLACE INTO host (session, domain, seconds, energy_j, uncertainty_j, provenance, edge_j)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(session, domain, seconds[domain], *figure(part)) for domain, part in energy.domains.items()],
            )

    def set_idle(self, idle: Mapping[str, Energy]) -> None:
        """Store joules of one idle second, by domain."""
        with self._transaction:
            self._connection.executemany(
                "INSERT OR REPLACE INTO idle (domain, power_w, uncertainty_w, provenance, edge_w)"
                " VALUES (?, ?, ?, ?, ?)",
                [(domain, *figure(part)) for domain, part in idle.items()],
            )

    def add_shared(self, domain: str, pid: int, name: str, seconds: float) -> None:
        """Another process has used a metered domain for this many further seconds."""
        with self._transaction:
            self._connection.execute(
                "INSERT INTO shared (domain, pid, name, seconds) VALUES (?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET seconds = seconds + excluded.seconds",
                (domain, pid, name, seconds),
            )

    def add_power(self, samples: Iterable[PowerSample]) -> None:
        """Store samples of the trace."""
        with self._transaction:
            self._connection.executemany(
                "INSERT INTO power (at, seconds, purpose, trial, domain, power_w, uncertainty_w, provenance,"
                " utilisation, temperature_c, clock_mhz) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [astuple(sample) for sample in samples],
            )

    def recover(self) -> float:
        """After a kill: enter the energy in flight, and stop open trials. Returns the recovered joules."""
        with self._transaction:
            rows = self._connection.execute(f"SELECT {_IN_FLIGHT} FROM in_flight").fetchall()  # noqa: S608 - names
            at = time.time()
            self._connection.executemany(_ENTER, [(at, *row) for row in rows])
            self._connection.execute("DELETE FROM in_flight")
            self._connection.execute(
                "UPDATE trial SET state = ?, ending = ? WHERE state IN (?, ?)",
                (
                    *(TrialState.STOPPED, _ending(TrialEnd(EndReason.INTERRUPTED))),
                    *(TrialState.RUNNING, TrialState.SUSPENDED),
                ),
            )
        return float(sum(row[3] for row in rows))

    def snapshot(self, metric: Metric) -> Snapshot:
        """The current content of the ledger, with scores of `metric`."""
        with self._transaction.lock:
            return snapshot_of(self._connection, metric)

    def close(self) -> None:
        """Close the file. May be called twice."""
        self._transaction.commit()
        with self._transaction.lock:
            self._connection.close()


def _ending(end: TrialEnd | None) -> str | None:
    return None if end is None else json.dumps(end.to_dict())


def _json(details: Mapping[str, Any] | None) -> str | None:
    return json.dumps(details) if details else None


def _rows(pending: Pending, grams: Mapping[Activity, Grams], *at: float) -> Iterator[tuple[Any, ...]]:
    """A row for each purpose, trial and domain, which begins with `at`; a piece's grams are divided among its domains
    like its joules.
    """
    for (purpose, trial), energy in pending.items():
        whole = grams.get((purpose, trial))
        for domain, part in energy.domains.items():
            piece = None if whole is None else _share(whole, part, energy)
            yield *at, str(purpose), trial, domain, *figure(part), *_grams(piece)


def _share(whole: Grams, part: Energy, energy: EnergyByDomain) -> Grams:
    share = part.energy_j / energy.energy_j if energy.energy_j else 1 / len(energy.domains)
    return Grams(share * whole.co2e_g, whole.provenance)


def _grams(grams: Grams | None) -> tuple[float | None, str | None]:
    return (None, None) if grams is None else (grams.co2e_g, grams.provenance.value)


def figure(part: Energy) -> tuple[float, float, str, float]:
    """Joules, half-width, provenance, and the edges' part of the half-width, as all tables store them."""
    return part.energy_j, part.uncertainty_j, str(part.provenance), part.edge_j
