"""Sentences on an energy account: sources, sharing, gaps."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from ecoml.energy import THIS_PROCESS, Energy, Provenance, SharedUse
from ecoml.format.figures import duration, format_energy, format_interval, percent, plural

MEANING = {
    Provenance.MEASURED: "read from hardware counters",
    Provenance.SAMPLED: "integrated from power readings; changes between two readings are not seen",
    Provenance.ATTRIBUTED: "a share of what a counter measured over a longer time",
    Provenance.REPORTED: "reported by the training function; ecoml metered none of it",
    Provenance.ESTIMATED: "CPU seconds × stated constants where no counter was readable, to within a factor of two",
    Provenance.MISSING: "not metered",
}
"""What each provenance says about a figure."""

_NUMBER = re.compile(r"(?<![\w:.])\d+(?:[./]\d+)*(?!\w)")
"""A number that is not part of a device's name such as gpu:0."""


def describe_sharing(shared: Iterable[SharedUse]) -> list[str]:
    """Other users of the metered domains: a sentence for each domain, without its full stop."""
    by_domain: dict[str, list[SharedUse]] = {}
    told = []
    for use in shared:
        if use.name == THIS_PROCESS:
            told.append(
                f"another account of the same process metered this host too, for {duration(use.seconds)}: both"
                " accounts contain what both metered"
            )
        else:
            by_domain.setdefault(use.domain, []).append(use)
    for domain, uses in by_domain.items():
        lasted = f"{'the longest ' if len(uses) > 1 else ''}for {duration(max(use.seconds for use in uses))}"
        if domain == "host":
            others = plural(len(uses), "other ecoml process")
            told.append(
                f"{others} metered this host too, {lasted}: each counts an equal part of the energy they share, and"
                " its interval covers the rest"
            )
        else:
            first = f"{uses[0].name or 'process'} {uses[0].pid}"
            more = f" and {plural(len(uses) - 1, 'other process')}" if len(uses) > 1 else ""
            told.append(
                f"{domain} was also used by {first}{more}, {lasted}: their energy cannot be separated from this"
                " search's, and is counted with it"
            )
    return told


def describe_pretraining(backbones: Collection[str]) -> tuple[str, ...]:
    """The message about pretrained backbones, without its full stop; empty if there are none."""
    if not backbones:
        return ()
    return (f"not counted: the energy of the pretraining of {', '.join(sorted(backbones))}",)


def fold_gaps(gaps: Iterable[str]) -> list[str]:
    """The sentences, with those that differ only in numbers merged into one that says how many there were."""
    alike: dict[str, list[str]] = {}
    for gap in gaps:
        alike.setdefault(_NUMBER.sub("#", gap), []).append(gap)
    return [
        same[0]
        if len(same) == 1
        else f"{same[0]} ({len(same)} times{', with other numbers' if len({*same}) > 1 else ''})"
        for same in alike.values()
    ]


def describe_spent(energy: Energy, budget_j: float) -> str:
    """The part of a budget that is spent: `12.3 J ± 0.1 J (measured) of 36.0 J, 34 %`."""
    figure, of_budget = format_energy(energy.energy_j), f"of {format_energy(budget_j)}"
    if energy.provenance is Provenance.ESTIMATED:
        figure += ","
    worth = "" if energy.provenance is Provenance.REPORTED else f"{format_interval(energy)} "
    return f"{figure} {worth}({energy.provenance}) {of_budget}, {percent(energy.energy_j / budget_j, 0)}"
