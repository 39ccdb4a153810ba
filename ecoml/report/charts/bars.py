"""Bar charts: the energy of a search by purpose, and the importance of its parameters."""

from __future__ import annotations

from collections.abc import Mapping

import altair as alt

from ecoml.energy import Provenance
from ecoml.format import describe_spent, energy_unit, estimate_interval, format_figure
from ecoml.report.charts.drawing import Drawing, Style, finish, layer_of
from ecoml.report.charts.importance import Importance
from ecoml.run.account import EnergyAccount


def account_chart(account: EnergyAccount, *, style: Style) -> Drawing:
    """Energy by purpose, with its interval."""
    unit, unit_j = energy_unit(account.total_j)
    bars = []
    for purpose, part in account.by_purpose.items():
        low_j, high_j = max(0.0, part.energy_j - part.uncertainty_j), part.energy_j + part.uncertainty_j
        if part.provenance is Provenance.ESTIMATED:
            low_j, high_j = estimate_interval(part)
        figures = {"energy": part.energy_j / unit_j, "low": low_j / unit_j, "high": high_j / unit_j}
        bars.append({"purpose": purpose.value, **figures, "shown": f"{format_figure(part)} ({part.provenance})"})
    y = alt.Y("purpose:N", title=None, sort=None)
    tooltip = [alt.Tooltip("purpose:N", title="for"), alt.Tooltip("shown:N", title="energy")]
    title = f"{describe_spent(account.total, account.budget_j)}; bars in {unit}"
    drawn = layer_of(bars)
    layers = [
        drawn.mark_bar(color=style.accent, height=18).encode(x=alt.X("energy:Q", title=title), y=y, tooltip=tooltip),
        drawn.mark_rule(color=style.ink).encode(x="low:Q", x2="high:Q", y=y),
    ]
    return finish(layers, style, height=140)


def importance_chart(told: Mapping[str, Importance], *, style: Style) -> Drawing:
    """The share of the differences between trials that each parameter causes, ± its standard error.

    Args:
        told: Name of an outcome → the importance of the parameters for it.
        style: Colours and size.
    """
    bars = [
        {"parameter": name, "for": what, "share": share, "low": share - spread, "high": share + spread}
        for what, found in told.items()
        for name, share in found.shares.items()
        for spread in (found.spread[name],)
    ]
    y = alt.Y("parameter:N", title=None, sort=alt.EncodingSortField("share", op="max", order="descending"))
    offset = alt.YOffset("for:N", sort=list(told))
    colours = alt.Scale(domain=list(told), range=list(style.series[: len(told)]))
    x = alt.X("share:Q", title="Share of the differences between trials", axis=alt.Axis(format=".0%"))
    drawn = layer_of(bars)
    layers = [
        drawn.mark_bar().encode(x=x, y=y, yOffset=offset, color=alt.Color("for:N", title="decides", scale=colours)),
        drawn.mark_rule(color=style.ink).encode(x="low:Q", x2="high:Q", y=y, yOffset=offset),
    ]
    return finish(layers, style, height=26 * len({bar["parameter"] for bar in bars}) + 20)
