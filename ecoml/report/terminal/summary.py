"""What came of a search, for a terminal."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ecoml.energy import Provenance, format_energy, format_figure, format_kwh
from ecoml.report.terminal.goal import asked_for
from ecoml.report.terminal.words import MEANING, config_line, percent, steps
from ecoml.run.result import EnergyAccount, Result

PLAIN_WIDTH = 160
"""Columns where there is no terminal that has a width."""


def console() -> Console:
    """Standard output; wide enough that nothing is cut where it is not a terminal."""
    return Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH, highlight=False, soft_wrap=False)


def print_table(header: Sequence[str], rows: Iterable[Sequence[object]], *, numeric: Collection[int] = ()) -> None:
    """A table; its last column may be folded, the columns in `numeric` are set to the right."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for index, name in enumerate(header):
        table.add_column(
            name, overflow="fold", no_wrap=index < len(header) - 1, justify="right" if index in numeric else "left"
        )
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    console().print(table)


def print_result(result: Result, report: Path | None = None, advice: Sequence[str] = ()) -> None:
    """Front, recommendation, what `advice` says of them, energy account."""
    out = console()
    if result.front:
        out.print("Front: nothing tried beats these on both accuracy and energy", style="bold")
        out.print(_front(result))
        out.print(_recommendation(result))
        if advice:
            out.print(Text.assemble(("\nAccuracy for energy: ", "bold"), "\n  ".join(advice)))
    elif any(trial.curve for trial in result.trials):
        out.print("Every training took more than one may: there is no front.", style="red")
    else:
        out.print("No trial succeeded: there is no front.", style="red")
    provenance = result.energy.provenance
    out.print(Text.assemble(("\nEnergy: ", "bold"), (provenance.value, "bold"), f" ({_meaning(result.energy)})"))
    for why in result.energy.unmeasured:
        out.print(f"  {why}", style="yellow", markup=False)
    out.print(_account(result))
    for other in result.energy.shared:
        out.print(f"  {other}: their joules cannot be told apart", style="yellow", markup=False)
    for gap in result.energy.gaps:
        if gap not in result.energy.unmeasured:
            out.print(f"  gap: {gap}", style="yellow", markup=False)
    if (efficiency := result.efficiency()) is not None:
        out.print(
            f"Efficiency: {efficiency:.1%} of the trials' energy is what their arithmetic takes at this device's peak"
        )
    out.print(Text.assemble(("\nEnded: ", "bold"), result.ended))
    out.print(_unspent(result.energy))
    for line in asked_for(result):
        out.print(line, markup=False)
    failed = sum(trial.state == "failed" for trial in result.trials)
    out.print(f"{len(result.trials)} trials, {failed} of them failed; run folder: {result.directory}", markup=False)
    if report is not None:
        out.print(f"Report: {report}", markup=False)


def _unspent(energy: EnergyAccount) -> str:
    share = energy.left_j / energy.budget_j
    return f"Left unspent: {format_energy(energy.left_j)} ({energy.provenance}), {share:.1%} of the budget"


def _front(result: Result) -> Table:
    table = Table(box=None, header_style="dim")
    energy = f"training energy ({result.energy.provenance})"
    for heading in ("trial", f"{result.step_name}s", "validation", "test", energy):
        table.add_column(heading, justify="right")
    for trial in result.front:
        marked = result.recommended is not None and trial is result.recommended
        table.add_row(
            f"{'→ ' if marked else ''}{trial.number}",
            str(trial.step),
            percent(trial.score),
            percent(trial.test_score),
            format_figure(trial.energy_j, trial.uncertainty_j, trial.provenance),
            style="bold green" if marked else "",
        )
    return table


def _recommendation(result: Result) -> Text:
    best = result.recommended
    assert best is not None, "a front has a recommended trial"
    tested = f" ({percent(best.test_score)} on the test set)" if best.test_score is not None else ""
    kept = any((result.directory / "models").glob(f"trial-{best.number:04d}-*"))
    load = f'\n  load it with  ecoml.load_model("{result.directory}", {best.number}, step={best.step})' if kept else ""
    config = config_line({name: value for name, value in best.config.items() if name not in result.fixed})
    return Text.assemble(
        ("\nRecommended: ", "bold"),
        (f"trial {best.number} after {steps(best, result.step_name)}", "bold green"),
        f", {percent(best.score)} validation accuracy{tested} for {format_energy(best.energy_j)} of training"
        f" ({best.provenance}): the cheapest within one percentage point of the best\n  {config}{load}",
    )


def _account(result: Result) -> Table:
    energy = result.energy
    total_j = energy.total_j
    table = Table(box=None, show_header=False)
    for justify in ("left", "right", "right", "left"):
        table.add_column("", justify=justify)
    for purpose, spent_j in energy.by_purpose.items():
        source = energy.provenance_by_purpose[purpose]
        table.add_row(purpose, format_energy(spent_j), f"{spent_j / total_j:.1%}" if total_j else "–", source.value)
    table.add_row(
        "total",
        format_energy(total_j),
        f"{total_j / energy.budget_j:.1%}",
        f"of the budget of {format_energy(energy.budget_j)} ({format_kwh(total_j)} of {format_kwh(energy.budget_j)});"
        f" {energy.provenance}, {_interval(energy.provenance, total_j, energy.uncertainty_j)}",
        style="bold",
    )
    table.add_row(*_idle(energy))
    for domain, spent_j in energy.by_domain.items():
        if len(energy.by_domain) > 1:
            source = energy.provenance_by_domain[domain]
            table.add_row(f"  {domain}", format_energy(spent_j), "", str(source), style="dim")
    table.add_row(
        "overshoot bound",
        format_energy(energy.overshoot_bound_j),
        "",
        f"{energy.provenance}; the most that was spent between two looks at the budget",
    )
    if energy.thinking_cpu_s:
        thought = f"the optimiser thought for {energy.thinking_cpu_s:.1f} CPU seconds, which are not charged"
        table.add_row("apart", "", "", thought)
    return table


def _meaning(energy: EnergyAccount) -> str:
    """What the total's provenance says, or the domains' where they differ."""
    if len(set(energy.provenance_by_domain.values())) > 1:
        return ", ".join(f"{domain} {source}" for domain, source in energy.provenance_by_domain.items())
    return MEANING[energy.provenance]


def _idle(energy: EnergyAccount) -> tuple[str, str, str, str]:
    """What of the total was idling, as a row of the account."""
    if energy.idle is None or energy.net is None:
        return "idle", "–", "", f"not known: {energy.idle_note}"
    net = format_figure(energy.net.energy_j, energy.net.uncertainty_j, energy.net.provenance)
    return (
        "idle",
        format_energy(energy.idle.energy_j),
        f"{energy.idle.energy_j / energy.total_j:.1%}" if energy.total_j else "–",
        f"{energy.idle.provenance}; drawn with nothing done, and part of the total: net of it {net}",
    )


def _interval(provenance: Provenance, total_j: float, uncertainty_j: float) -> str:
    if provenance is Provenance.REPORTED and not uncertainty_j:
        return "as reported"
    if provenance is Provenance.ESTIMATED:
        upper_j = total_j + uncertainty_j
        return f"between {format_energy(total_j * total_j / upper_j if upper_j else 0.0)} and {format_energy(upper_j)}"
    return f"± {format_energy(uncertainty_j)}"
