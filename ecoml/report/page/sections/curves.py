"""Learning curves against joules; trials that ended early, and the energy this saved."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from ecoml.endings import EndReason
from ecoml.energy import weakest
from ecoml.format import capitalised, describe_ending, format_energy, percent, plural, plural_of
from ecoml.report.charts.records import curve_records, visits
from ecoml.report.page.document import Chart, Table
from ecoml.run.result import Result
from ecoml.trial import Trial, TrialState

FORCED = (EndReason.BUDGET, EndReason.TARGET, EndReason.INTERRUPTED)
"""Reasons that ended a trial against its own course; in all other cases the strategy or a limit decided."""


def curves_context(result: Result) -> dict[str, Any] | None:
    """Chart, table of endings, and the energy saved by unfinished trials; None without a trial."""
    if not result.trials:
        return None
    curves, drawn, name = curve_records(result), None, result.metric.name
    if curves.records:
        from ecoml.report.charts.charts import learning_chart
        from ecoml.report.charts.drawing import PAGE

        thinned = "" if curves.complete else f" Of {curves.total:,} curves {curves.shown:,} are drawn."
        drawn = Chart(
            "curves",
            learning_chart(result, curves.records, PAGE),
            label=f"{name} of each trial against its own energy; the ends of the curves are in the table of all trials",
            caption=f"Each trial's {name} against its own joules; trials with a point on the front in blue.{thinned}",
        )
    return {"chart": drawn, "endings": _endings(result), "choices": " ".join(_choices(result))}


def left_by_choice(trials: Sequence[Trial]) -> list[Trial]:
    """Trials that the strategy or a limit ended early, and that were never resumed."""
    return [
        trial
        for trial in trials
        if trial.curve
        and (
            trial.state is TrialState.SUSPENDED
            or (trial.state is TrialState.STOPPED and (trial.end is None or trial.end.reason not in FORCED))
        )
    ]


def saved_on(trials: Sequence[Trial], step: str) -> tuple[float, float, float] | None:
    """Joules that training them to full length would have taken; None if the full length of one of them is unknown.

    Args:
        trials: The trials.
        step: Name of a step; the configuration's value under its plural is the full length.

    Returns:
        The estimate from each trial's own steps; if every further step took as little as its cheapest; as much as its
        dearest.
    """
    parts = []
    for trial in trials:
        whole = trial.config.get(plural_of(step))
        if isinstance(whole, bool) or not isinstance(whole, int) or whole < trial.step or not trial.curve:
            return None
        before_j = [0.0, *(point.energy_j for point in trial.curve[:-1])]
        steps_j = [point.energy_j - from_j for point, from_j in zip(trial.curve, before_j, strict=True)]
        left = whole - trial.step
        parts.append((left * trial.curve[-1].energy_j / trial.step, left * min(steps_j), left * max(steps_j)))
    if not parts:
        return None
    about_j, low_j, high_j = (math.fsum(joules) for joules in zip(*parts, strict=True))
    return about_j, low_j, high_j


def taken_up_again(order: Sequence[int]) -> int:
    """Number of trials that were continued after another one had been measured.

    Args:
        order: The trial of every measurement, in order.
    """
    return sum(count > 1 for count in visits(order).values())


def _endings(result: Result) -> Table:
    kinds: dict[str, list[Trial]] = {}
    for trial in result.trials:
        failed = trial.state is TrialState.FAILED
        kinds.setdefault("failed" if failed else describe_ending(trial, result.metric), []).append(trial)
    total_j = sum(trial.energy_j for trial in result.trials)
    rows = []
    for kind, trials in kinds.items():
        spent_j, steps = sum(trial.energy_j for trial in trials), sum(trial.step for trial in trials)
        share = percent(spent_j / total_j if total_j > 0 else None, 1)
        rows.append([kind, f"{len(trials)}", f"{steps}", format_energy(spent_j), share, result.energy.provenance.value])
    header = ["How it ended", "Trials", capitalised(plural_of(result.metric.step)), "Energy", "Share", "Source"]
    return Table("How the trials ended", header, rows, numeric=(1, 2, 3, 4))


def _choices(result: Result) -> Iterator[str]:
    step, again = result.metric.step, taken_up_again([entry.trial for entry in result.progress])
    if again:
        yield f"{plural(again, 'trial')} {_was(again)} suspended and resumed later."
    left = left_by_choice(result.trials)
    if not left:
        return
    spent = f"{format_energy(sum(trial.energy_j for trial in left))} ({weakest(t.energy.provenance for t in left)})"
    yield f"{plural(len(left), 'trial')} {_was(len(left))} left before the end, after {spent}."
    saved_j = saved_on(left, step)
    if saved_j is None:
        yield "The saving is not known, because the full length of the training is not known."
    else:
        about, low, high = map(format_energy, saved_j)
        yield (
            f"Training them to their full length would have taken about {about} more (between {low} and {high}):"
            f" estimated from what their own {plural_of(step)} took."
        )


def _was(count: int) -> str:
    return "was" if count == 1 else "were"
