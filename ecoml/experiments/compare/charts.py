"""The charts of a comparison. Their energy axes are logarithmic, as most changes happen early in a search."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeVar

import altair as alt
import numpy as np

from ecoml.experiments.compare.comparison import Comparison
from ecoml.experiments.compare.standings import ProblemComparison, Standing
from ecoml.experiments.compare.tables import ratio_words
from ecoml.format import format_energy, named_score
from ecoml.report.charts.curves import held, median_band, reached
from ecoml.report.charts.drawing import Drawing, Record, Style, finish, layer_of, log_x
from ecoml.report.charts.records import thin
from ecoml.report.charts.scores import score_axis
from ecoml.report.statistics import best_so_far

MOST_STEPS = 300
"""Largest number of steps of a median curve in a chart."""
MOST_BANDS = 6
"""Largest number of strategies whose bands are drawn: more of them hide each other, and the lines."""

_DASHES: tuple[list[int], ...] = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3])

T = TypeVar("T")

_KINDS = {"=": "known", "<": "at most", ">": "at least"}


def ratio_drawing(comparison: Comparison, style: Style) -> Drawing:
    """How many times less energy than the reference each strategy needs, by problem."""
    problems = [problem.name for problem in comparison.problems]
    strategies = _colours(comparison, [mean.strategy for mean in comparison.means])
    records: list[dict[str, Any]] = [
        {
            "problem": problem.name,
            "strategy": standing.strategy,
            "ratio": standing.ratio.value,
            "kind": _KINDS[standing.ratio.relation],
            "words": ratio_words(standing.ratio),
        }
        for problem in comparison.problems
        for standing in problem.standings
        if standing.ratio is not None and 0 < standing.ratio.value < math.inf
    ]
    ratios = [record["ratio"] for record in records] or [1.0]
    x = alt.X(
        "ratio:Q",
        title="Times less energy than the reference (log scale)",
        scale=alt.Scale(type="log", domain=[min(0.8, *ratios) / 1.15, max(1.25, *ratios) * 1.15], nice=False),
        axis=alt.Axis(values=[0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100], labelExpr="datum.value + '×'", grid=True),
    )
    y = alt.Y("problem:N", title=None, sort=problems, axis=alt.Axis(labelLimit=260, domain=False, ticks=False))
    shape = alt.Shape(
        "kind:N",
        scale=alt.Scale(domain=list(_KINDS.values()), range=["circle", "triangle-left", "triangle-right"]),
        legend=None,
    )
    points = layer_of(records).mark_point(filled=True, size=70, opacity=1)
    layers = [
        layer_of([{"ratio": 1}]).mark_rule(color=style.muted).encode(x=x),
        points.encode(
            x=x,
            y=y,
            yOffset=alt.YOffset("strategy:N", scale=alt.Scale(domain=list(strategies))),
            shape=shape,
            color=_colour(strategies, style),
            tooltip=[alt.Tooltip("strategy:N"), alt.Tooltip("words:N", title="times less"), alt.Tooltip("kind:N")],
        ),
    ]
    return finish(layers, style, height=(14 + 10 * max(1, len(strategies))) * len(problems))


def reached_drawing(comparison: Comparison, problem: ProblemComparison, style: Style) -> Drawing:
    """The energy-to-target curve: share of the seeds that have reached the target, one step line per strategy."""
    strategies = _colours(comparison, [standing.strategy for standing in problem.standings])
    steps = [record for standing in problem.standings for record in _steps(problem, standing)]
    x = _search_x(problem)
    y = alt.Y(
        "share:Q",
        title=f"Seeds that reached {named_score(problem.metric, problem.target)}",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format=".0%", tickCount=5),
    )
    line = layer_of(steps).mark_line(interpolate="step-after", strokeWidth=2, clip=True)
    tooltip = [alt.Tooltip("strategy:N"), alt.Tooltip("seeds:N"), alt.Tooltip("energy:N", title="energy")]
    dots = layer_of([record for record in steps if "seeds" in record]).mark_circle(size=40, opacity=1)
    return finish(
        [
            *_band([record for record in steps if "low" in record], strategies, x, y, style),
            line.encode(x=x, y=y, **_by_strategy(strategies, style)),
            dots.encode(x=x, y=y, color=_colour(strategies, style), tooltip=tooltip),
        ],
        style,
        height=280,
    )


def score_drawing(comparison: Comparison, problem: ProblemComparison, style: Style) -> Drawing:
    """Best score so far, the median over seeds with its band."""
    curves = {
        standing.strategy: [best_so_far(*search.steps) for search in problem.of(standing.strategy)]
        for standing in problem.standings
    }
    course = _course(problem, curves, before=math.nan)
    target = problem.metric.utility(problem.target)
    metric, utilities = problem.metric, [*(record[end] for record in course for end in _ENDS), target]
    axis = score_axis(metric, [metric.utility(utility) for utility in utilities], f"Best {metric.name} so far", "value")
    drawn = [record | {end: axis.place(metric.utility(record[end])) for end in _ENDS} for record in course]
    rule = (
        layer_of([{"value": axis.place(metric.utility(target))}])
        .mark_rule(color=style.muted, strokeDash=[3, 3])
        .encode(y=axis.y)
    )
    layers = [*_lines(comparison, problem, drawn, axis.y, style), rule.mark_rule(color=style.muted, strokeDash=[3, 3])]
    return finish(layers, style, height=280)


def hypervolume_drawing(comparison: Comparison, problem: ProblemComparison, style: Style) -> Drawing:
    """Hypervolume, the median over seeds with its band. The problem must have a frame."""
    assert problem.frame is not None
    curves = {
        standing.strategy: [problem.frame.course(search.progress) for search in problem.of(standing.strategy)]
        for standing in problem.standings
    }
    course = _course(problem, curves, before=0.0)
    y = alt.Y("value:Q", title="Hypervolume", scale=alt.Scale(nice=False), axis=alt.Axis(format=".2~f", tickCount=6))
    return finish(_lines(comparison, problem, course, y, style), style, height=280)


_ENDS = ("low", "value", "high")


def _steps(problem: ProblemComparison, standing: Standing) -> list[dict[str, Any]]:
    curve = reached(standing.energies_j, standing.horizons_j)
    strategy, seeds, source = standing.strategy, len(standing.seeds), problem.quality[standing.strategy].provenance
    records: list[dict[str, Any]] = [{"strategy": strategy, "energy_j": _begins_j(problem), "share": 0.0}]
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


def _course(problem: ProblemComparison, curves: Mapping[str, list[Any]], *, before: float) -> list[dict[str, Any]]:
    """The median of each strategy at each energy: `strategy`, `energy_j`, `low`, `value`, `high`."""
    records = []
    for strategy, of_seeds in curves.items():
        steps_j = np.unique(np.concatenate([np.asarray(spent_j, dtype=float) for spent_j, _ in of_seeds])).tolist()
        at_j = [*thin([at for at in steps_j if at > 0], MOST_STEPS), max(s.horizon_j for s in problem.of(strategy))]
        band = median_band(held(of_seeds, at_j, before))
        columns = (at_j, band.low.tolist(), band.middle.tolist(), band.high.tolist())
        records += [
            {"strategy": strategy, "energy_j": energy_j, "low": low, "value": middle, "high": high}
            for energy_j, low, middle, high in zip(*columns, strict=True)
            if math.isfinite(middle)
        ]
    return records


def _lines(
    comparison: Comparison, problem: ProblemComparison, course: Sequence[Record], y: alt.Y, style: Style
) -> list[alt.Chart]:
    """A step line per strategy, with its band."""
    x = _search_x(problem)
    strategies = _colours(comparison, [standing.strategy for standing in problem.standings])
    line = layer_of(course).mark_line(interpolate="step-after", strokeWidth=2)
    return [*_band(course, strategies, x, y, style), line.encode(x=x, y=y, **_by_strategy(strategies, style))]


def _begins_j(problem: ProblemComparison) -> float:
    """The least energy at which a search had its first measurement."""
    spent_j = [entry.point.spent_j for search in problem.searches for entry in search.progress]
    return min((at for at in spent_j if at > 0), default=problem.horizon_j or 1.0)


def _search_x(problem: ProblemComparison) -> alt.X:
    ends_j = (_begins_j(problem), problem.horizon_j or 1.0)
    title = f"Energy of the search so far, J ({problem.provenance}, log scale)"
    return log_x([{"energy_j": energy_j} for energy_j in ends_j], title)


def _colours(comparison: Comparison, strategies: Sequence[str]) -> dict[str, int]:
    """The same colour and dashes for a strategy in all charts."""
    return {strategy: comparison.strategies.index(strategy) for strategy in strategies}


def _band(
    records: Sequence[Record], strategies: Mapping[str, int], x: alt.X, y: alt.Y, style: Style
) -> list[alt.Chart]:
    if not records or len(strategies) > MOST_BANDS:
        return []
    area = layer_of(records).mark_area(interpolate="step-after", opacity=0.11, clip=True)
    # Title, scale and legend are those of the line: vega-lite joins what differs, and drops what one of them lacks.
    low = alt.Y("low:Q", title=y["title"], scale=y["scale"])
    return [area.encode(x=x, y=low, y2="high:Q", color=_colour(strategies, style))]


def legend_of(comparison: Comparison, style: Style) -> list[dict[str, str]]:
    """The strategies with their colours and dashes, for a page, which writes the legend itself so that it wraps."""
    return [
        {"strategy": strategy, "colour": _of(style.series, index), "dashes": " ".join(map(str, _of(_DASHES, index)))}
        for index, strategy in enumerate(comparison.strategies)
    ]


def _legend(strategies: Collection[str], style: Style) -> alt.Legend | None:
    """The legend above a static figure, in as many columns as fit."""
    if not style.static:
        return None
    return alt.Legend(
        orient="top",
        title=None,
        symbolType="stroke",
        symbolSize=320,
        symbolOpacity=1,
        symbolStrokeWidth=2,
        labelLimit=240,
        columns=max(1, int(style.width) // (50 + 7 * max(map(len, strategies), default=0))),
    )


def _colour(strategies: Mapping[str, int], style: Style) -> alt.Color:
    colours = [_of(style.series, index) for index in strategies.values()]
    scale = alt.Scale(domain=list(strategies), range=colours)
    return alt.Color("strategy:N", scale=scale, legend=_legend(strategies, style))


def _by_strategy(strategies: Mapping[str, int], style: Style) -> dict[str, Any]:
    """Colour and dashes by strategy, as one legend."""
    scale = alt.Scale(domain=list(strategies), range=[_of(_DASHES, index) for index in strategies.values()])
    return {
        "color": _colour(strategies, style),
        "strokeDash": alt.StrokeDash("strategy:N", scale=scale, legend=_legend(strategies, style)),
    }


def _of(choices: Sequence[T], index: int) -> T:
    return choices[index % len(choices)]
