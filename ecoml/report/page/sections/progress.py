"""What the search's energy achieved: the best score so far, energy to target, and the gain of more energy."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from ecoml.energy import Provenance
from ecoml.format import (
    capitalised,
    energy_unit,
    format_energy,
    format_gain,
    format_score,
    named_score,
    percent,
    plural_of,
)
from ecoml.metric import Metric
from ecoml.report.charts.records import progress_records
from ecoml.report.charts.returns import Stretch, diminishing_from, overall, stretches_of
from ecoml.report.page.document import Chart, Table
from ecoml.report.statistics import energy_to_target
from ecoml.run.result import Result

SHARES = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995, 0.999, 1.0)
"""Targets for a score that is a share."""

TARGETS = 6
"""Approximate number of targets for any other score, from the first measurement to the best."""


def progress_context(result: Result) -> dict[str, Any] | None:
    """Chart and tables; None without a measurement."""
    if not result.front:
        return None
    from ecoml.report.charts.charts import progress_chart
    from ecoml.report.charts.drawing import PAGE

    charged = "of the search: training, evaluation, the optimiser and idling"
    if result.energy.provenance is Provenance.REPORTED:
        charged = "that the training reported, without the optimiser"
    pieces, name = stretches_of(result), result.metric.name
    return {
        "verdict": _verdict(result, pieces),
        "chart": Chart(
            "progress",
            progress_chart(result, PAGE),
            label=f"Best {name} so far against the energy that the search had spent",
            caption=f"Best {name} so far, against all joules {charged}.",
            figures=_improvements(result),
        ),
        "targets": _targets(result),
        "returns": _returns(result, pieces) if len(pieces) > 1 else None,
    }


def _verdict(result: Result, pieces: list[Stretch]) -> str:
    metric, source = result.metric, result.energy.provenance
    if not pieces or overall(pieces).to_utility <= overall(pieces).from_utility:
        return f"No measurement was better than the first one: the energy after it did not improve the {metric.name}."
    whole, knee = overall(pieces), diminishing_from(pieces)
    unit, unit_j = energy_unit(whole.to_j)

    def gain(piece: Stretch) -> str:
        return format_gain(metric, unit_j * piece.gain_per_j)

    if knee is None:
        return (
            f"The {metric.name} got better evenly to the end, by {gain(whole)} a {unit} ({source}): more energy may"
            " well have bought more of it."
        )
    after = Stretch(knee.from_j, whole.to_j, knee.from_utility, whole.to_utility)
    return (
        f"The point of diminishing returns is {format_energy(knee.from_j)} ({source}): by then the search had reached"
        f" {named_score(metric, metric.utility(knee.from_utility))}, and each {unit} after it bought {gain(after)} on"
        f" average, against {gain(whole)} over the whole search. {percent(1 - knee.from_j / whole.to_j, 0)} of the"
        f" energy was spent beyond it, for {format_gain(metric, whole.to_utility - knee.from_utility)}."
    )


def _improvements(result: Result) -> Table:
    rows = [
        [record["shown"], record["spent"], str(record["trial"]), str(record["step"])]
        for record in progress_records(result)
    ]
    header = ["Best so far", "Spent by then", "Trial", capitalised(plural_of(result.metric.step))]
    return Table(f"Every improvement of the best {result.metric.name}", header, rows, numeric=range(4))


def targets(metric: Metric, first: float, best: float) -> Iterator[float]:
    """Targets from the easiest on; one of them is beyond `best`, if the metric allows it.

    Args:
        metric: The metric of the scores.
        first: Score of the first measurement.
        best: The best score.
    """
    if metric.is_share:
        ladder = [1.0 - share if metric.minimize else share for share in SHARES]
    else:
        rough = abs(best - first) / TARGETS or abs(best) or 1.0
        step = 10.0 ** math.floor(math.log10(rough))
        step *= next(factor for factor in (1, 2, 5, 10) if factor * step >= rough)
        low, high = metric.utility(first), metric.utility(best)
        rungs = range(math.ceil(low / step), math.floor(high / step) + 2)
        ladder = [metric.utility(rung * step) or 0.0 for rung in rungs]  # no -0
    for target in ladder:
        if metric.allows(target):
            yield target
        if not metric.reaches(best, target):
            return


def _targets(result: Result) -> Table:
    metric, source = result.metric, result.energy.provenance.value
    spent_j = [entry.point.spent_j for entry in result.progress]
    utilities = [entry.point.utility for entry in result.progress]
    by_energy: dict[float, list[str | None]] = {}  # of targets reached at once, the hardest says it all
    for target in targets(metric, result.progress[0].point.score, result.front[-1].curve[-1].score):
        to_target_j = energy_to_target(spent_j, utilities, metric.utility(target))
        shown = format_score(metric, target)
        if math.isinf(to_target_j):
            not_for = f"not within {format_energy(result.energy.total_j)}"
            by_energy[to_target_j] = [shown, not_for, None, None, source]
            break
        cheapest = next((t for t in result.front if metric.reaches(t.curve[-1].score, target)), None)
        by_energy[to_target_j] = [
            shown,
            format_energy(to_target_j),
            percent(to_target_j / result.energy.total_j, 1),
            None if cheapest is None else f"{format_energy(cheapest.energy_j)} (trial {cheapest.number})",
            source,
        ]
    header = ["Target", "Energy to target, whole search", "Of all spent", "Cheapest training that reaches it", "Source"]
    caption = "Energy to target: the energy that the search had spent when it first reached it"
    return Table(caption, header, list(by_energy.values()), numeric=range(4))


def _returns(result: Result, pieces: list[Stretch]) -> Table:
    metric, source = result.metric, result.energy.provenance.value
    unit, unit_j = energy_unit(result.energy.total_j)
    rows = [
        [
            f"{format_energy(piece.from_j)} to {format_energy(piece.to_j)}",
            f"{format_score(metric, metric.utility(piece.from_utility))} to"
            f" {format_score(metric, metric.utility(piece.to_utility))}",
            format_gain(metric, unit_j * piece.gain_per_j, bare=True),
            source,
        ]
        for piece in pieces
    ]
    gain = f"{'Percentage points' if metric.is_share else 'Gain'} per {unit}"
    caption = f"Marginal gain: the gain of a further {unit} along the search's best course"
    return Table(caption, ["Energy spent", f"Best {metric.name}", gain, "Source"], rows, numeric=range(3))
