"""The host's energy sources in a terminal, and the results of their test.

No line is wider than 80 columns unless the terminal is: remedies are commands to copy, wrapped between words.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from ecoml.energy import Provenance
from ecoml.format import MEANING, duration, fold_gaps, format_energy, format_interval, format_power, percent
from ecoml.meter import Source
from ecoml.meter.probe.finding import Verdict

if TYPE_CHECKING:
    from ecoml.meter.probe.calibrate import Calibration
    from ecoml.meter.probe.finding import Check, CrossCheck, Finding, Opinion

PLAIN_WIDTH = 80


def print_sources(sources: Sequence[Source], provenance: Provenance) -> None:
    """Print a table of the sources, and below it what each covers and how to make it readable."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    for heading in ("source", "domain", "provenance", "updates", "step", "readable", "used"):
        table.add_column(heading, overflow="fold")
    for source in sources:
        table.add_row(
            source.name,
            source.domain,
            str(source.provenance),
            _period(source),
            _step(source.resolution_j),
            "yes" if source.readable else "no",
            "yes" if source.used else "no",
            style="" if source.used else "dim",
        )
    out = console()
    out.print(table)
    out.print()
    for source in sources:
        _paragraph(out, f"{source.domain}, {source.name}: {source.covers}", bold=f"{source.domain}, {source.name}:")
        if source.remedy:
            _paragraph(out, f"→ {source.remedy}", indent=2, hang=4)
    out.print()
    _paragraph(out, f"A search on this host is {provenance}: {MEANING[provenance]}.")


def sources_as_rows(sources: Iterable[Source]) -> list[dict[str, Any]]:
    """The sources for JSON."""
    return [{**asdict(source), "provenance": str(source.provenance)} for source in sources]


def print_check(check: Check) -> None:
    """Print the results of the test domain by domain, and whether all agree."""
    out = console()
    for finding in check.findings:
        _paragraph(
            out, f"{finding.domain}, {finding.name} ({finding.provenance})", bold=f"{finding.domain}, {finding.name}"
        )
        for line in _finding_lines(finding):
            _paragraph(out, line, indent=2, hang=4)
    for opinion in check.opinions:
        _paragraph(out, f"{opinion.domain}, {opinion.source}", bold=f"{opinion.domain}, {opinion.source}")
        _paragraph(out, _opinion_line(opinion), indent=2, hang=4)
    out.print()
    for gap in fold_gaps(check.spent.gaps):
        _paragraph(out, f"gap: {gap}")
    spent = check.spent.total
    energy = f"{format_energy(spent.energy_j)} {format_interval(spent)} ({spent.provenance})"
    _paragraph(out, f"The probe took {duration(check.elapsed_s)} and {energy}.")
    wrong = [finding.domain for finding in check.findings if not finding.agrees]
    wrong += [opinion.domain for opinion in check.opinions if opinion.verdict.contradicts]
    untold = [opinion.domain for opinion in check.opinions if not (opinion.agrees or opinion.verdict.contradicts)]
    if wrong:
        where = ", ".join(dict.fromkeys(wrong))
        _paragraph(out, f"Not all sources agree: see {where} above. Other programs on this host may be the reason.")
    else:
        rest = f"; undecided: {', '.join(untold)}" if untold else ""
        _paragraph(out, f"Everything that could be checked agrees{rest}.")


def _finding_lines(finding: Finding) -> Iterator[str]:
    if finding.period_s is not None:
        bound = "at least " if finding.period_is_bound else ""
        yield f"updates {bound}every {duration(finding.period_s)}, in steps of {_step(finding.step_j)} and more"
    yield (
        f"at rest {format_power(finding.rest_w)} (scatter {format_power(finding.rest_noise_w)} between half seconds), "
        f"under load {format_power(finding.load_w)}"
    )
    for comparison in finding.comparisons:
        yield _comparison_line(comparison)
    for fault in finding.faults:
        yield f"wrong: {fault}"
    yield finding.unchecked


def _opinion_line(opinion: Opinion) -> str:
    verdict, parts = _verdict(opinion), ", ".join(opinion.parts)
    if opinion.unread:
        return verdict
    at = (("at rest", opinion.rest_w, opinion.parts_rest_w), ("under load", opinion.load_w, opinion.parts_load_w))
    if opinion.is_same:
        told = ", ".join(f"{when} {format_power(whole_w)} and {format_power(w)}" for when, whole_w, w in at)
        apart = f"at most {format_power(opinion.load_within_w)} apart"
        return f"{verdict}: this source and the counted one give {told}, {apart}"
    rise = "of the rise", opinion.rise_w, opinion.parts_rise_w
    told = ", ".join(
        f"{when} {format_power(w)} of {format_power(whole_w)}"
        + (f" ({percent(w / whole_w, 0)})" if whole_w > 0 else "")
        for when, whole_w, w in (*at, rise)
    )
    slack = f"allowed difference: {format_power(opinion.load_within_w)}"
    return f"{verdict}: {parts} explain {told}; {slack}"


def _verdict(opinion: Opinion) -> str:
    """The result of a comparison, with the reason if the figures do not show it."""
    deaf, unexplained = "it does not show the load", "its parts explain too little of its rise"
    why = {
        Verdict.AGREES: "agrees",
        Verdict.APART: "does NOT agree",
        Verdict.DEAF: f"does NOT agree, {deaf}",
        Verdict.UNEXPLAINED: f"does NOT agree, {f'the counted source {deaf[3:]}' if opinion.is_same else unexplained}",
        Verdict.UNLOADED: "cannot be decided: the load raises both too little",
        Verdict.LATE: "cannot be decided: its delay may be longer than the load",
        Verdict.LOOSE: "cannot be decided: the figures differ, but by less than their stated uncertainties",
        Verdict.UNREAD: f"cannot be decided: some readings of {', '.join(opinion.unread)} failed",
    }
    return why[opinion.verdict]


def _comparison_line(comparison: CrossCheck) -> str:
    verdict = "does NOT agree" if not comparison.agrees else "cannot be decided" if comparison.is_loose else "agrees"
    found, against, within = (
        f"{value:.4g} {comparison.unit}" for value in (comparison.found, comparison.against, comparison.within)
    )
    return f"{verdict}: {comparison.what}: {found} and {against}, at most {within} apart"


def print_calibration(calibration: Calibration, path: object) -> None:
    """Print the fitted constants, and how to undo the calibration."""
    out, found = console(), calibration.constants
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("CPUs kept busy", "CPU seconds per second", "power", "±"):
        table.add_column(heading, justify="right")
    for point in calibration.points:
        row = (
            str(point.threads),
            f"{point.busy_cpus:.2f}",
            format_power(point.power_w),
            format_power(point.uncertainty_w),
        )
        table.add_row(*row)
    out.print(table)
    out.print()
    _paragraph(
        out,
        f"idle_w_per_cpu = {found.idle_w_per_cpu:.4g} ± {calibration.idle_uncertainty_w:.2g} W, "
        f"busy_w_per_cpu = {found.busy_w_per_cpu:.4g} ± {calibration.busy_uncertainty_w:.2g} W, "
        f"from {', '.join(calibration.domains)} (measured); "
        f"the powers lie within {percent(calibration.residual, 1)} of the line",
    )
    _paragraph(out, f"Written to {path}: the estimate uses them from now on. To undo this, remove that file.")


def console() -> Console:
    """Standard output, 80 columns wide if it is not a terminal."""
    return Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH, highlight=False)


def _paragraph(out: Console, text: str, *, bold: str = "", indent: int = 0, hang: int = 2) -> None:
    lines = textwrap.wrap(
        text,
        out.width,
        initial_indent=" " * indent,
        subsequent_indent=" " * hang,
        break_long_words=False,
        break_on_hyphens=False,
    )
    for number, line in enumerate(lines):
        if number == 0 and bold and line.startswith(bold):
            out.print(bold, style="bold", markup=False, end="", soft_wrap=True)
            line = line.removeprefix(bold)
        out.print(line, markup=False, soft_wrap=True)


def _period(source: Source) -> str:
    if source.period_s is None:
        return "–"
    return f"{duration(source.period_s)} {'measured' if source.period_measured else 'assumed'}"


def _step(step_j: float | None) -> str:
    return "–" if step_j is None else format_energy(step_j)
