"""A status drawn for a terminal of any width: budget, power, the current trial, best, front, forecast."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from ecoml.energy import Provenance
from ecoml.format import (
    describe_search_end,
    duration,
    format_config,
    format_energy,
    format_power,
    format_score,
    named_score,
    percent,
    plural,
    plural_of,
)
from ecoml.report.terminal.status import Status
from ecoml.trial import Trial, TrialState

BLOCKS = "▁▂▃▄▅▆▇█"

LONGEST_FRONT = 8
LONGEST_PAST = 3
LONGEST_HOSTS = 8


def view(status: Status) -> RenderableType:
    """The complete view."""
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="dim", no_wrap=True)
    rows.add_column(overflow="fold")
    rows.add_row("budget", _Bar(status))
    rows.add_row("", _figures(status))
    if status.ended is None and status.provenance is not Provenance.REPORTED:
        rows.add_row("power", _power(status))
    if len(status.hosts_j) > 1:
        rows.add_row("hosts", _hosts(status))
    if status.current is not None:
        rows.add_row("last" if status.ended else "now", _now(status, status.current))
        rows.add_row("", Text(format_config(status.current.config), style="dim", overflow="ellipsis", no_wrap=True))
        if past := _past(status, status.current):
            rows.add_row("before", past)
    rows.add_row("trials", _counts(status.trials))
    best = status.recommended
    if best is not None:
        rows.add_row("recommended", _recommended(status, best))
    ahead = _ahead(status) if status.ended is None else describe_search_end(status.ended, status.metric)
    rows.add_row("ahead" if status.ended is None else "ended", Text(ahead))
    return Group(rows, _front(status, best)) if best is not None else rows


class _Bar:
    """A bar of the budget over the entire width: spent, reserved, left."""

    def __init__(self, status: Status) -> None:
        self._spent = min(1.0, status.spent_j / status.budget_j)
        self._held = min(1.0 - self._spent, status.reserved_j / status.budget_j)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(4, min(48, options.max_width - 6))
        full = round(self._spent * width)
        held = min(width - full, round(self._held * width))
        yield Text.assemble(
            ("█" * full, "green"),
            ("▒" * held, "yellow"),
            ("░" * (width - full - held), "dim"),
            f" {percent(self._spent, 0)}",
            no_wrap=True,
            overflow="crop",
        )


def _figures(status: Status) -> Text:
    reserved = "" if status.ended is not None else f", reserved {format_energy(status.reserved_j)}"
    return Text.assemble(
        ("spent ", "dim"),
        format_energy(status.spent_j),
        (reserved, "dim"),
        (", left ", "dim"),
        format_energy(status.left_j),
        (f" of {format_energy(status.budget_j)} ({status.provenance})", "dim"),
    )


def _hosts(status: Status) -> Text:
    """The energy of each host, the largest first."""
    ranked = sorted(status.hosts_j.items(), key=lambda host: -host[1])
    told = [f"{name} {format_energy(joules)}" for name, joules in ranked[:LONGEST_HOSTS]]
    more = len(ranked) - len(told)
    return Text(", ".join([*told, f"and {more} more"] if more else told) + f" ({status.provenance})")


def _power(status: Status) -> Text:
    words = Text(format_power(status.power_w))
    if status.power_w and status.left_j > 0:
        words.append(f" ({status.provenance}); at this power the rest lasts {duration(status.left_j / status.power_w)}")
    return words


def _now(status: Status, trial: Trial) -> Text:
    doing = status.doing(trial)
    colour = {"new": "cyan", "resumed": "magenta"}.get(doing, "red" if trial.state is TrialState.FAILED else "")
    return Text.assemble(
        (f"trial {trial.number} ", "bold"),
        (doing, colour),
        f", {_length(trial, status.metric.step)}  {format_score(status.metric, trial.score)}"
        f"  {format_energy(trial.energy_j)} ({status.provenance})  ",
        (_sparkline(trial), "cyan"),
    )


def _sparkline(trial: Trial, width: int = 24) -> str:
    """A trial's scores as small blocks, from its worst to its best."""
    utilities = [point.utility for point in trial.curve][-width:]
    low, high = min(utilities, default=0.0), max(utilities, default=0.0)
    scale = (len(BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(BLOCKS[round((utility - low) * scale)] for utility in utilities)


def _length(trial: Trial, step_name: str) -> str:
    """`3 of 12 epochs`, if the configuration says how many there will be."""
    whole = trial.config.get(plural_of(step_name))
    if isinstance(whole, int) and trial.state is TrialState.RUNNING:
        return f"{trial.step} of {plural(whole, step_name)}"
    return plural(trial.step, step_name)


def _past(status: Status, current: Trial) -> Text:
    """How the last few trials ended."""
    recent = [number for number in dict.fromkeys(reversed(status.order)) if number != current.number][:LONGEST_PAST]
    told = []
    for trial in (status.trials[number] for number in recent):
        score, steps = format_score(status.metric, trial.score), plural(trial.step, status.metric.step)
        told.append(f"{trial.number} {status.doing(trial)}, {score}, {steps}")
    return Text("; ".join(told), style="dim")


def _counts(trials: Sequence[Trial]) -> Text:
    counts = Counter(trial.state for trial in trials)
    told = [f"{counts[state]} {state}" for state in TrialState if counts[state]]
    return Text(", ".join(told) if told else "none yet")


def _recommended(status: Status, best: Trial) -> Text:
    return Text.assemble(
        (f"trial {best.number} ", "bold green"),
        f"after {plural(best.step, status.metric.step)}  {named_score(status.metric, best.score)}"
        f"  {format_energy(best.energy_j)} ({best.energy.provenance})",
    )


def _ahead(status: Status) -> str:
    if status.trial_j is None:
        return "too early to tell"
    more, each = status.left_j / status.trial_j, f"{format_energy(status.trial_j)} ({status.provenance})"
    if math.isinf(more):
        return "too early to tell"
    if more < 1:
        return f"perhaps no further trial: one has taken {each} on average, everything included"
    return f"about {plural(round(more), 'more trial')}, at {each} each on average, everything included"


def _front(status: Status, best: Trial | None) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    metric = status.metric
    for heading in ("front: trial", plural_of(metric.step), metric.name, f"energy ({status.provenance})"):
        table.add_column(heading, justify="right")
    for trial in status.front[-LONGEST_FRONT:]:
        table.add_row(
            str(trial.number),
            str(trial.step),
            format_score(metric, trial.score),
            format_energy(trial.energy_j),
            style="bold green" if trial is best else "",
        )
    if (more := len(status.front) - LONGEST_FRONT) > 0:
        return Group(table, Text(f"and {plural(more, 'cheaper one')}", style="dim"))
    return table
