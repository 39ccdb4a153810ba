"""Best accuracy against rounds, one chart per setting; the comparison draws it against joules."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import altair as alt

from ecoml.experiments.paper.rq1_result import Rq1, Setting
from ecoml.report.charts.drawing import PRINT, Style, finish, layer_of
from ecoml.report.charts.figures import save_figure
from ecoml.report.charts.scores import score_axis

if TYPE_CHECKING:
    from ecoml.report.charts.drawing import Drawing


def save_round_charts(result: Rq1, folder: Path) -> None:
    """Write `rounds-NETWORK-Nhp` as PNG, SVG and PDF."""
    for setting in result.settings:
        drawing = round_chart(setting, PRINT)
        save_figure(drawing, folder / f"rounds-{setting.network.lower()}-{setting.parameters}hp")


def round_chart(setting: Setting, style: Style) -> Drawing:
    """The best mean accuracy after each round, of the median seed."""
    records = [
        {"strategy": strategy, "round": number, "score": score}
        for strategy, found in setting.medians.items()
        for number, score in enumerate(found.best_so_far, start=1)
    ]
    names = list(setting.searches)
    colour = alt.Color(
        "strategy:N",
        scale=alt.Scale(domain=names, range=list(style.series[: len(names)])),
        legend=alt.Legend(orient="top", title=None),
    )
    x = alt.X("round:Q", title=f"Round ({setting.problem})", axis=alt.Axis(tickMinStep=1))
    (metric,) = {found.search.metric for found in setting.medians.values()}
    scores = [score for found in setting.medians.values() for score in found.best_so_far]
    axis = score_axis(metric, scores, f"Best mean {metric.name} so far")
    line = layer_of(axis.placed(records)).mark_line(interpolate="step-after", strokeWidth=2)
    line = line.encode(x=x, y=axis.y, color=colour)
    return finish([line], style, height=240)
