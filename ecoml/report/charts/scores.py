"""The axis of scores, on which 97 % and 99.5 % accuracy are as far apart as their errors.

Scores with a best possible value are drawn by their distance to it, on a logarithmic axis; the labels show the scores
themselves. Losses without a known best value are drawn on a linear axis, from 0 if the scale allows it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from ecoml.metric import Metric
from ecoml.report.charts.drawing import Record


@dataclass(frozen=True, slots=True)
class ScoreAxis:
    """The vertical axis of a chart.

    Attributes:
        place: Function from a score to its place on the axis.
        y: The axis.
    """

    place: Callable[[float], float]
    y: alt.Y

    def placed(self, records: Sequence[Record]) -> list[dict[str, Any]]:
        """The records, with the place of their `score` in its stead."""
        return [{**record, "score": self.place(record["score"])} for record in records]


def score_axis(metric: Metric, scores: Sequence[float], title: str, field: str = "score") -> ScoreAxis:
    """The axis for these scores.

    Args:
        metric: The metric of the scores.
        scores: All scores in the chart, finite.
        title: Title of the axis.
        field: The field of the records that holds the place.
    """
    form = ".3~%" if metric.is_share else ".3~g"
    best = metric.ceiling if math.isfinite(metric.ceiling) else 0.0 if metric.minimize else math.nan
    missing = [best - metric.utility(score) for score in scores]
    positive = [distance for distance in missing if distance > 0]
    if not positive or min(missing) < 0 or max(positive) == min(missing):
        low, high = (min(scores), max(scores)) if scores else (0.0, 1.0)
        margin = 0.06 * (high - low) or 0.01 * abs(high) or 0.01
        scale = alt.Scale(domain=[low - margin, high + margin], nice=False)
        axis = alt.Axis(format=form, tickCount=6)
        return ScoreAxis(float, alt.Y(f"{field}:Q", title=title, scale=scale, axis=axis))
    perfect = min(missing) == 0  # it has no place on the axis, and is drawn where what is missing is halved once more
    least = min(positive) / 2 if perfect else min(positive)
    ends = least / 1.1, max(positive) * 1.1
    ticks = [tick for power in range(-9, 10) for m in (1, 2, 5) if ends[0] <= (tick := m * 10.0**power) <= ends[1]]
    ticks += [least] if perfect else []
    behind = f"(datum.value > {least} ? datum.value : 0)" if perfect else "datum.value"
    score = f"{metric.utility(best) + 0.0} {'+' if metric.minimize else '-'} {behind}"
    scale = alt.Scale(type="log", domain=list(ends), nice=False, reverse=not metric.minimize)
    axis = alt.Axis(labelExpr=f"format({score}, '{form}')", values=ticks if len(ticks) > 1 else alt.Undefined)
    y = alt.Y(f"{field}:Q", title=f"{title} (log scale)", scale=scale, axis=axis)
    return ScoreAxis(lambda value: max(best - metric.utility(value), least), y)
