"""Styles, axes and layers that all charts share. Page and static figures use the same Altair descriptions. No I/O.

A record is a dict of JSON values. Energies are joules (`energy_j`, `spent_j`), scores are the metric's (`score`). The
caller leaves out values that are not finite, and non-positive energies on a logarithmic axis.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

Record = Mapping[str, Any]

Drawing = alt.LayerChart | alt.FacetChart
"""Altair's type of a layered chart; none of these charts is faceted."""


@dataclass(frozen=True, slots=True)
class Style:
    """Colours, font and size of a chart.

    Attributes:
        ink: Text.
        muted: Axis labels, secondary marks.
        faint: Points and lines in the background.
        rule: Grid lines.
        accent: The main data.
        signal: The one mark to look at.
        series: One colour per strategy; colour-blind readers can tell them apart.
        font: Font family.
        width: Pixels, or `container` to fill the page.
        background: Colour of the background; None for transparent.
    """

    ink: str
    muted: str
    faint: str
    rule: str
    accent: str
    signal: str
    series: tuple[str, ...]
    font: str
    width: int | str
    background: str | None

    @property
    def static(self) -> bool:
        """Whether the chart is a figure of its own, and not part of a page."""
        return self.width != "container"


PAGE = Style(
    ink="var(--ink)",
    muted="var(--muted)",
    faint="var(--faint)",
    rule="var(--rule)",
    accent="var(--accent)",
    signal="var(--signal)",
    series=tuple(f"var(--series-{index})" for index in range(1, 8)),
    font="system-ui, sans-serif",
    width="container",
    background=None,
)
"""The style for the page, whose style sheet defines the variables for light and dark."""

PRINT = Style(
    ink="#1c1e21",
    muted="#5c6269",
    faint="#b3b8be",
    rule="#e4e6e9",
    accent="#0b6aa8",
    signal="#c8500a",
    series=("#0b6aa8", "#c8500a", "#00805d", "#a0568c", "#a87400", "#3d8fc4", "#6b7178"),
    font="Helvetica, Arial, sans-serif",
    width=560,
    background="white",
)
"""The style for static figures."""

SI_LABELS = "abs(datum.value) < 1 ? format(datum.value, '.2~g') : format(datum.value, '~s')"
"""Formats each label with its own prefix: 0.5, 200, 1k."""


def layer_of(records: Sequence[Record]) -> alt.Chart:
    return alt.Chart(alt.InlineData(values=[dict(record) for record in records]))


def log_x(records: Sequence[Record], title: str) -> alt.X:
    energies_j = [record["energy_j"] for record in records] or [1.0]
    domain = [min(energies_j) / 1.25, max(energies_j) * 1.25]
    return alt.X(
        "energy_j:Q",
        title=title,
        scale=alt.Scale(type="log", domain=domain, nice=False),
        axis=alt.Axis(labelExpr=SI_LABELS, values=_log_ticks(*domain), labelOverlap=True),
    )


def legend_of(kinds: Mapping[str, str], style: Style) -> alt.Color:
    """Colours by the field `kind`. A static figure shows them in a legend, a page in the caption below the chart.

    Args:
        kinds: Name of what is drawn → its colour.
        style: The style of the chart.
    """
    legend = alt.Legend(orient="top", title=None, symbolType="circle", symbolOpacity=1, symbolStrokeWidth=0)
    scale = alt.Scale(domain=list(kinds), range=list(kinds.values()))
    return alt.Color("kind:N", scale=scale, legend=legend if style.static else None)


def finish(layers: Sequence[alt.Chart], style: Style, height: int) -> Drawing:
    chart = alt.layer(*layers).properties(width=style.width, height=height)
    config: dict[str, Any] = {
        "font": style.font,
        "view": {"stroke": None},
        "axis": {
            "domainColor": style.rule,
            "gridColor": style.rule,
            "tickColor": style.rule,
            "labelColor": style.muted,
            "titleColor": style.muted,
            "labelFontSize": 11,
            "titleFontSize": 11.5,
            "titleFontWeight": "normal",
            "titlePadding": 10,
            "labelPadding": 5,
        },
        "axisX": {"grid": False},
        "legend": {"labelColor": style.ink, "labelFontSize": 12, "titleColor": style.muted},
        "text": {"font": style.font, "fontSize": 11},
        "background": style.background or "transparent",
        "padding": 6 if style.background else 2,
    }
    return chart.properties(config=alt.Config(**config))


def _log_ticks(low: float, high: float) -> list[float]:
    """1, 2, 5, 10, … between two energies; only powers of ten if the range exceeds three decades."""
    mantissas = (1, 2, 5) if high / low <= 1000 else (1,)
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [
        tick for exponent in exponents for mantissa in mantissas if low <= (tick := mantissa * 10.0**exponent) <= high
    ]
