"""Charts of one run, from plain records (see `drawing`)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import altair as alt

from ecoml.format import score_title
from ecoml.metric import Metric
from ecoml.report.charts.drawing import SI_LABELS, Drawing, Record, Style, finish, layer_of, log_x, score_y


def front_chart(
    points: Sequence[Record],
    front: Sequence[Record],
    recommended: Record | None,
    *,
    metric: Metric,
    tips: Mapping[str, str],
    source: str,
    style: Style,
) -> Drawing:
    """Score against a trial's energy: all points faint, the front as steps, the recommended one marked.

    Args:
        points: `trial`, `energy_j` > 0, `score`, and the fields of `tips`.
        front: The same, cheapest first.
        recommended: The one of `front` to mark.
        metric: What the scores are.
        tips: What the tooltip shows: field → title.
        source: Provenance of the energies, in a word.
        style: Colours and size.
    """
    everything = [*points, *front]
    x = log_x(everything, f"Energy of the trial, J ({source}, log scale)")
    y = score_y(everything, metric)
    tooltip = [alt.Tooltip(f"{field}:N", title=title) for field, title in tips.items()]
    hover = alt.selection_point(name="hover", fields=["trial"], on="pointerover", empty=False)
    # The page sets it: a selection of vega's own could not be made from the keyboard.
    chosen_point = alt.param(name="chosen", value={"trial": -1, "step": -1})
    cloud = layer_of(points)
    best = layer_of(front)
    layers: list[alt.Chart] = [
        cloud.mark_line(color=style.muted, strokeWidth=1)
        .encode(x=x, y=y, detail="trial:N", order=alt.Order("energy_j:Q"))
        .transform_filter(hover),
        cloud.mark_circle(color=style.faint, size=28, opacity=0.7).encode(
            x=x, y=y, tooltip=tooltip, color=alt.condition(hover, alt.value(style.muted), alt.value(style.faint))
        ),
        best.mark_line(interpolate="step-after", color=style.accent, strokeWidth=2).encode(x=x, y=y),
        best.mark_circle(color=style.accent, size=64, opacity=1, stroke=style.paper, strokeWidth=1.5)
        .encode(x=x, y=y, tooltip=tooltip)
        .add_params(hover),
        layer_of(list({(record["trial"], record["step"]): record for record in everything}.values()))
        .mark_point(shape="circle", size=260, filled=False, color=style.ink, strokeWidth=2, opacity=1)
        .encode(x=x, y=y)
        .transform_filter("datum.trial === chosen.trial && datum.step === chosen.step")
        .add_params(chosen_point),
    ]
    if recommended is not None:
        chosen, up = layer_of([recommended]), -1 if metric.minimize else 1  # where no other point can be
        layers.append(
            chosen.mark_point(
                shape="diamond",
                size=170,
                filled=True,
                color=style.signal,
                stroke=style.paper,
                strokeWidth=1.5,
                opacity=1,
            ).encode(x=x, y=y, tooltip=tooltip)
        )
        layers.append(
            chosen.mark_text(align="right", dx=-11, dy=-9 * up, color=style.signal, fontWeight=600, fontSize=12).encode(
                x=x, y=y, text=alt.value(f"trial {recommended['trial']}")
            )
        )
    return finish(layers, style, height=340)


def progress_chart(
    steps: Sequence[Record],
    *,
    budget_j: float,
    spent_j: float,
    diminishing: Record | None,
    metric: Metric,
    tips: Mapping[str, str],
    source: str,
    style: Style,
) -> Drawing:
    """Best score so far against what the whole search had spent.

    Args:
        steps: `spent_j`, `score` and the fields of `tips`, at each improvement.
        budget_j: Drawn as a line, where it is finite.
        spent_j: Where the search stands now.
        diminishing: `spent_j` and `score` of the point of diminishing returns.
        metric: What the scores are.
        tips: What the tooltip shows: field → title.
        source: Provenance of the energies, in a word.
        style: Colours and size.
    """
    end_j = max([spent_j, *([budget_j] if math.isfinite(budget_j) else [])]) or 1.0
    x = alt.X(
        "spent_j:Q",
        title=f"Energy spent by the whole search, J ({source})",
        scale=alt.Scale(domain=[0, end_j], nice=False),
        axis=alt.Axis(labelExpr=SI_LABELS, tickCount=6, labelOverlap=True),
    )
    y = score_y(steps, metric, f"Best so far: {score_title(metric)}")
    line = [*steps, {"spent_j": spent_j, "score": steps[-1]["score"]}] if steps else []
    layers = [
        layer_of(line).mark_line(interpolate="step-after", color=style.accent, strokeWidth=2).encode(x=x, y=y),
        layer_of(steps)
        .mark_circle(color=style.accent, size=44, opacity=1, stroke=style.paper, strokeWidth=1.5)
        .encode(x=x, y=y, tooltip=[alt.Tooltip(f"{field}:N", title=title) for field, title in tips.items()]),
    ]
    if diminishing is not None:
        knee = layer_of([diminishing])
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


def learning_chart(curves: Sequence[Record], *, metric: Metric, source: str, style: Style) -> Drawing:
    """Learning curves against the joules of their own trial; those on the front stand out.

    Args:
        curves: `trial`, `step`, `energy_j` > 0, `score`, `energy`, `shown` (both in words), `front` (bool).
        metric: What the scores are.
        source: Provenance of the energies, in a word.
        style: Colours and size.
    """
    x = log_x(curves, f"Energy of the trial, J ({source}, log scale)")
    y = score_y(curves, metric)
    tooltip = [
        alt.Tooltip("trial:N", title="trial"),
        alt.Tooltip("step:N", title=metric.step),
        alt.Tooltip("shown:N", title=metric.name),
        alt.Tooltip("energy:N", title="energy"),
    ]
    layers = []
    for of_front, colour, width, opacity in ((False, style.faint, 1.0, 0.7), (True, style.accent, 1.6, 0.9)):
        lines = layer_of([record for record in curves if bool(record["front"]) is of_front])
        order = alt.Order("step:Q")
        encoded = lines.encode(x=x, y=y, detail="trial:N", order=order)
        layers.append(encoded.mark_line(color=colour, strokeWidth=width, opacity=opacity))
        layers.append(lines.mark_circle(color=colour, size=16, opacity=opacity).encode(x=x, y=y, tooltip=tooltip))
    return finish(layers, style, height=300)
