"""Charts of a comparison, from plain records (see `drawing`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from ecoml.report.charts.drawing import Drawing, Record, Style, finish, layer_of, score_y, search_x

_DASHES: tuple[list[int], ...] = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3])


def reached_chart(
    steps: Sequence[Record], strategies: Mapping[str, int], *, horizon_j: float, source: str, title: str, style: Style
) -> Drawing:
    """Energy to target: the share of seeds that have reached the target, one step line a strategy.

    Args:
        steps: `strategy`, `energy_j`, `share`, and `low` and `high` where there is a band; each line begins at (0, 0).
            Those with `seeds` and `energy` (in words) get a dot.
        strategies: Those to draw → index of their colour and dashes, in the order of the legend.
        horizon_j: Where the axis ends: the largest budget.
        source: Provenance of the energies, in a word.
        title: What was to be reached.
        style: Colours and size.
    """
    x = search_x(horizon_j, source)
    y = alt.Y("share:Q", title=title, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format=".0%", tickCount=5))
    line = layer_of(steps).mark_line(interpolate="step-after", strokeWidth=2, clip=True)
    tooltip = [alt.Tooltip("strategy:N"), alt.Tooltip("seeds:N"), alt.Tooltip("energy:N", title="energy")]
    dots = [record for record in steps if "seeds" in record]
    return finish(
        [
            *_band([record for record in steps if "low" in record], strategies, x, y, style),
            line.encode(x=x, y=y, **_by_strategy(strategies, style)),
            layer_of(dots)
            .mark_circle(size=40, opacity=1)
            .encode(x=x, y=y, color=_colour(strategies, style, _legend()), tooltip=tooltip),
        ],
        style,
        height=280,
    )


def course_chart(
    course: Sequence[Record],
    strategies: Mapping[str, int],
    *,
    horizon_j: float,
    title: str,
    share: bool,
    target: float | None,
    source: str,
    style: Style,
) -> Drawing:
    """What the median seed has by then, with a band.

    Args:
        course: `strategy`, `energy_j`, `low`, `score` (the median, of whatever is drawn), `high`.
        strategies: Those to draw → index of their colour and dashes, in the order of the legend.
        horizon_j: Where the axis ends.
        title: Of the vertical axis.
        share: Whether the vertical axis is in per cent.
        target: Drawn as a line.
        source: Provenance of the energies, in a word.
        style: Colours and size.
    """
    x = search_x(horizon_j, source)
    ends = [{"accuracy": record[end]} for record in course for end in ("low", "accuracy", "high")]
    ends += [] if target is None else [{"accuracy": target}]
    y = score_y(ends, title=title, form=".1~%" if share else ".2~f")
    layers = [
        *_band(course, strategies, x, y, style),
        layer_of(course)
        .mark_line(interpolate="step-after", strokeWidth=2)
        .encode(x=x, y=y, **_by_strategy(strategies, style)),
    ]
    if target is not None:
        layers.append(layer_of([{"accuracy": target}]).mark_rule(color=style.muted, strokeDash=[3, 3]).encode(y=y))
    return finish(layers, style, height=280)


def ratio_chart(
    records: Sequence[Record], strategies: Mapping[str, int], problems: Sequence[str], *, style: Style
) -> Drawing:
    """How many times less energy than the reference, problem by problem.

    Args:
        records: `problem`, `strategy`, `ratio` > 0, `kind` (`known`, `at least`, `at most`), `words`.
        strategies: Those to draw → index of their colour and dashes, in the order of the legend.
        problems: All of them, from top to bottom.
        style: Colours and size.
    """
    ratios = [record["ratio"] for record in records] or [1.0]
    domain = [min(0.8, *ratios) / 1.15, max(1.25, *ratios) * 1.15]
    x = alt.X(
        "ratio:Q",
        title="Times less energy than the reference (log scale)",
        scale=alt.Scale(type="log", domain=domain, nice=False),
        axis=alt.Axis(values=[0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100], labelExpr="datum.value + '×'", grid=True),
    )
    y = alt.Y("problem:N", title=None, sort=list(problems), axis=alt.Axis(labelLimit=260, domain=False, ticks=False))
    shape = alt.Shape(
        "kind:N",
        scale=alt.Scale(domain=["known", "at least", "at most"], range=["circle", "triangle-right", "triangle-left"]),
        legend=None,
    )
    legend = alt.Legend(orient="top", title=None, labelLimit=240)
    layers = [
        layer_of([{"ratio": 1}]).mark_rule(color=style.muted).encode(x=x),
        layer_of(records)
        .mark_point(filled=True, size=70, opacity=1)
        .encode(
            x=x,
            y=y,
            yOffset=alt.YOffset("strategy:N", scale=alt.Scale(domain=list(strategies))),
            shape=shape,
            color=_colour(strategies, style, legend),
            tooltip=[alt.Tooltip("strategy:N"), alt.Tooltip("words:N", title="times less"), alt.Tooltip("kind:N")],
        ),
    ]
    return finish(layers, style, height=(14 + 10 * len(strategies)) * max(1, len(problems)))


def _band(
    records: Sequence[Record], strategies: Mapping[str, int], x: alt.X, y: alt.Y, style: Style
) -> list[alt.Chart]:
    if not records:
        return []
    area = layer_of(records).mark_area(interpolate="step-after", opacity=0.11, clip=True)
    # Title, scale and legend are those of the line: vega-lite joins what differs, and drops what one of them lacks.
    low = alt.Y("low:Q", title=y["title"], scale=y["scale"])
    return [area.encode(x=x, y=low, y2="high:Q", color=_colour(strategies, style, _legend()))]


def _legend() -> alt.Legend:
    return alt.Legend(
        orient="top",
        title=None,
        symbolType="stroke",
        symbolSize=320,
        symbolOpacity=1,
        symbolStrokeWidth=2,
        labelLimit=240,
    )


def _colour(strategies: Mapping[str, int], style: Style, legend: alt.Legend) -> alt.Color:
    colours = [style.series[index % len(style.series)] for index in strategies.values()]
    return alt.Color("strategy:N", scale=alt.Scale(domain=list(strategies), range=colours), legend=legend)


def _by_strategy(strategies: Mapping[str, int], style: Style) -> dict[str, Any]:
    """Colour and dashes by strategy, as one legend above the chart."""
    legend = _legend()
    dashes = [_DASHES[index % len(_DASHES)] for index in strategies.values()]
    return {
        "color": _colour(strategies, style, legend),
        "strokeDash": alt.StrokeDash(
            "strategy:N", scale=alt.Scale(domain=list(strategies), range=dashes), legend=legend
        ),
    }
