"""The energy account as a section of a page: how much, on what, from which source, and what went unseen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ecoml.energy import J_PER_KWH, Energy, Provenance, format_energy, format_figure, format_kwh
from ecoml.report.page.document import Cell, Html, element, facts, percent, section, table, text
from ecoml.run.result import EnergyAccount

PROVENANCE_NOTES: Mapping[Provenance, str] = {
    Provenance.MEASURED: "read from a hardware energy counter.",
    Provenance.SAMPLED: "power readings, integrated over time; what happened between two readings went unseen.",
    Provenance.REPORTED: "brought along by the training function. ecoml metered nothing and vouches for none of it.",
    Provenance.ESTIMATED: (
        "no energy counter could be read here; the figure comes from CPU seconds × stated constants"
        " and may be off by a factor of two either way."
    ),
    Provenance.MISSING: "nobody looked; joules were spent here that no figure shows.",
}
"""What a provenance means to a reader."""


def energy_section(account: EnergyAccount) -> Html:
    """By purpose and by domain, with provenance, uncertainty, budget, overshoot bound and gaps."""
    total_j = account.total_j
    colours = {name: f"var(--series-{index})" for index, name in enumerate(account.by_purpose, start=1)}

    def share(part_j: float) -> str:
        return percent(part_j / total_j) if total_j > 0 else "–"

    parts = "".join(
        f'<span style="width:{100 * part_j / total_j:.3f}%;background:{colours[name]}"></span>'
        for name, part_j in account.by_purpose.items()
        if total_j > 0 and part_j > 0
    )
    by_purpose: list[list[Cell]] = [
        [
            Html(f'<span class="swatch" style="background:{colours[name]}" aria-hidden="true"></span>{text(name)}'),
            format_figure(part_j, account.uncertainty_by_purpose[name], account.provenance_by_purpose[name]),
            share(part_j),
            account.provenance_by_purpose[name].value,
        ]
        for name, part_j in account.by_purpose.items()
    ]
    total = format_figure(total_j, account.uncertainty_j, account.provenance)
    by_purpose.append(["total", total, share(total_j), account.provenance.value])
    by_domain = [
        [
            name,
            format_figure(part_j, account.uncertainty_by_domain[name], account.provenance_by_domain[name]),
            share(part_j),
            account.provenance_by_domain[name].value,
        ]
        for name, part_j in account.by_domain.items()
    ]
    gaps = _told(
        "The meter could not see everything; these joules are in no figure here:",
        _counted(gap for gap in account.gaps if gap not in account.unmeasured),
    )
    return section(
        "energy",
        "Where the energy went",
        gaps,
        _told("What keeps the energy from being measured here:", account.unmeasured),
        _told("Others used what is metered, and their joules cannot be told apart:", map(str, account.shared)),
        facts(_energy_facts(account)),
        Html(f'<div class="bar" aria-hidden="true">{parts}</div>') if parts else None,
        table(["Purpose", "Energy", "Share", "Source"], by_purpose, caption="By purpose", numeric=(1, 2)),
        table(["Domain", "Energy", "Share", "Source"], by_domain, caption="By domain", numeric=(1, 2))
        if by_domain
        else None,
        provenance_notes({*account.provenance_by_domain.values(), account.provenance}),
    )


def _energy_facts(account: EnergyAccount) -> Iterable[tuple[str, Cell]]:
    total_j = account.total_j
    yield "Spent", f"{format_energy(total_j)} ({format_kwh(total_j)}), {account.provenance}"
    if account.provenance is Provenance.ESTIMATED:
        yield "Upper end of the estimate", f"{format_energy(total_j + account.uncertainty_j)} ({account.provenance})"
    elif account.uncertainty_j > 0:
        yield "Uncertainty", f"± {format_energy(account.uncertainty_j)}"
    else:
        yield "Uncertainty", "none is known"
    yield "Budget", f"{format_energy(account.budget_j)} ({account.budget_j / J_PER_KWH:.3g} kWh)"
    over_j = total_j - account.budget_j
    if over_j > 0:
        yield "Over the budget", f"{format_energy(over_j)} ({account.provenance})"
    else:
        yield "Left", f"{format_energy(account.left_j)} ({account.provenance})"
    yield (
        "Overshoot bound",
        f"{format_energy(account.overshoot_bound_j)}, the most spent between two looks at the budget"
        f" ({account.provenance})",
    )
    if account.idle is not None and account.net is not None:
        idle_share = percent(account.idle.energy_j / total_j) if total_j > 0 else "–"
        yield "Idle", f"{_figure(account.idle)}, {idle_share} of the total: drawn with nothing done"
        yield "Net of idle", _figure(account.net)
    else:
        yield "Idle", f"not known: {account.idle_note}"
    if account.thinking_cpu_s > 0:
        yield "Optimiser, apart", f"{account.thinking_cpu_s:.3g} CPU seconds, not part of the reported energy"


def provenance_notes(sources: Iterable[Provenance]) -> Html:
    """What the sources that occur on a page are worth."""
    used = sorted(set(sources), key=lambda source: source.rank)
    notes = [Html(f"<strong>{source}</strong>: {text(PROVENANCE_NOTES[source])}") for source in used]
    if len(used) > 1:
        notes.append(text("A total is worth as much as its weakest part."))
    return element("p", Html(" ".join(notes)), "note")


def _told(heading: str, sentences: Iterable[str]) -> Html | None:
    """A warning, if there is anything to warn of."""
    listed = "".join(element("li", sentence) for sentence in sentences)
    return Html(f'<div class="warning"><p>{text(heading)}</p><ul>{listed}</ul></div>') if listed else None


def _figure(energy: Energy) -> str:
    return f"{format_figure(energy.energy_j, energy.uncertainty_j, energy.provenance)}, {energy.provenance}"


def _counted(gaps: Iterable[str]) -> list[str]:
    counts: dict[str, int] = {}
    for gap in gaps:
        counts[gap] = counts.get(gap, 0) + 1
    return [gap if count == 1 else f"{gap} ({count} times)" for gap, count in counts.items()]
