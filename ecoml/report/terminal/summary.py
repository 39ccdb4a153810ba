"""The result of a search, for a terminal."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ecoml.endings import StopReason
from ecoml.energy import Purpose
from ecoml.format import (
    MEANING,
    capitalised,
    describe_co2e,
    describe_frugal,
    describe_lifetime,
    describe_limits,
    describe_nearest,
    describe_pretraining,
    describe_reason,
    describe_search_end,
    describe_sharing,
    describe_usage,
    describe_warm_start,
    fold_gaps,
    format_config,
    format_energy,
    format_figure,
    format_interval,
    format_kwh,
    format_sure,
    named_score,
    percent,
    plural,
    plural_of,
)
from ecoml.report.charts.records import tested
from ecoml.run.account import EnergyAccount
from ecoml.run.choice.lifetime import lifetime_energy, lifetime_of, trial_to_use
from ecoml.run.folder import read_settings
from ecoml.run.result import Result, limits_of, tolerance
from ecoml.trial import Trial, TrialState

PLAIN_WIDTH = 160
"""Number of columns without a terminal that has a width."""


def console() -> Console:
    """Standard output; wide enough that nothing is cut if it is not a terminal."""
    return Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH, highlight=False, soft_wrap=False)


def print_table(header: Sequence[str], rows: Iterable[Sequence[object]], *, numeric: Collection[int] = ()) -> None:
    """Print a table; its last column may wrap, and the columns in `numeric` are right-aligned."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for index, name in enumerate(header):
        table.add_column(
            name, overflow="fold", no_wrap=index < len(header) - 1, justify="right" if index in numeric else "left"
        )
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    console().print(table)


def print_choice(result: Result) -> None:
    """Print the recommended network, or why there is none."""
    out = console()
    if result.front:
        _print_recommendation(out, result)
        return
    out.print(f"{_why_no_front(result)}.", style="red")


def print_result(
    result: Result, report: Path | None = None, advice: Sequence[str] = (), card: Path | None = None
) -> None:
    """Print the front, the recommendation, the sentences of `advice`, and the energy account."""
    out, metric, energy = console(), result.metric, result.energy
    if result.front:
        sure = " (in brackets: 95 % interval)" if result.settings.get("data") and metric.is_share else ""
        out.print(f"Front: no trial beats these on both {metric.name} and energy{sure}", style="bold")
        out.print(_front(result))
        _print_recommendation(out, result)
        _print_under(out, f"{capitalised(metric.name)} for energy:", advice)
    else:
        out.print(f"{_why_no_front(result)}.", style="red")
    out.print(Text.assemble(("\nEnergy: ", "bold"), (energy.provenance.value, "bold"), f" ({_meaning(energy)})"))
    out.print(_account(result))
    if told := describe_co2e(energy.co2e):
        out.print(f"CO2e: {told}", markup=False)
    gaps = fold_gaps(gap for gap in energy.gaps if gap not in energy.unmeasured)
    for warning in (
        *describe_pretraining(energy.pretrained),
        *energy.unmeasured,
        *describe_sharing(energy.shared),
        *(f"gap: {gap}" for gap in gaps),
    ):
        out.print(Padding(Text(warning, style="yellow"), (0, 0, 0, 2), expand=False))
    if (efficiency := result.efficiency()) is not None:
        share = percent(efficiency, 1)
        out.print(f"Efficiency: at this device's peak, the trials' arithmetic would take {share} of their energy")
    ended = "not yet, or the process was killed" if result.ended is None else describe_search_end(result.ended, metric)
    out.print(Text.assemble(("\nEnded: ", "bold"), ended))
    left = percent(energy.left_j / energy.budget_j, 1)
    out.print(f"Left unspent: {format_energy(energy.left_j)} ({energy.provenance}), {left} of the budget")
    if result.ended is not None and result.ended.reason is StopReason.NOT_WORTH_IT:
        out.print(f"To spend it all the same: ecoml resume {result.directory} --spend-all", markup=False)
    for line in describe_limits(result.limits, metric):
        out.print(line, markup=False)
    if (warm_start := result.settings.get("warm_start")) is not None:
        out.print(describe_warm_start(warm_start, result.strategy), markup=False)
    failed = sum(trial.state is TrialState.FAILED for trial in result.trials)
    out.print(f"{plural(len(result.trials), 'trial')}, {failed} of them failed")
    for name, path in (("Run folder", result.directory), ("Report", report), ("Model card", card)):
        if path is not None:
            out.print(f"{name}: {path}", markup=False, soft_wrap=True)


def _why_no_front(result: Result) -> str:
    if not any(trial.curve for trial in result.trials):
        return "No trial succeeded: there is no front"
    if result.limits.of_use:
        return describe_nearest(result.nearest_in_use, result.limits)
    return "Every training exceeded its energy limit: there is no front"


def _front(result: Result) -> Table:
    table = Table(box=None, header_style="dim")
    metric, data = result.metric, result.settings.get("data")
    with_tests = tested(result)
    headings = ["trial", plural_of(metric.step), metric.name, *(["test"] if with_tests else [])]
    for heading in (*headings, f"energy ({result.energy.provenance})"):
        table.add_column(heading, justify="right")
    for trial in result.choices:
        marked = result.recommended is not None and trial is result.recommended
        table.add_row(
            f"{'→ ' if marked else ''}{trial.number}",
            str(trial.step),
            format_sure(metric, trial.score, data),
            *([format_sure(metric, trial.test_score, data, "test")] if with_tests else []),
            format_figure(trial.energy),
            style="bold green" if marked else "",
        )
    return table


def _print_recommendation(out: Console, result: Result) -> None:
    best, metric, data = result.recommended, result.metric, result.settings.get("data")
    assert best is not None, "a front has a recommended trial"
    score = named_score(metric, best.score)
    if metric.is_share:
        score = f"{format_sure(metric, best.score, data)} {metric.name}"
    tested_as = format_sure(metric, best.test_score, data, "test")
    on_test = f" ({tested_as} on the test set)" if best.test_score is not None else ""
    why = describe_reason(metric, on_front=best in result.front, default_margin=result.default_margin)
    out.print(
        Text.assemble(
            ("\nRecommended: ", "bold"),
            (f"trial {best.number} after {plural(best.step, metric.step)}", "bold green"),
            f", {score}{on_test} for {format_energy(best.energy_j)} of training ({best.energy.provenance}): {why}",
        )
    )
    if result.frugal is not None:
        told = describe_frugal(best, result.frugal, tolerance(result.front, metric), metric)
        out.print(Text.assemble(("Frugal: ", "bold"), told))
    config = {name: value for name, value in best.config.items() if name not in result.fixed}
    _print_under(out, "", [format_config(config)])
    if any((result.directory / "models").glob(f"trial-{best.number:04d}-*")):
        if best.usage is not None:
            _print_under(out, "", [f"To use: {'; '.join(describe_usage(best.usage))}"])
        load = f'ecoml.load_model("{result.directory}", {best.number}, step={best.step})'
        out.print(f"  Load it with {load}", markup=False, soft_wrap=True)
        out.print(f"  or use it: ecoml predict {_chosen(result, best)} IMAGE…", markup=False, soft_wrap=True)
    many = result.limits.inferences
    if many is not None and (life := lifetime_of(result, many)) is not None:
        energy = lifetime_energy(life.recommended, many)
        out.print(Text(describe_lifetime(life.recommended, many, energy), style="bold"))


def _chosen(result: Result, best: Trial) -> str:
    """The arguments with which `ecoml predict` uses a trial's model; without options where it chooses that model."""
    same = result.limits == limits_of(read_settings(result.directory))
    own = trial_to_use(result if same else Result.load(result.directory))
    if own is not None and (own.number, own.step) == (best.number, best.step):
        return str(result.directory)
    return f"{result.directory} --trial {best.number} --step {best.step}"


def _print_under(out: Console, heading: str, sentences: Sequence[str]) -> None:
    """Print sentences below a heading, indented."""
    if heading and sentences:
        out.print(f"\n{heading}", style="bold")
    for sentence in sentences:
        out.print(Padding(Text(sentence), (0, 0, 0, 2), expand=False))


def _account(result: Result) -> Table:
    energy = result.energy
    total_j = energy.total_j

    def share(part_j: float, of_j: float = total_j) -> str:
        return percent(part_j / of_j, 1) if of_j else "–"

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for justify in ("left", "right", "right", "left"):
        table.add_column("", justify=justify, overflow="fold")
    for purpose, part in energy.by_purpose.items():
        table.add_row(purpose.value, format_energy(part.energy_j), share(part.energy_j), part.provenance.value)
    if energy.getting_ready_j > 0:
        ready = f"{energy.by_purpose[Purpose.OVERHEAD].provenance}; part of the overhead"
        table.add_row("  getting ready", format_energy(energy.getting_ready_j), share(energy.getting_ready_j), ready)
    table.add_row(
        "total",
        format_energy(total_j),
        share(total_j, energy.budget_j),
        f"of the budget of {format_energy(energy.budget_j)} ({format_kwh(total_j)} of {format_kwh(energy.budget_j)});"
        f" {energy.provenance}, {format_interval(energy.total)}",
        style="bold",
    )
    if energy.idle is None or energy.net is None:
        table.add_row("idle", "–", "", f"not known: {energy.idle_note}")
    else:
        idle = f"{energy.idle.provenance}; idle power × time, part of the total; without it"
        table.add_row(
            "idle",
            format_energy(energy.idle.energy_j),
            share(energy.idle.energy_j),
            f"{idle} {format_figure(energy.net)}",
        )
    parts = energy.by_host if len(energy.by_host) > 1 else energy.by_domain
    for name, part in parts.items() if len(parts) > 1 else ():
        table.add_row(f"  {name}", format_energy(part.energy_j), "", part.provenance.value, style="dim")
    everywhere = ", on all hosts together" if len(energy.by_host) > 1 else ""
    table.add_row(
        "overshoot bound",
        format_energy(energy.overshoot_bound_j),
        "",
        f"{energy.provenance}; the most that was spent between two checks of the budget{everywhere}",
    )
    if energy.doubt_j > 0:
        table.add_row("in doubt", format_energy(energy.doubt_j), "", "what lost hosts may have spent in addition")
    if energy.thinking_cpu_s:
        thought = f"the optimiser took {energy.thinking_cpu_s:.1f} CPU seconds, which are not charged"
        table.add_row("apart", "", "", thought)
    return table


def _meaning(energy: EnergyAccount) -> str:
    """The meaning of the total's provenance, or the provenance of each domain if they differ."""
    if len({part.provenance for part in energy.by_domain.values()}) > 1:
        return ", ".join(f"{domain} {part.provenance}" for domain, part in energy.by_domain.items())
    return MEANING[energy.provenance]
