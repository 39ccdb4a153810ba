"""Charts of one run."""

from __future__ import annotations

import math
from collections.abc import Sequence

import altair as alt

from ecoml.energy import weakest
from ecoml.format import score_title
from ecoml.report.charts.drawing import SI_LABELS, Drawing, Record, Style, finish, layer_of, legend_of, log_x
from ecoml.report.charts.records import end_records, is_recommended, point_records, point_tips, progress_records
from ecoml.report.charts.returns import diminishing_from, stretches_of
from ecoml.report.charts.scores import score_axis
from ecoml.run.result import Result

EARLY = 0.25
"""If the search had reached most of its improvement by this share of its energy, the energy axis is logarithmic."""


def front_chart(result: Result, style: Style) -> Drawing:
    """Score against the energy of a trial: all points in grey, the front as steps, the recommended trial marked."""
    metric, points, tips = result.metric, point_records(result).records, point_tips(result)
    front, choices = end_records(result, result.front), end_records(result, result.choices)
    recommended = next((r for r in choices if is_recommended(result, r["trial"], r["step"])), None)
    axis = score_axis(metric, [record["score"] for record in (*points, *front)], score_title(metric))
    x, y = log_x([*points, *front], _energy_title(result)), axis.y
    tooltip = [alt.Tooltip(f"{field}:N", title=title) for field, title in tips.items()]
    hover = alt.selection_point(name="hover", fields=["trial"], on="pointerover", empty=False)
    # The page sets it: a selection of vega's own could not be made from the keyboard.
    chosen_point = alt.param(name="chosen", value={"trial": -1, "step": -1})
    kinds = {"measurement": style.faint, "front": style.accent, "recommended": style.signal}
    colour = legend_of(kinds if recommended else {kind: kinds[kind] for kind in ("measurement", "front")}, style)
    cloud = layer_of(axis.placed([{**record, "kind": "measurement"} for record in points]))
    best = layer_of(axis.placed([{**record, "kind": "front"} for record in front]))
    layers: list[alt.Chart] = [
        cloud.mark_line(color=style.muted, strokeWidth=1)
        .encode(x=x, y=y, detail="trial:N", order=alt.Order("energy_j:Q"))
        .transform_filter(hover),
        cloud.mark_circle(size=28, opacity=0.7).encode(
            x=x, y=y, tooltip=tooltip, color=alt.condition(hover, alt.value(style.muted), colour)
        ),
        best.mark_line(interpolate="step-after", strokeWidth=2).encode(x=x, y=y, color=colour),
        best.mark_circle(size=56, opacity=1).encode(x=x, y=y, tooltip=tooltip, color=colour).add_params(hover),
    ]
    if not style.static:
        everything = {(record["trial"], record["step"]): record for record in (*points, *front)}
        layers.append(
            layer_of(axis.placed(list(everything.values())))
            .mark_point(shape="circle", size=260, filled=False, color=style.ink, strokeWidth=2, opacity=1)
            .encode(x=x, y=y)
            .transform_filter("datum.trial === chosen.trial && datum.step === chosen.step")
            .add_params(chosen_point)
        )
    if recommended is not None:
        chosen, up = layer_of(axis.placed([{**recommended, "kind": "recommended"}])), -1 if metric.minimize else 1
        diamond = chosen.mark_point(shape="diamond", size=170, filled=True, opacity=1)
        layers.append(diamond.encode(x=x, y=y, tooltip=tooltip, color=colour))
        layers.append(
            chosen.mark_text(align="right", dx=-11, dy=-9 * up, color=style.signal, fontWeight=600, fontSize=12).encode(
                x=x, y=y, text=alt.value(f"trial {recommended['trial']}")
            )
        )
    return finish(layers, style, height=340)


def progress_chart(result: Result, style: Style) -> Drawing:
    """Best score so far against the energy that the entire search had spent, with the point of diminishing returns."""
    metric, steps = result.metric, progress_records(result)
    tips = {"trial": "trial", "step": metric.step, "shown": metric.name, "spent": "spent by then"}
    budget_j, spent_j, source = result.energy.budget_j, result.energy.total_j, result.energy.provenance
    last = diminishing_from(stretches_of(result))
    diminishing = None if last is None else {"spent_j": last.from_j, "score": metric.utility(last.from_utility)}
    end_j = max([spent_j, *([budget_j] if math.isfinite(budget_j) else [])]) or 1.0
    begins_j = min((record["spent_j"] for record in steps if record["spent_j"] > 0), default=end_j)
    early = diminishing is not None and 0 < diminishing["spent_j"] < EARLY * end_j and begins_j < end_j
    x = alt.X(
        "spent_j:Q",
        title=f"Energy of the search so far, J ({source}{', log scale' if early else ''})",
        scale=alt.Scale(type="log", domain=[begins_j / 1.25, end_j], nice=False)
        if early
        else alt.Scale(domain=[0, end_j], nice=False),
        axis=alt.Axis(labelExpr=SI_LABELS, tickCount=6, labelOverlap=True),
    )
    axis = score_axis(metric, [record["score"] for record in steps], f"Best so far: {score_title(metric)}")
    y = axis.y
    line = axis.placed([*steps, {"spent_j": spent_j, "score": steps[-1]["score"]}] if steps else [])
    layers = [
        layer_of(line).mark_line(interpolate="step-after", color=style.accent, strokeWidth=2).encode(x=x, y=y),
        layer_of(axis.placed(steps))
        .mark_circle(color=style.accent, size=40, opacity=1)
        .encode(x=x, y=y, tooltip=[alt.Tooltip(f"{field}:N", title=title) for field, title in tips.items()]),
    ]
    if diminishing is not None:
        knee = layer_of(axis.placed([diminishing]))
        layers.append(
            knee.mark_point(
                shape="circle", size=190, filled=False, color=style.signal, strokeWidth=2, opacity=1
            ).encode(x=x, y=y)
        )
        layers.append(
            knee.mark_text(
                align="left", dx=12, dy=-14 if metric.minimize else 14, color=style.signal, fontSize=12
            ).encode(x=x, y=y, text=alt.value("diminishing returns"))
        )
    if math.isfinite(budget_j):
        mark = layer_of([{"spent_j": budget_j}])
        layers.append(mark.mark_rule(color=style.muted, strokeDash=[3, 3]).encode(x=x))
        layers.append(
            mark.mark_text(align="right", dx=-5, color=style.muted).encode(
                x=x, y=alt.value(10 if metric.minimize else 250), text=alt.value("budget")
            )
        )
    return finish(layers, style, height=260)


def learning_chart(result: Result, curves: Sequence[Record], style: Style) -> Drawing:
    """Learning curves (`curve_records`) against the energy of their own trial; those on the front stand out."""
    metric = result.metric
    axis = score_axis(metric, [record["score"] for record in curves], score_title(metric))
    x, y = log_x(curves, _energy_title(result)), axis.y
    tooltip = [
        alt.Tooltip("trial:N", title="trial"),
        alt.Tooltip("step:N", title=metric.step),
        alt.Tooltip("shown:N", title=metric.name),
        alt.Tooltip("energy:N", title="energy"),
    ]
    layers = []
    for of_front, colour, width, opacity in ((False, style.faint, 1.0, 0.7), (True, style.accent, 1.6, 0.9)):
        lines = layer_of(axis.placed([record for record in curves if bool(record["front"]) is of_front]))
        order = alt.Order("step:Q")
        encoded = lines.encode(x=x, y=y, detail="trial:N", order=order)
        layers.append(encoded.mark_line(color=colour, strokeWidth=width, opacity=opacity))
        layers.append(lines.mark_circle(color=colour, size=16, opacity=opacity).encode(x=x, y=y, tooltip=tooltip))
    return finish(layers, style, height=300)


def _energy_title(result: Result) -> str:
    source = weakest(trial.energy.provenance for trial in result.trials if trial.curve)
    return f"Energy of the trial, J ({source}, log scale)"
