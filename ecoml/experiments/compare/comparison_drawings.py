"""The charts of a comparison, from its numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ecoml.experiments.compare.comparison import Comparison
from ecoml.experiments.compare.comparison_tables import ratio_words
from ecoml.experiments.compare.standings import ProblemComparison, Standing
from ecoml.format import format_energy, percent
from ecoml.report.charts.curves import Reached, held, median_band, reached
from ecoml.report.charts.records import thin
from ecoml.report.statistics import best_so_far

if TYPE_CHECKING:
    from ecoml.report.charts.drawing import Drawing, Style

MOST_STEPS = 300
"""Steps of a median curve drawn at most."""


def ratio_drawing(comparison: Comparison, style: Style) -> Drawing:
    """How many times less energy than the reference, problem by problem."""
    from ecoml.experiments.compare.comparison_charts import ratio_chart

    kinds = {"=": "known", "<": "at most", ">": "at least"}
    records = [
        {
            "problem": problem.name,
            "strategy": standing.strategy,
            "ratio": standing.ratio.value,
            "kind": kinds[standing.ratio.relation],
            "words": ratio_words(standing.ratio),
        }
        for problem in comparison.problems
        for standing in problem.standings
        if standing.ratio is not None and 0 < standing.ratio.value < math.inf
    ]
    strategies = _colours(comparison, [mean.strategy for mean in comparison.means])
    return ratio_chart(records, strategies, [problem.name for problem in comparison.problems], style=style)


def reached_drawing(comparison: Comparison, problem: ProblemComparison, style: Style) -> Drawing:
    """The energy-to-target curve: share of the seeds that have reached the target."""
    from ecoml.experiments.compare.comparison_charts import reached_chart

    records: list[dict[str, Any]] = []
    for standing in problem.standings:
        curve = reached(standing.energies_j, standing.horizons_j)
        records += _steps(problem, standing, curve)
    return reached_chart(
        records,
        _colours(comparison, [standing.strategy for standing in problem.standings]),
        horizon_j=problem.horizon_j,
        source=problem.provenance.value,
        title=f"Seeds that reached {percent(problem.target, 1)}",
        style=style,
    )


def _steps(problem: ProblemComparison, standing: Standing, curve: Reached) -> list[dict[str, Any]]:
    strategy, seeds, source = standing.strategy, len(standing.seeds), problem.quality[standing.strategy].provenance
    records: list[dict[str, Any]] = [{"strategy": strategy, "energy_j": 0.0, "share": 0.0}]
    for index, (energy_j, share) in enumerate(zip(curve.energies_j.tolist(), curve.share.tolist(), strict=True)):
        step = {"strategy": strategy, "energy_j": energy_j, "share": share}
        step |= {"seeds": f"{share:.0%} of {seeds}", "energy": f"{format_energy(energy_j)} ({source})"}
        if curve.low is not None and curve.high is not None:
            step |= {"low": float(curve.low[index]), "high": float(curve.high[index])}
        records.append(step)
    # The last step goes on for as long as some search was looked at; where all have got there, to the end.
    end = {key: value for key, value in records[-1].items() if key not in ("seeds", "energy")}
    ends_j = max(standing.horizons_j) if end["share"] >= 1 else curve.ends_j
    return [*records, {**end, "energy_j": max(ends_j, float(end["energy_j"]))}]


def score_drawing(comparison: Comparison, problem: ProblemComparison, style: Style) -> Drawing:
    """Best accuracy so far, the median over seeds with its band."""
    curves = {
        standing.strategy: [best_so_far(*search.steps) for search in problem.of(standing.strategy)]
        for standing in problem.standings
    }
    return _course(
        comparison, problem, curves, before=math.nan, title="Best accuracy so far", target=problem.target, style=style
    )


def hypervolume_drawing(comparison: Comparison, problem: ProblemComparison, style: Style) -> Drawing:
    """Hypervolume, the median over seeds with its band. The problem must have a frame."""
    assert problem.frame is not None
    curves = {
        standing.strategy: [problem.frame.course(search.progress) for search in problem.of(standing.strategy)]
        for standing in problem.standings
    }
    return _course(comparison, problem, curves, before=0.0, title="Hypervolume", target=None, style=style)


def _course(
    comparison: Comparison,
    problem: ProblemComparison,
    curves: dict[str, list[Any]],
    *,
    before: float,
    title: str,
    target: float | None,
    style: Style,
) -> Drawing:
    from ecoml.experiments.compare.comparison_charts import course_chart

    records = []
    for strategy, of_seeds in curves.items():
        steps_j = np.unique(np.concatenate([np.asarray(spent_j, dtype=float) for spent_j, _ in of_seeds])).tolist()
        ends_j = max(search.horizon_j for search in problem.of(strategy))
        at_j = [*thin(steps_j, MOST_STEPS), ends_j]
        band = median_band(held(of_seeds, at_j, before))
        records += [
            {"strategy": strategy, "energy_j": energy_j, "low": low, "accuracy": middle, "high": high}
            for energy_j, low, middle, high in zip(
                at_j, band.low.tolist(), band.middle.tolist(), band.high.tolist(), strict=True
            )
            if math.isfinite(middle)
        ]
    return course_chart(
        records,
        _colours(comparison, list(curves)),
        horizon_j=problem.horizon_j,
        title=title,
        share=target is not None,
        target=target,
        source=problem.provenance.value,
        style=style,
    )


def _colours(comparison: Comparison, strategies: Sequence[str]) -> dict[str, int]:
    """The same colour for a strategy wherever it is drawn."""
    return {strategy: comparison.strategies.index(strategy) for strategy in strategies}
