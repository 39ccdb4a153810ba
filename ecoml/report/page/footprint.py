"""What energy means outside: kWh, and greenhouse gas for a grid whose intensity the reader states."""

from __future__ import annotations

import math
from collections.abc import Callable

from ecoml.energy import J_PER_KWH, Provenance, format_kwh
from ecoml.errors import UsageError
from ecoml.report.page.document import Html, element, facts, section
from ecoml.run.result import EnergyAccount

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


def co2e_g(energy_j: float, g_per_kwh: float) -> float:
    """Grams of CO2e."""
    return energy_j / J_PER_KWH * g_per_kwh


def format_co2e(grams: float) -> str:
    """Grams for a reader, three significant digits: `0.12 mg`, `3.40 g`, `1.20 kg`."""
    for scale, unit in ((1e-3, "kg"), (1.0, "g"), (1e3, "mg")):
        scaled = grams * scale
        if scaled >= 0.9995 or unit == "mg":
            decimals = 0 if scaled >= 99.95 else 1 if scaled >= 9.995 else 2
            return f"{scaled:.{decimals}f} {unit}"
    raise AssertionError("milligrams take what is left")


def footprint_sentence(energy_j: float, provenance: Provenance, g_per_kwh: float | None) -> str:
    """kWh, and CO2e if an intensity is given, in one sentence with their source."""
    told = f"{format_kwh(energy_j)} ({provenance})"
    if g_per_kwh is None:
        return f"{told}. No grid intensity was given, so nothing is said of CO2e."
    return f"{told}, or {format_co2e(co2e_g(energy_j, g_per_kwh))} CO2e at {g_per_kwh:g} g/kWh, as given."


def outside_section(account: EnergyAccount, g_per_kwh: float | None) -> Html:
    """The account in kWh and CO2e, with what it leaves out."""
    total_j = account.total_j
    rows = [("Energy", f"{format_kwh(total_j)}, {account.provenance}{_range(account, format_kwh)}")]
    if g_per_kwh is None:
        how = "give --grid-intensity, in g/kWh, to ecoml report: it differs twentyfold from grid to grid"
        rows.append(("CO2e", f"not told, as no grid intensity was given; {how}"))
    else:
        grams = co2e_g(total_j, g_per_kwh)
        span = _range(account, lambda energy_j: format_co2e(co2e_g(energy_j, g_per_kwh)))
        rows.append(("CO2e", f"{format_co2e(grams)} at {g_per_kwh:g} g/kWh, as given{span}"))
    note = (
        "Only what was metered counts here: no losses of the power supply, no cooling of the room, no share of what it"
        " took to make the machine."
    )
    return section("outside", "What that is outside", facts(rows), element("p", note, "note"))


def _range(account: EnergyAccount, words: Callable[[float], str]) -> str:
    total_j, half_j = account.total_j, account.uncertainty_j
    if half_j <= 0 or not math.isfinite(half_j):
        return ""
    # An estimate is off by a factor, the same either way; a counter by joules.
    estimated = account.provenance is Provenance.ESTIMATED
    low_j = total_j**2 / (total_j + half_j) if estimated else max(0.0, total_j - half_j)
    return f"; between {words(low_j)} and {words(total_j + half_j)}"
