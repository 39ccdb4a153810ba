"""What a run's energy stands for in CO2e, as its ledger keeps it: with each entry, by the intensity of its time."""

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
        co2e_g: How many.
        provenance: Where the grid's intensity is from.
    """

    co2e_g: float
    provenance: GridProvenance


@dataclass(frozen=True, slots=True)
class Footprint:
    """The CO2e of a search.

    Attributes:
        co2e_g: Grams, of the energy whose intensity is known.
        energy_j: That energy.
        unknown_j: Energy whose intensity is not known.
        by_purpose: Grams by what they were spent on; the four sum to `co2e_g`.
        by_step: Grams of each step that gave a measurement, by trial and step.
        provenance: Where the intensities are from, the weakest; None: none is known.
        grid: Of which grid, in words.
        budget_g: The ceiling; None: there was none.
        counted_g: What the search itself counted, where this is another grid's than it knew; None: the same.
        paused_s: For how long the search waited for a cleaner grid.
        paused_j: What idling took meanwhile; it is in the account, as overhead.
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
        """Mean intensity of the energy of which one is known."""
        return self.co2e_g / self.energy_j * J_PER_KWH if self.energy_j > 0 else None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
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
