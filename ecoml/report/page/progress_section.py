"""What the search's energy bought: the best accuracy so far, energy to target, and what a further kWh was worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecoml.energy import Provenance, format_energy
from ecoml.report.charts.records import PROGRESS_TIPS, progress_records
from ecoml.report.charts.returns import Stretch, diminishing_from, overall, stretches
from ecoml.report.page.document import Cell, Html, chart, element, percent, section, table
from ecoml.report.statistics import energy_to_target
from ecoml.run.result import Result

if TYPE_CHECKING:
    from ecoml.report.charts.drawing import Drawing, Style

TARGETS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995, 0.999, 1.0)
"""Accuracies for which the energy to target is told."""


def progress_section(result: Result) -> Html | None:
    """Chart and tables; None without a measurement."""
    if not result.front:
        return None
    from ecoml.report.charts.drawing import PAGE

    charged = "of the search: its training, its evaluations, the optimiser's thinking and the idling in between"
    if result.energy.provenance is Provenance.REPORTED:
        charged = "that the training reported; the optimiser's thinking is not among them"
    pieces = _pieces(result)
    knee = diminishing_from(pieces)
    return section(
        "progress",
        "What the energy bought",
        element("p", _verdict(pieces, knee, result.energy.provenance)),
        chart(
            "progress",
            progress_drawing(result, PAGE),
            label="Best validation accuracy so far against the energy that the whole search had spent",
            caption=f"Best validation accuracy so far, against all joules {charged}.",
            figures=_improvements(result),
        ),
        _targets(result),
        _returns(pieces, result.energy.provenance) if len(pieces) > 1 else None,
    )


def progress_drawing(result: Result, style: Style) -> Drawing:
    """Best accuracy so far against what the whole search had spent."""
    from ecoml.report.charts.charts import progress_chart

    knee = diminishing_from(_pieces(result))
    return progress_chart(
        progress_records(result),
        budget_j=result.energy.budget_j,
        spent_j=result.energy.total_j,
        diminishing=None if knee is None else {"spent_j": knee.from_j, "accuracy": knee.from_score},
        tips=PROGRESS_TIPS,
        source=result.energy.provenance.value,
        style=style,
    )


def _pieces(result: Result) -> list[Stretch]:
    steps = [(record["spent_j"], record["accuracy"]) for record in progress_records(result)]
    return stretches(steps, result.energy.total_j)


def _verdict(pieces: list[Stretch], knee: Stretch | None, source: Provenance) -> str:
    if not pieces or overall(pieces).to_score <= overall(pieces).from_score:
        return "No measurement was better than the first one: all energy after it bought no accuracy."
    whole = overall(pieces)
    if knee is None:
        return (
            f"Accuracy rose evenly to the end, by {_gain(whole)} a kWh ({source}): more energy may well have"
            " bought more of it."
        )
    after = Stretch(knee.from_j, whole.to_j, knee.from_score, whole.to_score)
    return (
        f"The point of diminishing returns is {format_energy(knee.from_j)} ({source}): by then the search had"
        f" reached {percent(knee.from_score)}, and each kWh after it bought {_gain(after)} on average, against"
        f" {_gain(whole)} over the whole search. {percent(1 - knee.from_j / whole.to_j, 0)} of the energy was spent"
        f" beyond it, for {_points(whole.to_score - knee.from_score)}."
    )


def _improvements(result: Result) -> Html:
    rows: list[list[Cell]] = [
        [record["share"], record["spent"], str(record["trial"]), str(record["step"]), result.energy.provenance.value]
        for record in progress_records(result)
    ]
    header = ["Best so far", "Spent by then", "Trial", f"{result.step_name.capitalize()}s", "Source"]
    return table(header, rows, caption="Every improvement of the best accuracy", numeric=range(4))


def _targets(result: Result) -> Html:
    spent_j = [entry.spent_j for entry in result.progress]
    scores = [entry.score for entry in result.progress]
    source = result.energy.provenance.value
    by_energy: dict[float, list[Cell]] = {}  # of targets reached at once, the highest says it all
    for target in TARGETS:
        to_target_j = energy_to_target(spent_j, scores, target)
        if to_target_j == float("inf"):
            by_energy[to_target_j] = [
                percent(target),
                f"not for {format_energy(result.energy.total_j)}",
                None,
                None,
                source,
            ]
            break
        cheapest = next(trial for trial in result.front if (trial.score or 0.0) >= target - 1e-12)
        by_energy[to_target_j] = [
            percent(target),
            format_energy(to_target_j),
            percent(to_target_j / result.energy.total_j),
            f"{format_energy(cheapest.energy_j)} (trial {cheapest.number})",
            source,
        ]
    header = ["Target", "Energy to target, whole search", "Of all spent", "Cheapest training that reaches it", "Source"]
    caption = "Energy to target: what the whole search had spent when it first got there"
    return table(header, by_energy.values(), caption=caption, numeric=range(4))


def _returns(pieces: list[Stretch], source: Provenance) -> Html:
    rows = [
        [
            f"{format_energy(piece.from_j)} to {format_energy(piece.to_j)}",
            f"{percent(piece.from_score)} to {percent(piece.to_score)}",
            _gain(piece),
            source.value,
        ]
        for piece in pieces
    ]
    caption = "Marginal accuracy: what a further kWh bought along the search's best course"
    return table(
        ["Energy spent", "Best accuracy", "Percentage points per kWh", "Source"],
        rows,
        caption=caption,
        numeric=range(3),
    )


def _gain(piece: Stretch) -> str:
    """Percentage points per kWh: `2.26 M points`."""
    gain = piece.points_per_kwh
    for scale, prefix in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if gain >= 0.9995 * scale:
            return f"{_three(gain / scale)}{prefix} points"
    return f"{_three(gain)} points" if gain else "0 points"


def _three(value: float) -> str:
    """Three significant figures: `2.26`, `150`."""
    return f"{value:#.3g}".removesuffix(".")


def _points(share: float) -> str:
    return f"{100 * share:.2f} percentage points"
