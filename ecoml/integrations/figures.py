"""Joules as loggers take them: numbers by name, and the name says what they are worth."""

from __future__ import annotations

from ecoml.energy import Energy


def energy_figures(energy: Energy) -> dict[str, float]:
    """`{"energy_j/measured": 12.3, "energy_uncertainty_j/measured": 0.1}`: the provenance stands in the name.

    Figures of unlike worth then never make up one curve.
    """
    return {
        f"energy_j/{energy.provenance}": energy.energy_j,
        f"energy_uncertainty_j/{energy.provenance}": energy.uncertainty_j,
    }
