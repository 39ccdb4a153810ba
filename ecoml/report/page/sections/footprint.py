"""Carbon footprint: kWh, and CO2e if the grid's carbon intensity is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from ecoml.carbon.footprint import Footprint
from ecoml.energy import Energy, Provenance, co2e_g
from ecoml.format import GRID_MEANING, describe_co2e, estimate_interval, format_co2e, format_kwh


def footprint_facts(total: Energy, footprint: Footprint) -> Iterator[tuple[str, str]]:
    """An account in kWh, and in CO2e if an intensity is known."""
    yield "Energy", f"{format_kwh(total.energy_j)}, {total.provenance}{_interval(total, format_kwh)}"
    mean_g = footprint.g_per_kwh
    if footprint.provenance is not None and mean_g is None:
        yield "CO2e", describe_co2e(footprint)
        return
    if footprint.provenance is None or mean_g is None:
        how = "give --grid-intensity (g/kWh, or a CSV) to ecoml report: grids differ twentyfold"
        yield "CO2e", f"not known, as no grid intensity was given; {how}"
        return

    known = footprint.energy_j / (footprint.energy_j + footprint.unknown_j)

    def words(energy_j: float) -> str:
        return format_co2e(co2e_g(known * energy_j, mean_g))

    yield "CO2e", f"{describe_co2e(footprint)}{_interval(total, words)}"
    yield "Intensity", f"{footprint.provenance}: {GRID_MEANING[footprint.provenance]}"
    if len(footprint.by_purpose) > 1:
        parts = (f"{purpose} {format_co2e(grams)}" for purpose, grams in footprint.by_purpose.items())
        yield "CO2e by purpose", ", ".join(parts)


def _interval(total: Energy, words: Callable[[float], str]) -> str:
    half_j = total.uncertainty_j
    if half_j <= 0 or not math.isfinite(half_j):
        return ""
    low_j, high_j = max(0.0, total.energy_j - half_j), total.energy_j + half_j
    if total.provenance is Provenance.ESTIMATED:
        low_j, high_j = estimate_interval(total)
    return f"; between {words(low_j)} and {words(high_j)}"
