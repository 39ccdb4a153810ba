"""Idle power: what the metered domains draw before the search starts, and what a search cost beyond it.

Counters are observed during a quiet window, whose energy the search pays as overhead. An estimate knows its idle part
without waiting. The account states gross figures. The figure net of idle is what a machine that runs anyway would have
saved without the search.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from ecoml.energy import Energy, EnergyByDomain, Provenance
from ecoml.meter.base import Meter, Window, pace_of

SHORTEST_S = 1.0
PERIODS = 20
"""The quiet window lasts at least this many seconds, and this many updates of the slowest counter; its edges then cause
an error of ± 10 %.
"""

LONGEST_S = 5.0

LEAD_S = 0.5
"""The counters are read for this many seconds before the window, until their delay is known."""

MOST_OF_BUDGET = 0.01
"""Largest share of the budget that the quiet window may take."""

_SLICE_S = 0.05
_FORESEEN_S = 0.5  # joules over less say more about the counter's ticks

_COUNTED = (Provenance.MEASURED, Provenance.SAMPLED)


@dataclass(frozen=True, slots=True)
class Idle:
    """The idle power of the host.

    Attributes:
        by_domain: Joules of one idle second by domain, for the entire host, including the shares of other processes.
        note: Why the idle power of a domain is unknown, one sentence; empty if all are known.
    """

    by_domain: Mapping[str, Energy] = field(default_factory=dict)
    note: str = ""


def measure_idle(meter: Meter, budget_j: float) -> Idle:
    """Observe the counters of a meter in a quiet window, unless this takes more than a hundredth of the budget."""
    known: Mapping[str, Energy] = getattr(meter, "idle", {})
    counted = [source for source in meter.sources if source.used and source.provenance in _COUNTED]
    pace = pace_of(meter)
    if not counted:
        return Idle(known)
    if pace.sleep is None:
        return Idle(known, "idle power was not measured: the time of this meter is simulated, and nothing waits for it")
    lasts_s = min(LONGEST_S, max([SHORTEST_S, *(PERIODS * (source.period_s or 0.0) for source in counted)]))
    seen, seconds, claimed_s = _quiet(meter, lasts_s, MOST_OF_BUDGET * budget_j, pace.clock, pace.sleep)
    if seen is None:
        return Idle(
            known,
            f"idle power was not measured: {LEAD_S + lasts_s:.3g} s of idling take more than"
            f" {MOST_OF_BUDGET:.0%} of the budget",
        )
    by_domain = {
        domain: part.times(1 / claimed_s[domain])
        for domain, part in seen.domains.items()
        if part.provenance in _COUNTED and part.energy_j > 0 and claimed_s[domain] > 0
    }
    still = [source.domain for source in counted if source.domain not in by_domain]
    note = f"the idle power of {', '.join(still)} was not measured: its counter did not move in {seconds:.3g} s"
    return Idle({**known, **by_domain}, note if still else "")


def _quiet(
    meter: Meter, lasts_s: float, most_j: float, clock: Callable[[], float], sleep: Callable[[float], None]
) -> tuple[EnergyByDomain | None, float, Mapping[str, float]]:
    """Energy of a quiet window, its seconds, and the seconds of each domain that this process counts.

    None in place of the energy if the window would take too much.
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
    """Seconds of a window, up to its last lap, by domain. A user's own window that does not state them counts all of
    them.
    """
    tell = getattr(window, "claimed_s", dict)
    return dict.fromkeys(domains, lasted_s) | tell()
