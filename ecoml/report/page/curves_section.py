"""Learning curves against joules, and what was left before its end: how much of it, and what that saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ecoml.energy import format_energy
from ecoml.report.charts.records import curve_records
from ecoml.report.format import source_of
from ecoml.report.page.document import Cell, Html, chart, element, percent, section, table
from ecoml.report.page.histories import ending, visits
from ecoml.run.result import Result
from ecoml.trial import Trial, TrialState

FORCED = ("the budget ended", "the target was reached", "interrupted")
"""Why a trial was stopped that would have gone on; everything else was the choice of the strategy or of a limit."""


def curves_section(result: Result) -> Html | None:
    """Chart, table of endings, and what unfinished trials saved; None without a trial."""
    if not result.trials:
        return None
    curves = curve_records(result)
    drawing = None
    if curves.records:
        from ecoml.report.charts.charts import learning_chart
        from ecoml.report.charts.drawing import PAGE

        thinned = "" if curves.complete else f" Of {curves.total:,} curves {curves.shown:,} are drawn."
        drawing = chart(
            "curves",
            learning_chart(curves.records, source=source_of(result.trials), style=PAGE),
            label="Validation accuracy of each trial against its own energy; the ends of the curves are in the table"
            " of all trials",
            caption=f"Each trial's accuracy against its own joules; trials with a point on the front in blue.{thinned}",
        )
    return section("curves", "Learning curves", drawing, _endings(result), *_choices(result))


@dataclass(frozen=True, slots=True)
class Saved:
    """What was not spent on trials that were left.

    Attributes:
        energy_j: Joules that going on to their full length would have taken, from each one's own steps.
        low_j: The same if every further step had taken as little as its cheapest.
        high_j: The same if every further step had taken as much as its dearest.
    """

    energy_j: float
    low_j: float
    high_j: float


def left_by_choice(trials: Sequence[Trial]) -> list[Trial]:
    """Trials that the strategy, or a limit, left before their end, and that were never taken up again."""
    return [
        trial
        for trial in trials
        if trial.curve
        and (trial.state is TrialState.SUSPENDED or (trial.state is TrialState.STOPPED and trial.failure not in FORCED))
    ]


def saved_on(trials: Sequence[Trial]) -> Saved | None:
    """What leaving these trials saved; None where the full length of one of them is not known."""
    parts = []
    for trial in trials:
        epochs = trial.config.get("epochs")
        if isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < trial.step or not trial.curve:
            return None
        before_j = [0.0, *(point.energy_j for point in trial.curve[:-1])]
        steps_j = [point.energy_j - from_j for point, from_j in zip(trial.curve, before_j, strict=True)]
        left = epochs - trial.step
        parts.append((left * trial.curve[-1].energy_j / trial.step, left * min(steps_j), left * max(steps_j)))
    return Saved(*map(sum, zip(*parts, strict=True))) if parts else None


def taken_up_again(order: Sequence[int]) -> int:
    """How many trials were gone on with after another one had been measured.

    Args:
        order: The trial of every measurement, in order.
    """
    return sum(count > 1 for count in visits(order).values())


def _endings(result: Result) -> Html:
    kinds: dict[str, list[Trial]] = {}
    for trial in result.trials:
        kinds.setdefault(ending(trial), []).append(trial)
    rows: list[list[Cell]] = []
    total_j = sum(trial.energy_j for trial in result.trials)
    for kind, trials in kinds.items():
        spent_j = sum(trial.energy_j for trial in trials)
        steps = sum(trial.step for trial in trials)
        share = percent(spent_j / total_j) if total_j > 0 else None
        rows.append([kind, str(len(trials)), str(steps), format_energy(spent_j), share, result.energy.provenance.value])
    header = ["How it ended", "Trials", f"{result.step_name.capitalize()}s", "Energy", "Share", "Source"]
    return table(header, rows, caption="How the trials ended", numeric=(1, 2, 3, 4))


def _choices(result: Result) -> list[Html]:
    told = []
    again = taken_up_again([entry.trial for entry in result.progress])
    if again:
        told.append(f"{again} {'trial was' if again == 1 else 'trials were'} suspended and taken up again later.")
    left = left_by_choice(result.trials)
    if left:
        spent_j = sum(trial.energy_j for trial in left)
        told.append(
            f"{len(left)} {'trial was' if len(left) == 1 else 'trials were'} left before the end, after"
            f" {format_energy(spent_j)} ({source_of(tuple(left))})."
        )
        saved = saved_on(left)
        if saved is None:
            told.append("What that saved cannot be told: how long the training would have gone on is not known.")
        else:
            told.append(
                f"Training them to their full length would have taken about {format_energy(saved.energy_j)} more"
                f" (between {format_energy(saved.low_j)} and {format_energy(saved.high_j)}): estimated from what"
                f" their own {result.step_name}s took, since nobody measures what did not happen."
            )
    return [element("p", " ".join(told))] if told else []
