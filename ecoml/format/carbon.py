"""Sentences on CO2e, grids, and waiting for a cleaner grid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from ecoml.energy import Energy, Provenance
from ecoml.format.figures import duration, format_energy, format_kwh, percent

if TYPE_CHECKING:
    from ecoml.carbon.footprint import Footprint
    from ecoml.carbon.plan import Waiting

GRID_MEANING = {
    "stated": "one intensity for all hours, as given",
    "table": "each hour's, from a table",
    "provider": "each hour's, from a service that watches the grid",
}
"""What the provenance of a carbon intensity says."""


def format_co2e(grams: float) -> str:
    """Grams of CO2e, three significant digits: `0.12 mg`, `3.40 g`, `1.20 kg`."""
    unit, scale = ("kg", 1e-3) if grams >= 999.5 else ("g", 1.0) if grams >= 0.9995 else ("mg", 1e3)
    scaled = grams * scale
    return f"{scaled:.{0 if scaled >= 99.95 else 1 if scaled >= 9.995 else 2}f} {unit}"


def describe_footprint(energy: Energy, footprint: Footprint | None) -> str:
    """The energy in kWh with its provenance, and its CO2e if a grid was named."""
    told = f"{format_kwh(energy.energy_j)} ({energy.provenance})"
    if footprint is None:
        return f"{told}. No grid intensity was given, so the CO2e is not known."
    return f"{told}. CO2e: {describe_co2e(footprint)}."


def describe_co2e(footprint: Footprint) -> str:
    """The CO2e of a search, a sentence without its full stop; empty if no intensity is known."""
    if footprint.provenance is None:
        return ""
    if footprint.energy_j <= 0 and footprint.unknown_j > 0:
        return f"not known, as {footprint.grid} has no value for its hours"
    mean_g = footprint.g_per_kwh or 0.0
    told = format_co2e(footprint.co2e_g)
    if footprint.provenance == "stated":
        told += f" at {mean_g:g} g/kWh, as given"
    else:
        told += f" at {mean_g:.0f} g/kWh on average ({footprint.provenance}: {footprint.grid})"
    if footprint.counted_g is not None:
        told += f"; the search counted {format_co2e(footprint.counted_g)}"
    if footprint.budget_g is not None:
        counted_g = footprint.co2e_g if footprint.counted_g is None else footprint.counted_g
        told += f", {percent(counted_g / footprint.budget_g, 1)} of the budget of {format_co2e(footprint.budget_g)}"
    if footprint.unknown_j > 0:
        told += f"; for {format_energy(footprint.unknown_j)} the intensity is not known"
    if footprint.paused_s > 0:
        idling = format_energy(footprint.paused_j)
        told += f"; paused for {duration(footprint.paused_s)} while the grid was dirtier; idling took {idling}"
    return told


def describe_pause(g_per_kwh: float, limit_g_per_kwh: float, until_s: float) -> str:
    """The message that a search starts to wait."""
    return (
        f"paused: the grid is at {g_per_kwh:.0f} g/kWh, above {limit_g_per_kwh:g}; the search waits until"
        f" {format_moment(until_s)} at the latest, and the energy of idling counts"
    )


def describe_resumption(g_per_kwh: float, waited_s: float, took_j: float, provenance: Provenance) -> str:
    """The message that a search continues after a wait."""
    idling = f"{format_energy(took_j)} ({provenance}) of idling"
    return f"continues at {g_per_kwh:.0f} g/kWh, after {duration(waited_s)} and {idling}"


def describe_plan(plans: Sequence[Waiting], limit_g_per_kwh: float, until_s: float) -> Iterator[str]:
    """The savings that waiting is expected to give: a sentence for each length of search, without its full stop."""
    yield f"waits while the grid is above {limit_g_per_kwh:g} g/kWh, until {format_moment(until_s)}; foreseen:"
    for plan in plans:
        straight, clean = f"{plan.straight_g_per_kwh:.0f} g/kWh at once", f"{plan.clean_g_per_kwh:.0f}"
        over = f"over at {format_moment(plan.ends_s)}"
        if not plan.waited_s:
            yield f"{plan.hours:g} h of work: {straight}, and no waiting; {over}"
            continue
        saved = f"{percent(plan.saved, 0)} less" if plan.saved >= 0 else f"{percent(-plan.saved, 0)} more"
        waited = f"{clean} with {duration(plan.waited_s)} of waiting ({saved}, idling left out"
        eaten = (
            f"; idling at {percent(plan.break_even, 0)} of the power of work cancels the saving)"
            if plan.saved > 0
            else ")"
        )
        yield f"{plan.hours:g} h of work: {straight}, {waited}{eaten}; {over}"
    if not plans:
        yield "no forecast of the grid is known, so the savings cannot be predicted"


def format_moment(at_s: float) -> str:
    """The local time, with its date if that is not today: `18:00`, `2026-11-28 06:00`."""
    at, now = datetime.fromtimestamp(at_s), datetime.now()
    return f"{at:%H:%M}" if at.date() == now.date() else f"{at:%Y-%m-%d %H:%M}"
