"""The energy account as a section of a page: amounts, purposes, sources, and gaps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ecoml.energy import Energy, Provenance
from ecoml.format import (
    describe_pretraining,
    describe_sharing,
    estimate_interval,
    fold_gaps,
    format_energy,
    format_figure,
    format_kwh,
    percent,
)
from ecoml.report.page.document import Cell, Row, Table
from ecoml.run.account import EnergyAccount


def energy_context(account: EnergyAccount) -> dict[str, Any]:
    """By purpose and by domain, with provenance, uncertainty, budget, overshoot bound and gaps."""
    series = {purpose: f"series-{index}" for index, purpose in enumerate(account.by_purpose, start=1)}
    by_purpose: list[Row] = [
        [Cell(purpose.value, css=f"swatch {series[purpose]}"), *_row(part, account.total_j)]
        for purpose, part in account.by_purpose.items()
    ]
    by_purpose.append(["total", *_row(account.total, account.total_j)])
    by_domain = [[name, *_row(part, account.total_j)] for name, part in account.by_domain.items()]
    hosts = account.by_host if len(account.by_host) > 1 else {}
    by_host = [[name, *_row(part, account.total_j)] for name, part in hosts.items()]
    header = ["Energy", "Share", "Source"]
    return {
        "gaps": fold_gaps(gap for gap in account.gaps if gap not in account.unmeasured),
        "unmeasured": account.unmeasured,
        "uncounted": describe_pretraining(account.pretrained),
        "shared": describe_sharing(account.shared),
        "facts": list(_facts(account)),
        "bar": [
            (series[purpose], f"{100 * part.energy_j / account.total_j:.3f}")
            for purpose, part in account.by_purpose.items()
            if part.energy_j > 0
        ],
        "by_purpose": Table("By purpose", ["Purpose", *header], by_purpose, numeric=(1, 2)),
        "by_host": Table("By host", ["Host", *header], by_host, numeric=(1, 2)) if by_host else None,
        "by_domain": Table("By domain", ["Domain", *header], by_domain, numeric=(1, 2)),
        "sources": [account.provenance, *(part.provenance for part in account.by_domain.values())],
    }


def _row(part: Energy, total_j: float) -> list[str]:
    return [format_figure(part), _share(part.energy_j, total_j), part.provenance.value]


def _facts(account: EnergyAccount) -> Iterator[tuple[str, str]]:
    total, source = account.total, account.provenance
    yield "Spent", f"{format_energy(total.energy_j)} ({format_kwh(total.energy_j)}), {source}"
    if source is Provenance.ESTIMATED:
        yield "Upper end of the estimate", f"{format_energy(estimate_interval(total)[1])} ({source})"
    else:
        known = total.uncertainty_j > 0
        yield "Uncertainty", f"± {format_energy(total.uncertainty_j)}" if known else "none is known"
    yield "Budget", f"{format_energy(account.budget_j)} ({format_kwh(account.budget_j)})"
    over_j = total.energy_j - account.budget_j
    name, rest_j = ("Over the budget", over_j) if over_j > 0 else ("Left", account.left_j)
    yield name, f"{format_energy(rest_j)} ({source})"
    most = format_energy(account.overshoot_bound_j)
    yield "Overshoot bound", f"{most}, the most spent between two checks of the budget ({source})"
    if account.getting_ready_j > 0:
        share = _share(account.getting_ready_j, total.energy_j)
        yield "Getting ready", f"{format_energy(account.getting_ready_j)} ({source}), {share} of the total: overhead"
    if account.doubt_j > 0:
        yield "In doubt", f"{format_energy(account.doubt_j)}that lost hosts may have spent in addition"
    if account.idle is not None and account.net is not None:
        idle, net = account.idle, account.net
        share = _share(idle.energy_j, total.energy_j)
        yield "Idle", f"{format_figure(idle)}, {idle.provenance}, {share} of the total: idle power × time"
        yield "Without idle power", f"{format_figure(net)}, {net.provenance}"
    else:
        yield "Idle", f"not known: {account.idle_note}"
    if account.thinking_cpu_s > 0:
        yield "Optimiser, apart", f"{account.thinking_cpu_s:.3g} CPU seconds, not part of the reported energy"


def _share(part_j: float, total_j: float) -> str:
    return percent(part_j / total_j if total_j > 0 else None, 1)
