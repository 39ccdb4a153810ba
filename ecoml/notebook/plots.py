"""Charts of a result, as Altair charts for a notebook, a file (`chart.save("front.svg")`) or one's own page."""

from __future__ import annotations

from collections.abc import Callable

import altair as alt

from ecoml.energy import Provenance
from ecoml.errors import UsageError, did_you_mean
from ecoml.format import describe_spent, energy_unit, estimate_interval, format_figure, plural_of
from ecoml.report.charts.charts import front_chart, learning_chart
from ecoml.report.charts.drawing import PRINT, Drawing, finish, layer_of
from ecoml.report.charts.importance import Importance, Untold, importances, outcome_names
from ecoml.report.charts.records import curve_records
from ecoml.run.result import Result


def plot(result: Result, what: str = "front") -> Drawing:
    """A chart of a result.

    Args:
        result: The result.
        what: `front`: score against the energy of each trial. `curves`: learning curves against energy. `energy`:
            energy of the search by purpose. `importance`: the parameters that decide score and energy.

    Raises:
        UsageError: There is no such chart, or nothing to draw.
    """
    if what not in _PLOTS:
        raise UsageError(f"there is no chart {what!r}; {did_you_mean(what, _PLOTS)}")
    if not any(trial.curve for trial in result.trials):
        raise UsageError(f"{result.directory}: no trial has been measured; there is nothing to draw")
    return _PLOTS[what](result)


def _front(result: Result) -> Drawing:
    return front_chart(result, PRINT)


def _curves(result: Result) -> Drawing:
    return learning_chart(result, curve_records(result).records, PRINT)


def _energy(result: Result) -> Drawing:
    """Energy by purpose, with its interval."""
    account = result.energy
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
        drawn.mark_bar(color=PRINT.accent, height=18).encode(x=alt.X("energy:Q", title=title), y=y, tooltip=tooltip),
        drawn.mark_rule(color=PRINT.ink).encode(x="low:Q", x2="high:Q", y=y),
    ]
    return finish(layers, PRINT, height=140)


def _importance(result: Result) -> Drawing:
    """The share of the differences between trials that each parameter causes, ± its standard error."""
    score, energy = importances(result.trials, f"{plural_of(result.metric.step)} trained")
    titled = zip(outcome_names(result.metric), (score, energy), strict=True)
    told = {title: found for title, found in titled if isinstance(found, Importance)}
    if not told:
        why = score.why if isinstance(score, Untold) else ""
        raise UsageError(f"which parameters matter is not known: {why}")
    bars = [
        {"parameter": name, "for": what, "share": share, "low": share - spread, "high": share + spread}
        for what, found in told.items()
        for name, share in found.shares.items()
        for spread in (found.spread[name],)
    ]
    y = alt.Y("parameter:N", title=None, sort=alt.EncodingSortField("share", op="max", order="descending"))
    offset = alt.YOffset("for:N", sort=list(told))
    colours = alt.Scale(domain=list(told), range=list(PRINT.series[: len(told)]))
    x = alt.X("share:Q", title="Share of the differences between trials", axis=alt.Axis(format=".0%"))
    drawn = layer_of(bars)
    layers = [
        drawn.mark_bar().encode(x=x, y=y, yOffset=offset, color=alt.Color("for:N", title="decides", scale=colours)),
        drawn.mark_rule(color=PRINT.ink).encode(x="low:Q", x2="high:Q", y=y, yOffset=offset),
    ]
    return finish(layers, PRINT, height=26 * len({bar["parameter"] for bar in bars}) + 20)


_PLOTS: dict[str, Callable[[Result], Drawing]] = {
    "front": _front,
    "curves": _curves,
    "energy": _energy,
    "importance": _importance,
}
