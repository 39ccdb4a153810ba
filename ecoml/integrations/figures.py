"""Joules for loggers: numbers by name, with the provenance in the name."""

from __future__ import annotations

from ecoml.energy import Energy


def energy_figures(energy: Energy) -> dict[str, float]:
    """`{"energy_j/measured": 12.3, "energy_uncertainty_j/measured": 0.1}`: the provenance is part of the name.

    Figures of different provenance therefore never form one curve.
    """
    return {
        f"energy_j/{energy.provenance}": energy.energy_j,
        f"energy_uncertainty_j/{energy.provenance}": energy.uncertainty_j,
    }
