"""Conformance suite for energy meters.

    @pytest.mark.parametrize("check", METER_CHECKS)
    def test_conformance(check):
        check(open_my_meter, work)

Each check takes a function that opens a new meter, and a function that spends energy on what the meter covers for a
number of seconds on the meter's clock. It raises AssertionError with a sentence that says what was expected.
`ecoml.testing.hosts` has hosts for such tests.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections import Counter
from collections.abc import Callable

from ecoml.energy import EnergyByDomain, Provenance
from ecoml.meter.base import Meter
from ecoml.testing.hosts import SimulatedCounter, SimulatedHost

__all__ = ["METER_CHECKS", "OpenMeter", "SimulatedCounter", "SimulatedHost", "Work"]

OpenMeter = Callable[[], Meter]
Work = Callable[[float], None]

WORK_S = 2.0
"""Seconds that `work` is asked to run each time."""


def check_readings_grow(open_meter: OpenMeter, work: Work) -> None:
    """Domains do not change, no reading is negative, none decreases, and work increases the sum."""
    meter = open_meter()
    readings = [meter.read()]
    for _ in range(4):
        work(WORK_S)
        readings.append(meter.read())
    meter.close()
    for before, after in itertools.pairwise(readings):
        assert before.keys() == after.keys(), "a meter's domains must stay the same"
        for domain in before:
            assert 0 <= before[domain] <= after[domain] < math.inf, f"{domain} fell from one reading to the next"
    assert sum(readings[-1].values()) > sum(readings[0].values()) or not readings[0], "work must show"


def check_laps_sum_to_the_window(open_meter: OpenMeter, work: Work) -> None:
    """Nothing is lost or counted twice between laps; the lap after the window's close is the last one."""
    meter = open_meter()
    laps: list[EnergyByDomain] = []
    with meter.window() as window:
        for number in range(5):
            work(WORK_S * number / 4)
            laps.append(window.lap())
        work(WORK_S)
    work(WORK_S)
    laps.append(window.lap())
    whole = window.by_domain
    for domain, energy_j in whole.items():
        parts_j = math.fsum(lap.by_domain[domain] for lap in laps)
        assert math.isclose(parts_j, energy_j, rel_tol=1e-9, abs_tol=1e-6), f"{domain}: {parts_j} J is not {energy_j} J"
    assert window.lap().energy_j == 0, "a lap after the last one must be empty"
    meter.close()


def check_windows_agree(open_meter: OpenMeter, work: Work) -> None:
    """A window inside another has no more energy than that one, and neither has more than the readings around both."""
    meter = open_meter()
    before = meter.read()
    with meter.window() as outer:
        work(WORK_S)
        overlapping = meter.window()
        with meter.window() as inner:
            work(WORK_S)
    work(WORK_S)
    overlapping_j = overlapping.by_domain
    after = meter.read()
    meter.close()
    for domain in after:
        assert 0 <= inner.by_domain[domain] <= outer.by_domain[domain], f"{domain}: the inner window has more"
        assert inner.by_domain[domain] <= overlapping_j[domain], f"{domain}: a window closed earlier has more"
        slack_j = 1e-6 + 1e-9 * after[domain]
        assert overlapping_j[domain] <= after[domain] - before[domain] + slack_j, f"{domain}: more than the readings"
        assert outer.by_domain[domain] <= after[domain] - before[domain] + slack_j, f"{domain}: more than the readings"


def check_a_closed_window_stands_still(open_meter: OpenMeter, work: Work) -> None:
    """A window's values do not change after its close; it opens on entry, not before."""
    meter = open_meter()
    window = meter.window()
    work(WORK_S)
    early = window.energy_j
    with window:
        work(WORK_S / 4)
    first = window.by_domain, window.uncertainty_j, window.provenance, window.gaps
    work(WORK_S)
    assert (window.by_domain, window.uncertainty_j, window.provenance, window.gaps) == first, (
        "a closed window's energy changed"
    )
    assert early >= 0
    with meter.window() as empty:
        pass
    assert empty.energy_j <= max(window.energy_j, early), "an empty window must not contain earlier energy"
    meter.close()


def check_provenance_is_named(open_meter: OpenMeter, work: Work) -> None:
    """Every figure has a source, an uncertainty and a provenance, and missing domains are named."""
    meter = open_meter()
    with meter.window() as window:
        work(WORK_S)
    lap = window.lap()
    used = Counter(source.domain for source in meter.sources if source.used)
    assert set(meter.read()) == set(used), "each domain read must be one of the sources used, and the other way round"
    assert set(used.values()) <= {1}, "two sources of one domain must not both be used"
    for source in meter.sources:
        assert source.name, "a source needs a name"
        assert source.covers, f"{source.name} must say what it covers"
        assert source.readable or source.remedy, f"{source.name} must say how it can be read"
        assert source.readable or not source.used, f"{source.name} is used but cannot be read"
    for domain, part in lap.domains.items():
        assert 0 <= part.uncertainty_j < math.inf, f"{domain}: an uncertainty is a half-width in joules"
        if part.provenance is Provenance.MISSING:
            assert any(domain in gap for gap in lap.gaps), f"{domain} is missing, and no gap names it"
        if part.provenance is Provenance.ESTIMATED:
            assert part.uncertainty_j > 0 or part.energy_j == 0, f"{domain}: an estimate is never exact"
    assert lap.provenance is window.provenance, "a window must have the provenance of its only lap"
    # A share of a measured total is what a counter has for a window shorter than its updates, and no broken promise.
    worth = [
        Provenance.MEASURED if part.provenance is Provenance.ATTRIBUTED else part.provenance
        for part in lap.domains.values()
    ]
    assert not any(provenance.rank > meter.provenance.rank for provenance in worth), (
        "a meter must not state a stronger provenance than its windows"
    )
    meter.close()


def check_closing_is_final(open_meter: OpenMeter, work: Work) -> None:
    """A closed meter repeats its last answers; closing it twice is allowed."""
    meter = open_meter()
    window = meter.window()
    work(WORK_S)
    meter.close()
    last = meter.read()
    total_j = window.energy_j
    meter.close()
    work(WORK_S)
    assert meter.read() == last, "a closed meter's reading changed"
    assert window.energy_j == total_j, "the energy of a closed meter's window changed"
    window.lap()
    assert meter.window().energy_j == 0, "a window of a closed meter is empty"
    assert meter.sources, "a closed meter still says what its sources were"


def check_threads_may_share_it(open_meter: OpenMeter, work: Work) -> None:
    """Threads that read and lap at the same time see readings grow, and their laps together make up the window."""
    meter = open_meter()
    window = meter.window()
    laps: list[EnergyByDomain] = []
    faults: list[str] = []
    done = threading.Event()

    def read() -> None:
        last = meter.read()
        while not done.is_set():
            now = meter.read()
            if any(now[domain] < last[domain] for domain in last):
                faults.append(f"a reading fell: {last} J, then {now} J")
            last = now

    def lap() -> None:
        for _ in range(20):
            laps.append(window.lap())  # noqa: PERF401 - another thread appends to it

    readers = [threading.Thread(target=read) for _ in range(2)]
    lappers = [threading.Thread(target=lap) for _ in range(3)]
    for thread in readers + lappers:
        thread.start()
    work(WORK_S)
    for thread in lappers:
        thread.join()
    done.set()
    for thread in readers:
        thread.join()
    with meter.window():
        laps.append(window.lap())
    meter.close()
    laps.append(window.lap())
    assert not faults, faults[0]
    for domain, energy_j in window.by_domain.items():
        parts_j = math.fsum(lap.by_domain[domain] for lap in laps)
        assert math.isclose(parts_j, energy_j, rel_tol=1e-9, abs_tol=1e-6), f"{domain}: {parts_j} J is not {energy_j} J"


def check_what_is_shown_is_of_its_own_domains(open_meter: OpenMeter, work: Work) -> None:
    """Power is finite and ≥ 0, devices and sources are named by domains, periods are positive, nothing raises."""
    meter = open_meter()
    for _ in range(3):
        work(WORK_S)
        domains = set(meter.read())
        powers_w = meter.power_w()
        assert set(powers_w) <= domains, "power of a domain that is not metered"
        assert all(0 <= power_w < math.inf for power_w in powers_w.values()), f"{powers_w} W cannot be"
        for domain, state in meter.observe().items():
            assert domain in domains, f"{domain} is not metered"
            assert state.utilisation is None or 0 <= state.utilisation <= 1, "utilisation is a share"
    assert all(pid > 0 for pid in meter.neighbours)
    for source in meter.sources:
        assert source.period_s is None or source.period_s > 0, f"{source.name}: {source.period_s} s is no period"
        assert source.period_s is not None or not source.period_measured, f"{source.name} measured nothing"
        assert source.resolution_j is None or source.resolution_j > 0, f"{source.name}: {source.resolution_j} J"
    meter.close()


METER_CHECKS: tuple[Callable[[OpenMeter, Work], None], ...] = (
    check_readings_grow,
    check_laps_sum_to_the_window,
    check_windows_agree,
    check_a_closed_window_stands_still,
    check_provenance_is_named,
    check_closing_is_final,
    check_threads_may_share_it,
    check_what_is_shown_is_of_its_own_domains,
)
"""All checks."""
