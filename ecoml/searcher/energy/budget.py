"""The budget of a search: what CO2e allows, and whether it is too small or spent."""

from __future__ import annotations

import time
from pathlib import Path

from ecoml.carbon.grid import Grid
from ecoml.endings import StopReason
from ecoml.energy import J_PER_KWH, EnergyByDomain, Provenance
from ecoml.errors import BudgetError, UsageError
from ecoml.format import describe_search_end, format_co2e, format_energy
from ecoml.metric import Metric
from ecoml.run.storage.snapshot import Snapshot

FORESEEN_S = 30 * 86400.0
CLEANEST_G_PER_KWH = 5.0
"""Lower bound of a grid's mean intensity over a day. It limits the joules of a CO2e budget if an hour emits less, or is
unknown.
"""


def budget_of_co2e(budget_g: float, grid: Grid, until_s: float) -> float:
    """The most joules that this many grams of CO2e allow, in the cleanest known hour up to a time."""
    now_s = time.time()
    known = [g_per_kwh for _, _, g_per_kwh in grid.course(now_s, min(until_s, now_s + FORESEEN_S))]
    cleanest = max(CLEANEST_G_PER_KWH, min(known, default=CLEANEST_G_PER_KWH))
    return budget_g / cleanest * J_PER_KWH


def too_small(
    budget_j: float, spent_j: float, provenance: Provenance, what: str, grams: tuple[float, float] | None = None
) -> BudgetError:
    """The error for a budget that was spent before the first measurement.

    Args:
        budget_j: The budget.
        spent_j: The energy that was spent.
        provenance: Its provenance.
        what: What it was spent on.
        grams: The CO2e budget and what was spent of it, if the search ended by that budget; else None.
    """
    if grams is not None:
        budget_g, spent_g = grams
        return BudgetError(
            f"the budget of {format_co2e(budget_g)} CO2e is too small for one trial: {what} took {format_co2e(spent_g)}"
            f" ({format_energy(spent_j)}, {provenance}) before the first measurement;"
            f" give several times that, at least budget_gco2e={10 * max(spent_g, budget_g):.2g}",
            spent_j=spent_j,
        )
    return BudgetError(
        f"the budget of {format_energy(budget_j)} ({budget_j / J_PER_KWH:.3g} kWh) is too small for one trial:"
        f" {what} took {format_energy(spent_j)} ({provenance}) before the first measurement;"
        f" give several times that, at least budget_kwh={10 * max(spent_j, budget_j) / J_PER_KWH:.2g}",
        spent_j=spent_j,
    )


_COMPLETE = (StopReason.TARGET_REACHED, StopReason.MAX_TRIALS, StopReason.EXHAUSTED, StopReason.NOT_WORTH_IT)


def refuse_complete(run: Path, before: Snapshot, metric: Metric) -> None:
    """Refuse to resume a search that would end again at once, before its preparation takes energy.

    Raises:
        UsageError: The search is complete.
    """
    ended = before.ended
    if ended is None or ended.reason not in _COMPLETE:
        return
    early = ended.reason is StopReason.NOT_WORTH_IT
    way = "spend_all=True continues it all the same" if early else f"a new search with warm_start={run} learns from it"
    raise UsageError(f"{run}: this search is complete: {describe_search_end(ended, metric)}; {way}")


def refuse_spent(run: Path, budget_j: float, before: Snapshot) -> None:
    """Refuse to resume a run whose budget is spent, or would be spent by the preparation alone.

    Raises:
        BudgetError: The budget is spent.
    """
    getting_ready_j = before.settings.get("getting_ready_j", 0.0)
    budget_g, spent_g = before.settings.get("budget_g"), before.co2e.co2e_g
    if budget_g is not None and spent_g >= budget_g:
        raise BudgetError(
            f"{run}: {format_co2e(spent_g)} CO2e are spent of the budget of {format_co2e(budget_g)}; give a larger one:"
            " --add-gco2e on the command line, budget_gco2e= (the new total) in Python",
            spent_j=before.spent_j,
        )
    if before.spent_j + getting_ready_j < budget_j:
        return
    provenance = sum(before.by_purpose.values(), EnergyByDomain()).provenance
    ready = f", and preparing again takes about {format_energy(getting_ready_j)}" if getting_ready_j > 0 else ""
    raise BudgetError(
        f"{run}: {format_energy(before.spent_j)} ({provenance}) are spent of the budget of {format_energy(budget_j)}"
        f"{ready}; give a larger one: --add-kwh on the command line, in Python the new total as `budget_kwh`",
        spent_j=before.spent_j,
    )
