"""The energy of the current step, as the heartbeat wrote it to disk; read without a lock."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

from ecoml.energy import Purpose
from ecoml.run.storage.schema import open_file, open_to_read


def read_in_flight_j(ledger: Path) -> float:
    """Joules of the current step at the last heartbeat; they are in no entry yet."""
    with open_file(ledger) as connection:
        return float(connection.execute("SELECT TOTAL(energy_j) FROM in_flight").fetchone()[0])


def read_in_flight(ledger: Path) -> dict[Purpose, tuple[float, float]]:
    """Joules of the current step at the last heartbeat, and their grams of CO2e, by purpose."""
    with closing(open_to_read(ledger)) as connection:
        rows = connection.execute("SELECT purpose, TOTAL(energy_j), TOTAL(co2e_g) FROM in_flight GROUP BY purpose")
        return {Purpose(purpose): (energy_j, grams) for purpose, energy_j, grams in rows}


def is_written(folder: Path) -> bool:
    """Whether the process that last wrote a run folder is alive, as far as this host can see."""
    try:
        os.kill(int((folder / "lock").read_text(encoding="utf-8")), 0)
    except (OSError, ValueError) as error:
        return isinstance(error, PermissionError)
    return True
