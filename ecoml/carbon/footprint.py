"""The CO2e of a run's energy, as its ledger stores it: with each entry, by the intensity of its time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ecoml.carbon.grid import GridProvenance
from ecoml.energy import J_PER_KWH, Purpose


@dataclass(frozen=True, slots=True)
class Grams:
    """Grams of CO2e.

    Attributes:
        co2e_g: Their number.
        provenance: Provenance of the grid's intensity.
    """

    co2e_g: float
    provenance: GridProvenance


@dataclass(frozen=True, slots=True)
class Footprint:
    """The CO2e of a search.

    Attributes:
        co2e_g: Grams of the energy with a known intensity.
        energy_j: That energy.
        unknown_j: Energy with an unknown intensity.
        by_purpose: Grams by purpose; the four sum to `co2e_g`.
        by_step: Grams of each step with a measurement, by trial and step.
        provenance: Provenance of the intensities, the weakest; None: none is known.
        grid: Name of the grid.
        budget_g: The CO2e budget; None: there was none.
        counted_g: Grams that the search itself counted, if it knew another grid than this; None: the same.
        paused_s: Seconds for which the search waited for a cleaner grid.
        paused_j: Idle energy of these pauses; the account contains it as overhead.
    """

    co2e_g: float = 0.0
    energy_j: float = 0.0
    unknown_j: float = 0.0
    by_purpose: Mapping[Purpose, float] = field(default_factory=dict)
    by_step: Mapping[tuple[int, int], float] = field(default_factory=dict)
    provenance: GridProvenance | None = None
    grid: str = ""
    budget_g: float | None = None
    counted_g: float | None = None
    paused_s: float = 0.0
    paused_j: float = 0.0

    @property
    def g_per_kwh(self) -> float | None:
        """Mean intensity of the energy with a known intensity."""
        return self.co2e_g / self.energy_j * J_PER_KWH if self.energy_j > 0 else None

    def to_dict(self) -> dict[str, Any]:
        """The footprint as a JSON object."""
        return {
            "co2e_g": self.co2e_g,
            "g_per_kwh": self.g_per_kwh,
            "provenance": None if self.provenance is None else self.provenance.value,
            "grid": self.grid,
            "by_purpose": {purpose.value: grams for purpose, grams in self.by_purpose.items()},
            "unknown_j": self.unknown_j,
            "budget_g": self.budget_g,
            "counted_g": self.counted_g,
            "paused_s": self.paused_s,
            "paused_j": self.paused_j,
        }
