"""The ledger on disk: one SQLite file in WAL mode, one writer, any number of readers.

Every change is one transaction, so a process that is killed leaves either all of a step (its measurement, its joules,
its trial's state) or nothing of it. What a step has used so far is kept beside the entries as *in flight* by a
heartbeat; it becomes an entry when the step is settled, or when the folder is opened again after a kill, never both.
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

from ecoml.endings import EndReason, TrialEnd
from ecoml.energy import Energy, EnergyByDomain, Purpose
from ecoml.metric import Metric
from ecoml.run.footprint import Grams
from ecoml.run.storage.schema import SCHEMA_VERSION, bring_up_to_date, version_of
from ecoml.run.storage.snapshot import PowerSample, Snapshot, snapshot_of
from ecoml.run.storage.transaction import Transaction
from ecoml.trial import Point, Trial, TrialState, Usage

Activity = tuple[Purpose, int | None]

Pending = Mapping[tuple[Purpose, int | None], EnergyByDomain]
"""Joules not yet entered, by what they were spent on and for which trial (None: for none)."""


_IN_FLIGHT = "purpose, trial, domain, energy_j, uncertainty_j, provenance, edge_j, co2e_g, grid"


class Store:
    """The one writer of a ledger file. Safe to use from several threads."""

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
        """All of it or nothing of it; one that stands inside another is part of that."""
        return self._transaction

    def delay(self, delay_s: float) -> None:
        """What comes within so many seconds of a commit waits for the next one."""
        self._transaction.delay_s = delay_s

    def flush(self) -> None:
        """Put on disk what waits to be committed.

        Raises:
            StorageError: It cannot be.
        """
        self._transaction.flush()

    def execute(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """One statement for each of some rows; of tables that are another file's to write."""
        with self.transaction():
            self._connection.executemany(statement, rows)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a query gives."""
        with self._transaction.lock:
            return self._connection.execute(query).fetchall()

    def set(self, key: str, value: object, provenance: StrEnum | None = None) -> None:
        """Keep a setting (a JSON value); one in joules comes with where they are from."""
        with self.transaction():
            self._connection.execute(
                "INSERT OR REPLACE INTO setting (key, value, provenance) VALUES (?, ?, ?)",
                (key, json.dumps(value), provenance),
            )

    def add_trial(self, trial: Trial) -> None:
        """A trial was started."""
        with self.transaction():
            self._connection.execute(
                "INSERT INTO trial (number, config, state) VALUES (?, ?, ?)",
                (trial.number, json.dumps(dict(trial.config)), trial.state.value),
            )

    def set_state(self, trial: Trial, traceback: str | None = None) -> None:
        """A trial's state has changed."""
        with self.transaction():
            self._connection.execute(
                "UPDATE trial SET state = ?, ending = ?, traceback = ? WHERE number = ?",
                (trial.state.value, _ending(trial.end), traceback, trial.number),
            )

    def add_measurement(self, trial: int, point: Point, taken: Energy, grams: Grams | None = None) -> None:
        """A run has yielded a point of its curve, whose step took so much, and stands for so much CO2e."""
        with self.transaction():
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
        """A model of the front has seen the test set."""
        with self.transaction():
            self._connection.execute(
                "INSERT OR REPLACE INTO test (trial, step, score, details) VALUES (?, ?, ?, ?)",
                (trial, step, score, _json(details)),
            )

    def add_usage(self, trial: int, step: int, usage: Usage) -> None:
        """What a model of the front costs to use is known."""
        with self.transaction():
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
        with self.transaction():
            self._connection.execute("INSERT INTO gap (at, text) VALUES (?, ?)", (time.time(), text))

    def enter(self, pending: Pending, grams: Mapping[Activity, Grams] | None = None) -> None:
        """Enter joules for good, with the CO2e they stand for; they are no longer in flight."""
        with self.transaction():
            self._forget_in_flight()
            self.add_entries(pending, grams)

    def add_entries(self, pending: Pending, grams: Mapping[Activity, Grams] | None = None) -> None:
        """Enter joules that were never in flight here, with the CO2e they stand for."""
        at = time.time()
        with self.transaction():
            self._connection.executemany(
                f"INSERT INTO entry (at, {_IN_FLIGHT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - names
                [(at, *row) for row in _rows(pending, grams or {})],
            )
            for energy in pending.values():
                for gap in energy.gaps:
                    self.add_gap(gap)

    def note_in_flight(self, pending: Pending, grams: Mapping[Activity, Grams] | None = None) -> None:
        """Remember what the present step has used so far, in case the process is killed."""
        with self.transaction():
            self._forget_in_flight()
            rows = list(_rows(pending, grams or {}))
            self._connection.executemany(
                f"INSERT INTO in_flight ({_IN_FLIGHT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - names
                rows,
            )
            self._in_flight = bool(rows)

    def _forget_in_flight(self) -> None:
        """Most steps are shorter than a heartbeat: then nothing is there, and no page is written for it."""
        if self._in_flight:
            self._connection.execute("DELETE FROM in_flight")
            self._in_flight = False

    def next_session(self) -> int:
        """The number of a session that begins now."""
        with self._transaction.lock:
            return int(self._connection.execute("SELECT COALESCE(MAX(session), 0) + 1 FROM host").fetchone()[0])

    def set_host(self, session: int, seconds: Mapping[str, float], energy: EnergyByDomain) -> None:
        """What the meter has seen in a session so far, as one window, and the seconds of each domain claimed in it."""
        with self.transaction():
            self._connection.executemany(
                "INSERT OR REPLACE INTO host (session, domain, seconds, energy_j, uncertainty_j, provenance, edge_j)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(session, domain, seconds[domain], *figure(part)) for domain, part in energy.domains.items()],
            )

    def set_idle(self, idle: Mapping[str, Energy]) -> None:
        """Joules of an idle second, by domain."""
        with self.transaction():
            self._connection.executemany(
                "INSERT OR REPLACE INTO idle (domain, power_w, uncertainty_w, provenance, edge_w)"
                " VALUES (?, ?, ?, ?, ?)",
                [(domain, *figure(part)) for domain, part in idle.items()],
            )

    def add_shared(self, domain: str, pid: int, name: str, seconds: float) -> None:
        """Another process has used a metered domain for so many further seconds."""
        with self.transaction():
            self._connection.execute(
                "INSERT INTO shared (domain, pid, name, seconds) VALUES (?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET seconds = seconds + excluded.seconds",
                (domain, pid, name, seconds),
            )

    def add_power(self, samples: Iterable[PowerSample]) -> None:
        """Samples of the trace."""
        with self.transaction():
            self._connection.executemany(
                "INSERT INTO power (at, seconds, purpose, trial, domain, power_w, uncertainty_w, provenance,"
                " utilisation, temperature_c, clock_mhz) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [astuple(sample) for sample in samples],
            )

    def recover(self) -> float:
        """After a kill: what was in flight becomes an entry, open trials are stopped. Returns the joules recovered."""
        with self.transaction():
            rows = self._connection.execute(f"SELECT {_IN_FLIGHT} FROM in_flight").fetchall()  # noqa: S608 - names
            at = time.time()
            self._connection.executemany(
                f"INSERT INTO entry (at, {_IN_FLIGHT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - names
                [(at, *row) for row in rows],
            )
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
        """All that the ledger holds now, its scores being of `metric`."""
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


def _rows(pending: Pending, grams: Mapping[Activity, Grams]) -> Iterator[tuple[Any, ...]]:
    """A row for each purpose, trial and domain; a piece's grams are divided among its domains as its joules are."""
    for (purpose, trial), energy in pending.items():
        whole, whole_j = grams.get((purpose, trial)), energy.energy_j
        for domain, part in energy.domains.items():
            share = part.energy_j / whole_j if whole_j else 1 / len(energy.domains)
            piece = None if whole is None else Grams(share * whole.co2e_g, whole.provenance)
            yield purpose.value, trial, domain, *figure(part), *_grams(piece)


def _grams(grams: Grams | None) -> tuple[float | None, str | None]:
    return (None, None) if grams is None else (grams.co2e_g, grams.provenance.value)


def figure(part: Energy) -> tuple[float, float, str, float]:
    """Joules, half-width, provenance, and what the edges have of the half-width, as all tables keep them."""
    return part.energy_j, part.uncertainty_j, part.provenance.value, part.edge_j
