"""The schema of the ledger's file, and its migration from older versions.

A new file is created by the same steps that migrate an old one, so there is only one schema. Every table with joules or
watts stores their provenance in the same row.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from ecoml.errors import RunFolderError
from ecoml.run.storage.old_endings import translate

_LAYOUTS = (
    """
CREATE TABLE setting (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE trial (
    number INTEGER PRIMARY KEY, config TEXT NOT NULL, state TEXT NOT NULL, failure TEXT, traceback TEXT);
CREATE TABLE measurement (
    id INTEGER PRIMARY KEY, trial INTEGER NOT NULL REFERENCES trial, step INTEGER NOT NULL, accuracy REAL NOT NULL,
    energy_j REAL NOT NULL, uncertainty_j REAL NOT NULL, provenance TEXT NOT NULL, evaluation_j REAL NOT NULL,
    spent_j REAL NOT NULL, at REAL NOT NULL, UNIQUE (trial, step));
CREATE TABLE entry (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, purpose TEXT NOT NULL, trial INTEGER REFERENCES trial,
    domain TEXT NOT NULL, energy_j REAL NOT NULL, uncertainty_j REAL NOT NULL, provenance TEXT NOT NULL);
CREATE TABLE in_flight (
    purpose TEXT NOT NULL, trial INTEGER, domain TEXT NOT NULL, energy_j REAL NOT NULL, uncertainty_j REAL NOT NULL,
    provenance TEXT NOT NULL);
CREATE TABLE test (trial INTEGER NOT NULL REFERENCES trial, step INTEGER NOT NULL, accuracy REAL NOT NULL,
    PRIMARY KEY (trial, step)) WITHOUT ROWID;
CREATE TABLE gap (id INTEGER PRIMARY KEY, at REAL NOT NULL, text TEXT NOT NULL);
""",
    """
ALTER TABLE setting ADD COLUMN provenance TEXT;
ALTER TABLE measurement ADD COLUMN edge_j REAL NOT NULL DEFAULT 0.0;
ALTER TABLE entry ADD COLUMN edge_j REAL NOT NULL DEFAULT 0.0;
ALTER TABLE in_flight ADD COLUMN edge_j REAL NOT NULL DEFAULT 0.0;
CREATE TABLE host (
    sitting INTEGER NOT NULL, domain TEXT NOT NULL, seconds REAL NOT NULL, energy_j REAL NOT NULL,
    uncertainty_j REAL NOT NULL, provenance TEXT NOT NULL, edge_j REAL NOT NULL,
    PRIMARY KEY (sitting, domain)) WITHOUT ROWID;
CREATE TABLE idle (
    domain TEXT PRIMARY KEY, power_w REAL NOT NULL, uncertainty_w REAL NOT NULL, provenance TEXT NOT NULL,
    edge_w REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE shared (
    domain TEXT NOT NULL, pid INTEGER NOT NULL, name TEXT NOT NULL, seconds REAL NOT NULL,
    PRIMARY KEY (domain, pid, name)) WITHOUT ROWID;
CREATE TABLE power (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, seconds REAL NOT NULL, purpose TEXT NOT NULL, trial INTEGER,
    domain TEXT NOT NULL, power_w REAL NOT NULL, uncertainty_w REAL NOT NULL, provenance TEXT NOT NULL,
    utilisation REAL, temperature_c REAL, clock_mhz REAL);
""",
    """
ALTER TABLE measurement RENAME COLUMN accuracy TO score;
ALTER TABLE measurement ADD COLUMN floor_j REAL;
ALTER TABLE test RENAME COLUMN accuracy TO score;
ALTER TABLE host RENAME COLUMN sitting TO session;
ALTER TABLE trial ADD COLUMN ending TEXT;
""",
    """
ALTER TABLE measurement ADD COLUMN details TEXT;
ALTER TABLE test ADD COLUMN details TEXT;
""",
    """
ALTER TABLE measurement ADD COLUMN host TEXT;
CREATE TABLE spool (
    id TEXT PRIMARY KEY, host TEXT NOT NULL, incarnation INTEGER NOT NULL, sequence INTEGER NOT NULL,
    power_w REAL NOT NULL, unwatched_j REAL NOT NULL, open_j REAL NOT NULL, enrolled INTEGER NOT NULL,
    provenance TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE reading (
    spool TEXT NOT NULL, purpose TEXT NOT NULL, trial INTEGER NOT NULL, domain TEXT NOT NULL, energy_j REAL NOT NULL,
    uncertainty_j REAL NOT NULL, provenance TEXT NOT NULL, edge_j REAL NOT NULL,
    PRIMARY KEY (spool, purpose, trial, domain)) WITHOUT ROWID;
""",
    """
CREATE TABLE model (
    trial INTEGER NOT NULL REFERENCES trial, step INTEGER NOT NULL, parameters INTEGER NOT NULL,
    file_bytes INTEGER NOT NULL, flop INTEGER NOT NULL, PRIMARY KEY (trial, step)) WITHOUT ROWID;
CREATE TABLE inference (
    trial INTEGER NOT NULL REFERENCES trial, step INTEGER NOT NULL, batch_size INTEGER NOT NULL,
    images INTEGER NOT NULL, latency_s REAL NOT NULL, energy_j REAL NOT NULL, uncertainty_j REAL NOT NULL,
    provenance TEXT NOT NULL, edge_j REAL NOT NULL, PRIMARY KEY (trial, step, batch_size)) WITHOUT ROWID;
""",
    """
ALTER TABLE measurement ADD COLUMN co2e_g REAL;
ALTER TABLE measurement ADD COLUMN grid TEXT;
ALTER TABLE entry ADD COLUMN co2e_g REAL;
ALTER TABLE entry ADD COLUMN grid TEXT;
ALTER TABLE in_flight ADD COLUMN co2e_g REAL;
ALTER TABLE in_flight ADD COLUMN grid TEXT;
""",
)
"""Each step migrates a file from the version before; `old_endings` translates sentences to enumerations.

`edge_j` is the part of an uncertainty from the edges of the window (see `ecoml.energy.add_up`). `host` is the metered
energy of a session as one window, for all purposes: at every moment the sum of `entry` and `in_flight` equals that of
`host`. `power` is the trace: mean power over the `seconds` before `at`. `ending` is a `TrialEnd` as JSON, and so are
`details`, further figures by name. `spool` and `reading` belong to a search on several hosts: the counters of each
host's account at its last committed report, up to which its joules are entered (trial −1: none). `inference` has joules
of one image. `co2e_g` is the CO2e of a row's joules on the grid of their time, and `grid` the provenance of the
intensity; both are null if unknown.
"""

SCHEMA_VERSION = len(_LAYOUTS)

_WITH_ENDINGS = 3

_REMEDY = "name a folder made by `ecoml search`"


def bring_up_to_date(connection: sqlite3.Connection, version: int) -> None:
    """Migrate a file of an older version (0: an empty one) to this one; the caller holds the transaction."""
    for layout in _LAYOUTS[version:]:
        for statement in layout.strip().split(";\n"):
            connection.execute(statement)
    if version < _WITH_ENDINGS:
        translate(connection)
    if version < SCHEMA_VERSION:
        connection.execute(
            "INSERT OR REPLACE INTO setting (key, value) VALUES ('schema', ?)", (json.dumps(SCHEMA_VERSION),)
        )


def version_of(path: Path) -> int:
    """The version of a ledger file.

    Raises:
        RunFolderError: The file does not exist, is no ledger, or of a newer version.
    """
    if not path.is_file():
        raise RunFolderError(f"{path.parent}: not a run folder (no {path.name} in it); {_REMEDY}")
    try:
        with open_file(path) as connection:
            row = connection.execute("SELECT value FROM setting WHERE key = 'schema'").fetchone()
    except sqlite3.DatabaseError as error:
        raise unreadable(path, error) from None
    if row is None:
        raise RunFolderError(f"{path}: not an ecoml ledger (it names no schema); {_REMEDY}")
    version = int(row[0])
    if version > SCHEMA_VERSION:
        raise RunFolderError(
            f"{path.parent}: written by a newer ecoml (ledger version {version}, this one reads {SCHEMA_VERSION});"
            " upgrade ecoml"
        )
    return version


def open_to_read(path: Path) -> sqlite3.Connection:
    """A connection in this version's schema that changes nothing; for an old file it is a copy in memory.

    Raises:
        RunFolderError: As in `version_of`.
    """
    version = version_of(path)
    if version == SCHEMA_VERSION:
        return _connect(path)
    copy = sqlite3.connect(":memory:", isolation_level=None)
    with open_file(path) as connection:
        connection.backup(copy)
    bring_up_to_date(copy, version)
    return copy


def unreadable(path: Path, error: sqlite3.DatabaseError) -> RunFolderError:
    """The error for a file that SQLite cannot read: another kind of file, or a damaged one."""
    with suppress(OSError):
        if path.read_bytes()[:16] == b"SQLite format 3\0" and "no such" not in str(error):
            return RunFolderError(f"{path}: damaged ({error}); restore it from a copy, or start a new run")
    return RunFolderError(f"{path}: not an ecoml ledger ({error}); {_REMEDY}")


@contextmanager
def open_file(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that changes nothing, open while the context is open."""
    with closing(_connect(path)) as connection:
        yield connection


def _connect(path: Path) -> sqlite3.Connection:
    """A read-only connection; on a read-only file system SQLite must be told that nobody else writes."""
    address = f"{path.resolve().as_uri()}?mode=ro"
    connection = sqlite3.connect(address, uri=True, isolation_level=None)
    try:
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        connection = sqlite3.connect(f"{address}&immutable=1", uri=True, isolation_level=None)
    return connection
