"""The ledger on disk: one SQLite file in WAL mode, one writer, any number of readers.

Every change is one transaction, so a process that is killed leaves either all of a step (its measurement, its joules,
its trial's state) or nothing of it. What a step has used so far is kept beside the entries as *in flight* by a
heartbeat; it becomes an entry when the step is settled, or when the folder is opened again after a kill, never both.

A replay may end thousands of steps a second. What comes within `delay_s` of a commit waits for the rest of that time,
and is committed with all that has come meanwhile.
"""

from __future__ import annotations

import json
import math
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import astuple
from enum import StrEnum
from pathlib import Path
from typing import Any

from ecoml.endings import EndReason, TrialEnd
from ecoml.energy import Energy, EnergyByDomain, Purpose
from ecoml.errors import StorageError
from ecoml.metric import Metric
from ecoml.run.footprint import Grams
from ecoml.run.storage.schema import SCHEMA_VERSION, bring_up_to_date, version_of
from ecoml.run.storage.snapshot import PowerSample, Snapshot, snapshot_of
from ecoml.trial import Point, Trial, TrialState, Usage

Activity = tuple[Purpose, int | None]

Pending = Mapping[tuple[Purpose, int | None], EnergyByDomain]
"""Joules not yet entered, by what they were spent on and for which trial (None: for none)."""


_IN_FLIGHT = "purpose, trial, domain, energy_j, uncertainty_j, provenance, edge_j, co2e_g, grid"


class Store:
    """The one writer of a ledger file. Safe to use from several threads."""

    delay_s = 0.0

    def __init__(self, path: Path, *, create: bool) -> None:
        version = 0 if create else version_of(path)
        self.path = path
        self._connection = connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._lock = threading.RLock()
        self._in_flight = True  # as far as is known of a file that someone else wrote
        self._depth = 0  # of contexts within each other
        self._committed_s = -math.inf
        self._timer: threading.Timer | None = None  # while something waits
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=ON")
        if version < SCHEMA_VERSION:
            with self.transaction():
                bring_up_to_date(connection, version)

    def transaction(self) -> Store:
        """All of it or nothing of it; one that stands inside another is part of that."""
        return self

    def __enter__(self) -> None:
        self._lock.acquire()
        self._depth += 1
        if self._depth > 1:
            return
        try:
            if not self._connection.in_transaction:
                self._connection.execute("BEGIN IMMEDIATE")
            if self._timer is not None:
                self._connection.execute("SAVEPOINT step")  # what waits outlives a failure of this step
        except BaseException as error:
            self._leave(error)
            raise

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None and self._depth == 1:
            try:
                self._commit_or_wait()
            except BaseException as failed:
                self._leave(failed)
                raise
        self._leave(error)

    def _leave(self, error: BaseException | None) -> None:
        """Out of one context; out of the last one, what an error has left undone is undone, and a full disk named."""
        self._depth -= 1
        try:
            if error is not None and self._depth == 0:
                self._in_flight = True
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK" if self._timer is None else "ROLLBACK TO step")
        finally:
            self._lock.release()
        if isinstance(error, sqlite3.OperationalError):
            raise StorageError(
                f"{self.path}: {error}; what was measured before is safe: make room, then go on with `ecoml resume`"
            ) from error

    def _commit_or_wait(self) -> None:
        wait_s = self._committed_s + self.delay_s - time.monotonic()
        if wait_s <= 0:
            self._connection.execute("COMMIT")
            self._committed_s = time.monotonic()
            return
        if self._timer is not None:
            self._connection.execute("RELEASE step")
        else:
            self._timer = threading.Timer(wait_s, self._commit_in_time)
            self._timer.daemon = True
            self._timer.start()

    def _commit_in_time(self) -> None:
        with self._lock:
            self._timer = None
            self._commit_late()

    def _commit_late(self) -> None:
        with self._lock, suppress(sqlite3.Error):  # where it fails, the next commit does, and says so
            if self._connection.in_transaction:
                self._connection.execute("COMMIT")
                self._committed_s = time.monotonic()

    def flush(self) -> None:
        """Put on disk what waits to be committed.

        Raises:
            StorageError: It cannot be.
        """
        with self._lock:
            self._commit_late()
            if self._connection.in_transaction:
                raise StorageError(f"{self.path}: cannot be written; make room, then go on with `ecoml resume`")

    def execute(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """One statement for each of some rows; of tables that are another file's to write."""
        with self.transaction():
            self._connection.executemany(statement, rows)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a query gives."""
        with self._lock:
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
        with self._lock:
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
        with self._lock:
            return snapshot_of(self._connection, metric)

    def close(self) -> None:
        """Close the file. May be called twice."""
        self._commit_late()
        with self._lock:
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
