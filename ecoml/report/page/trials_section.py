"""All trials in a table that sorts."""

from __future__ import annotations

from ecoml.report.charts.records import config_text, varying
from ecoml.report.format import left_out, plus_minus, steps_title
from ecoml.report.page.document import Cell, Html, Sortable, element, join, percent, section, table
from ecoml.report.page.histories import history, visits
from ecoml.run.result import Result
from ecoml.trial import Trial, TrialState

MOST_ROWS = 500
"""Trials in the table at most; the ledger has them all."""


def trials_section(result: Result) -> Html | None:
    """The table; None without a trial."""
    if not result.trials:
        return None
    shown, names = result.trials, varying(result.trials)
    times = visits([entry.trial for entry in result.progress])
    note = None
    if len(shown) > MOST_ROWS:
        ranked = sorted(shown, key=lambda trial: -1.0 if trial.score is None else trial.score, reverse=True)
        shown = tuple(sorted(ranked[:MOST_ROWS], key=lambda trial: trial.number))
        note = element(
            "p",
            f"The {MOST_ROWS:,} most accurate of {len(result.trials):,} trials; the ledger beside it has them all.",
            "note",
        )
    rows: list[list[Cell]] = [
        [
            Sortable(f"{trial.number}", trial.number),
            history(trial, times[trial.number]),
            Sortable(None if trial.score is None else percent(trial.score), trial.score),
            Sortable(plus_minus(trial.energy_j, 0.0, trial.provenance), trial.energy_j),
            trial.provenance.value if trial.curve else None,
            Sortable(f"{trial.step}", trial.step),
            join([element("span", config_text(trial.config, names), "config"), _failure(trial)], separator="<br>"),
        ]
        for trial in shown
    ]
    header = ["Trial", "How it went", "Accuracy", "Energy", "Source", steps_title(result), "Configuration, failure"]
    caption = f"Accuracy at the last measurement, and all joules charged{left_out(result)}"
    listed = table(header, rows, caption=caption, numeric=(2, 3, 5), sortable=True)
    return section("trials", f"All {len(result.trials):,} trials", note, Html(f'<div class="tall">{listed}</div>'))


def _failure(trial: Trial) -> str | None:
    """What went wrong; why a trial was stopped stands with its history."""
    return trial.failure if trial.state is TrialState.FAILED else None
