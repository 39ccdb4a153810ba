"""The interaction plot: mean energy by the levels of the decisive factor, one line per combination of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt

from ecoml.experiments.effects.effects import Effects
from ecoml.report.charts.drawing import Style, finish, layer_of

if TYPE_CHECKING:
    from ecoml.report.charts.drawing import Drawing


def interaction_chart(effects: Effects, style: Style) -> Drawing:
    """Lines that are not parallel show that factors do not act independently of each other."""
    decisive = effects.extremes[0]
    index = effects.factors.index(decisive)
    others = [factor.name for factor in effects.factors if factor is not decisive]
    records = [
        {
            "level": str(cell.levels[index]),
            "others": ", ".join(
                f"{name} {level}"
                for name, level in zip(others, cell.levels[:index] + cell.levels[index + 1 :], strict=True)
            )
            or "all",
            "energy_j": cell.energy_j,
        }
        for cell in effects.cells
    ]
    names = list(dict.fromkeys(str(record["others"]) for record in records))
    x = alt.X(
        "level:N", title=decisive.name, sort=[str(level) for level in decisive.levels], axis=alt.Axis(labelAngle=0)
    )
    y = alt.Y("energy_j:Q", title=f"Mean energy of a training, J ({effects.provenance})", scale=alt.Scale(zero=True))
    colour = alt.Color(
        "others:N",
        scale=alt.Scale(domain=names, range=[style.series[i % len(style.series)] for i in range(len(names))]),
        legend=alt.Legend(orient="right", title=None, labelLimit=240),
    )
    layer = layer_of(records)
    return finish(
        [
            layer.mark_line(strokeWidth=2).encode(x=x, y=y, color=colour),
            layer.mark_circle(size=50, opacity=1).encode(x=x, y=y, color=colour),
        ],
        style,
        height=280,
    )
