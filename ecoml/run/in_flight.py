"""What the step under way has used so far, as its heartbeat put it on disk; read without a lock."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path


def read_in_flight_j(ledger: Path) -> float:
    """Joules of the present step as of the last heartbeat; they are in no entry yet."""
    with closing(sqlite3.connect(f"{ledger.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        return float(connection.execute("SELECT TOTAL(energy_j) FROM in_flight").fetchone()[0])


def is_written(folder: Path) -> bool:
    """Whether the process that last wrote a run folder still lives, as far as this host can see."""
    try:
        os.kill(int((folder / "lock").read_text(encoding="utf-8")), 0)
    except (OSError, ValueError) as error:
        return isinstance(error, PermissionError)
    return True
