"""Compares the counted energy with sources that are not counted, at rest and under load.

    same        two sources of one domain                       |P₁ − P₂| ≤ u₁ + u₂
    contains    a sum, such as a plug, and its parts            Σ P(parts) ≤ P(sum) + u, at rest, under load, and
                                                                for the rise between the two
    both                                                        each rises by at least a quarter of the other's rise

The output states the share of the sum that its parts explain. The rest (fans, disks, losses of the power supply, other
programs) is not an error. The test causes the rise itself. A source that does not show it is constant, late, or
measures another machine. If the parts do not explain the rise, a unit is wrong or a device is not counted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from ecoml.energy import EnergyByDomain, Provenance
from ecoml.meter.base import Source
from ecoml.meter.found import contains
from ecoml.meter.probe.finding import Opinion

Span = tuple[EnergyByDomain, float]
"""Energy by domain, and the seconds in which it was spent."""


def opinions_of(
    counted: Sequence[Source],
    rest: Span,
    load: Span,
    others: Sequence[Source],
    other_rest: Span,
    other_load: Span,
    settled_s: float,
) -> Iterator[Opinion]:
    """A comparison for each domain that two sources cover.

    Args:
        counted: The sources that are counted.
        rest: Their energy at rest.
        load: Their energy under load.
        others: The sources that are read for comparison.
        other_rest: Their energy at rest, over the same time.
        other_load: Their energy under load.
        settled_s: Seconds of load before the measurement.
    """
    ours, theirs = (rest, load), (other_rest, other_load)
    late = {source.name for source in (*counted, *others) if source.lag_s > settled_s}
    for source in others:
        parts = tuple(one.domain for one in counted if contains(source.domain, one.domain))
        if any(one.domain == source.domain for one in counted):
            yield _opinion(source, (source.domain,), theirs, ours, late)
        elif parts and all(one.provenance is not Provenance.ESTIMATED for one in counted if one.domain in parts):
            yield _opinion(source, parts, theirs, ours, late)
    for source in counted:
        parts = tuple(one.domain for one in others if contains(source.domain, one.domain))
        # A whole and its parts may both lie beside what is counted: psys and its packages below a plug.
        apart = tuple(part for part in parts if not any(contains(other, part) for other in parts))
        if apart:
            yield _opinion(source, apart, ours, theirs, late)


def _opinion(
    source: Source,
    parts: tuple[str, ...],
    whole: tuple[Span, Span],
    other: tuple[Span, Span],
    late: Collection[str],
) -> Opinion:
    (rest_w, rest_u), (load_w, load_u) = (_power(span, (source.domain,)) for span in whole)
    (parts_rest_w, parts_rest_u), (parts_load_w, parts_load_u) = (_power(span, parts) for span in other)
    powers_w = rest_w, load_w, parts_rest_w, parts_load_w
    within_w = rest_u + parts_rest_u, load_u + parts_load_u
    unread = _unread(whole, (source.domain,)) | _unread(other, parts)
    return Opinion(source.domain, source.name, parts, *powers_w, *within_w, source.name in late, tuple(sorted(unread)))


def _unread(spans: tuple[Span, Span], domains: Sequence[str]) -> set[str]:
    return {
        domain for energy, _ in spans for domain in domains if energy.domains[domain].provenance is Provenance.MISSING
    }


def _power(span: Span, domains: Sequence[str]) -> tuple[float, float]:
    """Mean power of several domains together, and its half-width."""
    energy, seconds = span
    parts = [energy.domains[domain] for domain in domains]
    return sum(part.energy_j for part in parts) / seconds, sum(part.uncertainty_j for part in parts) / seconds
