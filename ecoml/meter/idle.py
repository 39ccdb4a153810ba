"""Idle power: what the metered domains draw before the search begins, and what a search cost beyond it.

Counters are watched through a quiet window, whose joules are the search's as all others are (overhead). A model knows
its idle part without waiting. Gross figures stay the account's; net of idle is what not searching would have saved on a
machine that runs anyway.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ecoml.energy import Energy, EnergyByDomain, Provenance
from ecoml.format import format_energy
from ecoml.meter.base import Meter

SHORTEST_S = 1.0
PERIODS = 20
"""The quiet window lasts so many seconds at least, and so many updates of the slowest counter: ± 10 % by its edges."""

LONGEST_S = 5.0

LEAD_S = 0.5
"""Before it, the counters are read for so long that it is known how late their readings are."""

MOST_OF_BUDGET = 0.01
"""Share of the budget that the quiet window may take."""

_SLICE_S = 0.05
_FORESEEN_S = 0.5  # joules over less say more about the counter's ticks

_COUNTED = (Provenance.MEASURED, Provenance.SAMPLED)


@dataclass(frozen=True, slots=True)
class Idle:
    """What is known of idling.

    Attributes:
        by_domain: Joules of an idle second by domain.
        note: Why it is not known of a domain, one sentence; empty if it is of all.
    """

    by_domain: Mapping[str, Energy] = field(default_factory=dict)
    note: str = ""


def measure_idle(
    meter: Meter,
    budget_j: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Idle:
    """Watch the counters of a meter through a quiet window, unless that takes more than a hundredth of the budget."""
    known: Mapping[str, Energy] = getattr(meter, "idle", {})
    counted = [source for source in meter.sources if source.used and source.provenance in _COUNTED]
    if not counted:
        return Idle(known)
    lasts_s = min(LONGEST_S, max([SHORTEST_S, *(PERIODS * (source.period_s or 0.0) for source in counted)]))
    seen, seconds = _quiet(meter, lasts_s, MOST_OF_BUDGET * budget_j, clock, sleep)
    if seen is None:
        return Idle(
            known,
            f"idle power was not measured: {LEAD_S + lasts_s:.3g} s of it take more than {MOST_OF_BUDGET:.0%} of the"
            f" budget of {format_energy(budget_j)}",
        )
    by_domain = {
        domain: part.times(1 / seconds)
        for domain, part in seen.domains.items()
        if part.provenance in _COUNTED and part.energy_j > 0 and seconds > 0
    }
    still = [source.domain for source in counted if source.domain not in by_domain]
    note = f"the idle power of {', '.join(still)} was not measured: nothing was counted in {seconds:.3g} s"
    return Idle({**known, **by_domain}, note if still else "")


def _quiet(
    meter: Meter, lasts_s: float, most_j: float, clock: Callable[[], float], sleep: Callable[[float], None]
) -> tuple[EnergyByDomain | None, float]:
    """Energy of a window in which nothing is done, and its seconds; None as soon as it is foreseen to take too much."""
    with meter.window() as window:
        began_s = opened_s = clock()
        for index in range(round((LEAD_S + lasts_s) / _SLICE_S)):
            if index == round(LEAD_S / _SLICE_S):
                window.lap()
                opened_s = clock()
            sleep(_SLICE_S)
            lasted_s = clock() - began_s
            foreseen = max(1.0, (LEAD_S + lasts_s) / lasted_s) if lasted_s >= _FORESEEN_S else 1.0
            spent_j = window.energy_j
            if spent_j * foreseen > most_j:
                return None, lasted_s
            if lasted_s >= lasts_s / 2 and not spent_j:  # it counts nothing, and will not
                break
    return window.lap(), clock() - opened_s
