"""The importance of the parameters, as a section of a page."""

from __future__ import annotations

from typing import Any

from ecoml.format import percent, plural, plural_of
from ecoml.report.charts.importance import Importance, Untold, importances, outcome_names
from ecoml.report.page.document import Cell, Row, Table
from ecoml.run.result import Result


def importance_context(result: Result) -> dict[str, Any] | None:
    """A table of parameters with their shares for score and energy; None without a measurement."""
    if not result.front:
        return None
    score, energy = importances(result.trials, f"{plural_of(result.metric.step)} trained")
    titled = tuple(zip(outcome_names(result.metric), (score, energy), strict=True))
    told = [(title, found) for title, found in titled if isinstance(found, Importance)]
    untold = [(title, found) for title, found in titled if isinstance(found, Untold)]
    if score == energy and isinstance(score, Untold):
        return {"sentences": [f"This is not known for this search: {score.why}."], "table": None}
    sentences = [f"What decides the {title} is not known: {found.why}." for title, found in untold]
    if not told:
        return {"sentences": sentences, "table": None}
    known = " and ".join(f"{percent(found.explained, 0)} of the {title}" for title, found in told)
    method = (
        "Share of the differences between trials that goes back to each parameter, alone or together with others. A"
        f" random forest explains {known} of {plural(told[0][1].trials, 'trial')}, each predicted from others. A share"
        " that is not larger than its ± cannot be told from nothing. It is about the trials of this search: what it"
        " hardly varied cannot matter here."
    )
    names = dict.fromkeys(name for _, found in told for name in found.shares)
    ranked = sorted(names, key=lambda name: -max(found.shares[name] for _, found in told))
    rows: list[Row] = [[name, *(_share(found, name) for _, found in told)] for name in ranked]
    header = ["Parameter", *(f"For the {title}" for title, _ in told)]
    caption = "Total effect of each parameter, ± its standard error"
    return {"sentences": [method, *sentences], "table": Table(caption, header, rows, sortable=True)}


def _share(found: Importance, name: str) -> Cell:
    share, spread = found.shares[name], found.spread[name]
    faint = " none" if share <= spread else ""
    shown = f"{percent(share, 0)} ± {100 * spread:.0f}"
    return Cell(shown, share, css=f"amount{faint}", share=min(1.0, max(0.0, share)))
