"""A glance drawn for a terminal of any width: budget, power, what is being tried, best, front, what is ahead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from ecoml.energy import format_energy
from ecoml.report.terminal.status import Status, doing
from ecoml.report.terminal.words import config_line, percent, sparkline, steps
from ecoml.run.result import recommend
from ecoml.trial import Trial, TrialState

LONGEST_FRONT = 8
LONGEST_PAST = 3


def view(status: Status) -> RenderableType:
    """All of it."""
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="dim", no_wrap=True)
    rows.add_column(overflow="fold")
    rows.add_row("budget", _Bar(status))
    rows.add_row("", _figures(status))
    if not status.ended:
        rows.add_row("power", _power(status))
    if status.current is not None:
        rows.add_row("last" if status.ended else "now", _now(status, status.current))
        rows.add_row("", Text(config_line(status.current.config), style="dim", overflow="ellipsis", no_wrap=True))
        if past := _past(status, status.current):
            rows.add_row("before", past)
    rows.add_row("trials", _counts(status.trials))
    best = recommend(status.front)
    if best is not None:
        rows.add_row("best", _best(status, best))
    rows.add_row("ended" if status.ended else "ahead", Text(status.ended or _ahead(status)))
    return Group(rows, _front(status, best)) if best is not None else rows


class _Bar:
    """Spent, reserved, left, over the whole width there is."""

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
            f" {self._spent:.0%}",
            no_wrap=True,
            overflow="crop",
        )


def _figures(status: Status) -> Text:
    reserved = "" if status.ended else f", reserved {format_energy(status.reserved_j)}"
    return Text.assemble(
        ("spent ", "dim"),
        format_energy(status.spent_j),
        (reserved, "dim"),
        (", left ", "dim"),
        format_energy(status.left_j),
        (f" of {format_energy(status.budget_j)} ({status.provenance})", "dim"),
    )


def _power(status: Status) -> Text:
    if status.power_w is None:
        return Text("–", style="dim")
    words = Text(f"{status.power_w:.3g} W")
    if status.power_w > 0 and status.left_j > 0:
        words.append(f" ({status.provenance}); at this, what is left lasts {duration(status.left_j / status.power_w)}")
    return words


def _now(status: Status, trial: Trial) -> Text:
    what = doing(trial, status.order)
    why = f": {trial.failure}" if trial.failure else ""
    colour = {"new": "cyan", "thawed": "magenta", "failed": "red"}.get(what, "")
    return Text.assemble(
        (f"trial {trial.number} ", "bold"),
        (f"{what}{why}", colour),
        f", {_length(trial, status.step_name)}  {percent(trial.score)}"
        f"  {format_energy(trial.energy_j)} ({status.provenance})  ",
        (sparkline(trial), "cyan"),
    )


def _length(trial: Trial, step_name: str) -> str:
    """`3 of 12 epochs`, where the configuration says how many there will be."""
    whole = trial.config.get(f"{step_name}s")
    if isinstance(whole, int) and trial.state is TrialState.RUNNING:
        return f"{trial.step} of {whole} {step_name}s"
    return steps(trial, step_name)


def _past(status: Status, current: Trial) -> Text:
    """What has become of the last few trials."""
    recent = [number for number in dict.fromkeys(reversed(status.order)) if number != current.number][:LONGEST_PAST]
    told = []
    for number in recent:
        trial = status.trials[number]
        why = f" ({trial.failure})" if trial.failure else ""
        told.append(
            f"{number} {doing(trial, status.order)}{why} {percent(trial.score)}, {steps(trial, status.step_name)}"
        )
    return Text("; ".join(told), style="dim")


def _counts(trials: Sequence[Trial]) -> Text:
    counts = Counter(trial.state for trial in trials)
    told = [f"{counts[state]} {state}" for state in TrialState if counts[state]]
    return Text(", ".join(told) if told else "none yet")


def _best(status: Status, best: Trial) -> Text:
    return Text.assemble(
        (f"trial {best.number} ", "bold green"),
        f"after {steps(best, status.step_name)}  {percent(best.score)}  {format_energy(best.energy_j)}"
        f" ({best.provenance})",
    )


def _ahead(status: Status) -> str:
    if status.trial_j is None:
        return "too early to tell"
    more, each = status.left_j / status.trial_j, f"{format_energy(status.trial_j)} ({status.provenance})"
    if more < 1:
        return f"perhaps no further trial: one took {each} so far, everything included"
    return f"about {more:.0f} more trials, at {each} each so far, everything included"


def _front(status: Status, best: Trial | None) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("front: trial", f"{status.step_name}s", "accuracy", f"energy ({status.provenance})"):
        table.add_column(heading, justify="right")
    for trial in status.front[-LONGEST_FRONT:]:
        table.add_row(
            str(trial.number),
            str(trial.step),
            percent(trial.score),
            format_energy(trial.energy_j),
            style="bold green" if trial is best else "",
        )
    return table


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `3.5 h`, `4.2 days`."""
    for scale, unit in ((86400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * scale:
            amount = seconds / scale
            return f"{amount:.0f} {unit}" if amount >= 10 or unit == "min" else f"{amount:.1f} {unit}"
    return f"{seconds:.0f} s"
