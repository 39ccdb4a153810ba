"""All trials in a sortable table."""

from __future__ import annotations

import math
from typing import Any

from ecoml.format import capitalised, format_config, format_energy, format_score, plural_of
from ecoml.report.charts.records import courses, varying
from ecoml.report.page.document import Cell, Table
from ecoml.report.page.sections.front import left_out
from ecoml.run.result import Result

MOST_ROWS = 500
"""Largest number of trials in the table; the ledger has all."""


def trials_context(result: Result) -> dict[str, Any] | None:
    """The table; None without a trial."""
    if not result.trials:
        return None
    shown, names, how, metric = result.trials, varying(result.trials), courses(result), result.metric
    if len(shown) > MOST_ROWS:
        ranked = sorted(shown, key=lambda trial: -math.inf if trial.utility is None else trial.utility, reverse=True)
        shown = tuple(sorted(ranked[:MOST_ROWS], key=lambda trial: trial.number))
    rows = [
        [
            Cell(f"{trial.number}", trial.number),
            how[trial.number],
            Cell(None if trial.score is None else format_score(metric, trial.score), trial.score),
            Cell(format_energy(trial.energy_j), trial.energy_j),
            trial.energy.provenance.value if trial.curve else None,
            Cell(f"{trial.step}", trial.step),
            Cell(format_config(trial.config, names), css="config"),
        ]
        for trial in shown
    ]
    steps = capitalised(plural_of(metric.step))
    return {
        "count": len(result.trials),
        "shown": len(shown),
        "table": Table(
            f"Score at the last measurement, and all joules charged{left_out(result)}",
            ["Trial", "How it went", capitalised(metric.name), "Energy", "Source", steps, "Configuration"],
            rows,
            numeric=(2, 3, 5),
            sortable=True,
        ),
    }
