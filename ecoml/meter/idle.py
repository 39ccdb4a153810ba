"""Idle power: what the metered domains draw before the search begins, and what a search cost beyond it.

Counters are watched through a quiet window, whose joules are the search's as all others are (overhead). A model knows
its idle part without waiting. Gross figures stay the account's; net of idle is what not searching would have saved on a
machine that runs anyway.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from ecoml.energy import Energy, EnergyByDomain, Provenance
from ecoml.meter.base import Meter, Window

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
        by_domain: Joules of an idle second by domain, of the whole host: also what others claim of it.
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
    seen, seconds, claimed_s = _quiet(meter, lasts_s, MOST_OF_BUDGET * budget_j, clock, sleep)
    if seen is None:
        return Idle(
            known,
            f"idle power was not measured: {LEAD_S + lasts_s:.3g} s of it take more than {MOST_OF_BUDGET:.0%} of the"
            " budget",
        )
    by_domain = {
        domain: part.times(1 / claimed_s[domain])
        for domain, part in seen.domains.items()
        if part.provenance in _COUNTED and part.energy_j > 0 and claimed_s[domain] > 0
    }
    still = [source.domain for source in counted if source.domain not in by_domain]
    note = f"the idle power of {', '.join(still)} was not measured: nothing was counted in {seconds:.3g} s"
    return Idle({**known, **by_domain}, note if still else "")


def _quiet(
    meter: Meter, lasts_s: float, most_j: float, clock: Callable[[], float], sleep: Callable[[float], None]
) -> tuple[EnergyByDomain | None, float, Mapping[str, float]]:
    """Energy of a window in which nothing is done, its seconds, and those of each domain that are claimed here.

    None instead of the energy as soon as it is foreseen to take too much.
    """
    whole = quiet = meter.window()
    began_s = opened_s = clock()
    for index in range(round((LEAD_S + lasts_s) / _SLICE_S)):
        if index == round(LEAD_S / _SLICE_S):
            quiet, opened_s = meter.window().__enter__(), clock()
        sleep(_SLICE_S)
        lasted_s = clock() - began_s
        foreseen = max(1.0, (LEAD_S + lasts_s) / lasted_s) if lasted_s >= _FORESEEN_S else 1.0
        spent_j = whole.energy_j
        if spent_j * foreseen > most_j:
            return None, lasted_s, {}
        if lasted_s >= lasts_s / 2 and not spent_j:  # it counts nothing, and will not
            break
    quiet.__exit__(None, None, None)
    seen, seconds = quiet.lap(), clock() - opened_s
    return seen, seconds, claimed_seconds(quiet, seen.domains, seconds)


def claimed_seconds(window: Window, domains: Iterable[str], lasted_s: float) -> dict[str, float]:
    """Seconds of a window, up to its last lap, by domain; a window of one's own that does not tell claims them all."""
    tell = getattr(window, "claimed_s", dict)
    return dict.fromkeys(domains, lasted_s) | tell()
