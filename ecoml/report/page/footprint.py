"""Carbon footprint: kWh, and greenhouse gas for a grid whose intensity the reader states."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from ecoml.energy import Energy, Provenance, co2e_g
from ecoml.errors import UsageError
from ecoml.format import estimate_interval, format_co2e, format_kwh

HIGHEST_G_PER_KWH = 3000.0
"""No grid is worse: the dirtiest coal plants emit about half of it."""


def check_grid_intensity(g_per_kwh: float | None) -> None:
    """Refuse what is no intensity of a grid.

    Raises:
        UsageError: Not a positive number, or more than any grid emits.
    """
    if g_per_kwh is not None and not 0 < g_per_kwh <= HIGHEST_G_PER_KWH:
        raise UsageError(
            f"the grid intensity is {g_per_kwh:g} g/kWh; give grams of CO2e per kWh in (0, {HIGHEST_G_PER_KWH:.0f}], as"
            " your grid's operator publishes them"
        )


def footprint_facts(total: Energy, g_per_kwh: float | None) -> Iterator[tuple[str, str]]:
    """An account in kWh, and in CO2e if an intensity is given."""
    yield "Energy", f"{format_kwh(total.energy_j)}, {total.provenance}{_interval(total, format_kwh)}"
    if g_per_kwh is None:
        how = "give --grid-intensity, in g/kWh, to ecoml report: it differs twentyfold from grid to grid"
        yield "CO2e", f"not told, as no grid intensity was given; {how}"
        return

    def words(energy_j: float) -> str:
        return format_co2e(co2e_g(energy_j, g_per_kwh))

    yield "CO2e", f"{words(total.energy_j)} at {g_per_kwh:g} g/kWh, as given{_interval(total, words)}"


def _interval(total: Energy, words: Callable[[float], str]) -> str:
    half_j = total.uncertainty_j
    if half_j <= 0 or not math.isfinite(half_j):
        return ""
    low_j, high_j = max(0.0, total.energy_j - half_j), total.energy_j + half_j
    if total.provenance is Provenance.ESTIMATED:
        low_j, high_j = estimate_interval(total)
    return f"; between {words(low_j)} and {words(high_j)}"
