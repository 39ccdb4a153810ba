"""A run folder's ledger as any SQLite client sees it, without ecoml."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any


def rows(folder: Path, query: str) -> list[tuple[Any, ...]]:
    """The rows a query gives."""
    connection = sqlite3.connect(f"file:{folder / 'ledger.sqlite'}?mode=ro", uri=True)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def joules(folder: Path) -> dict[str, float]:
    """Joules by purpose, entered or still in flight, and what the meter saw of the host; all of one moment."""
    found = rows(
        folder,
        "SELECT purpose, SUM(energy_j) FROM (SELECT purpose, energy_j FROM entry"
        " UNION ALL SELECT purpose, energy_j FROM in_flight) GROUP BY purpose"
        " UNION ALL SELECT 'host', TOTAL(energy_j) FROM host",
    )
    return dict(found)


def charged(folder: Path) -> dict[int, float]:
    """Joules by trial."""
    return dict(rows(folder, "SELECT trial, SUM(energy_j) FROM entry WHERE trial IS NOT NULL GROUP BY trial"))
