"""The CO2e of a finished run's energy on a grid that is named afterwards: each entry by the intensity of its time."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from ecoml.carbon.footprint import Footprint
from ecoml.carbon.grid import Grid
from ecoml.carbon.spec import grid_of, names_provider
from ecoml.energy import Purpose, co2e_g
from ecoml.errors import UsageError
from ecoml.run.folder import LEDGER
from ecoml.run.result import Result
from ecoml.run.storage.schema import open_file


def seen_on(result: Result, grid_intensity: float | str | Path | None) -> Result:
    """A result with the CO2e of its energy on a grid; unchanged if none is named.

    Raises:
        UsageError: It is not a grid, or its provider has no past data.
    """
    grid = past_grid(grid_intensity)
    if grid is None:
        return result
    kept = result.energy.co2e
    footprint = replace(
        footprint_on(grid, result.directory),
        budget_g=kept.budget_g,
        counted_g=None if kept.provenance is None else kept.co2e_g,
        paused_s=kept.paused_s,
        paused_j=kept.paused_j,
    )
    return replace(result, energy=replace(result.energy, co2e=footprint))


def past_grid(grid_intensity: float | str | Path | None) -> Grid | None:
    """The named grid, if it has intensities of the past; None if none is named.

    Raises:
        UsageError: It is not a grid, or its provider has no intensities of the past.
    """
    if names_provider(grid_intensity):
        raise UsageError(
            f"--grid-intensity {grid_intensity}: a provider tells the present; give it to the search, or give a number"
            " of g/kWh or a CSV here"
        )
    return grid_of(grid_intensity)


def footprint_on(grid: Grid, directory: Path) -> Footprint:
    """The CO2e of the energy in a run folder on a grid."""
    by_purpose = dict.fromkeys(Purpose, 0.0)
    known_j: list[float] = []
    unknown_j: list[float] = []
    with open_file(directory / LEDGER) as connection:
        for at_s, purpose, energy_j in connection.execute("SELECT at, purpose, energy_j FROM entry"):
            if grid.knows(at_s):
                known_j.append(energy_j)
                by_purpose[Purpose(purpose)] += co2e_g(energy_j, grid.at(at_s))
            else:
                unknown_j.append(energy_j)
        steps = connection.execute("SELECT trial, step, energy_j, at FROM measurement").fetchall()
    return Footprint(
        co2e_g=math.fsum(by_purpose.values()),
        energy_j=math.fsum(known_j),
        unknown_j=math.fsum(unknown_j),
        by_purpose=by_purpose,
        by_step={(trial, step): co2e_g(j, grid.at(at_s)) for trial, step, j, at_s in steps if grid.knows(at_s)},
        provenance=grid.provenance,
        grid=grid.name,
    )
