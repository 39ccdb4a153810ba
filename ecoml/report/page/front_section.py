"""The front as a chart to go through point by point, and as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecoml.report.charts.records import POINT_TIPS, config_text, front_records, point_records, varying
from ecoml.report.charts.tradeoff import advice, tradeoff_of
from ecoml.report.format import left_out, plus_minus, source_of, steps_title
from ecoml.report.page.document import Cell, Html, Sortable, chart, element, percent, section, table
from ecoml.run.result import Result
from ecoml.trial import Trial

if TYPE_CHECKING:
    from ecoml.report.charts.drawing import Drawing, Style


def front_section(result: Result) -> Html | None:
    """Chart and table; None without a measurement."""
    if not result.front:
        return None
    from ecoml.report.charts.drawing import PAGE

    points = point_records(result)
    thinned = "" if points.complete else f" Of {points.total:,} points {points.shown:,} are drawn."
    caption = (
        "Every point of every learning curve (grey), since training can end at each of them. The blue steps join those"
        f" that none beats on both accuracy and energy; the diamond is the recommended one.{thinned}"
    )
    drawn = front_records(result)
    drawing = chart(
        "front",
        front_drawing(result, PAGE),
        label="Validation accuracy against the energy of a trial; the front's figures are in the table below",
        caption=caption,
        walk=drawn,
        tips=POINT_TIPS,
    )
    tradeoff = tradeoff_of(result)
    told = element("p", " ".join(advice(tradeoff))) if tradeoff is not None else None
    return section("front", "Accuracy and energy", told, drawing, _front_table(result))


def front_drawing(result: Result, style: Style) -> Drawing:
    """Accuracy against a trial's energy, with the front and the recommended trial."""
    from ecoml.report.charts.charts import front_chart

    front = front_records(result)
    chosen = result.recommended
    marked = next(
        (r for r in front if chosen is not None and (r["trial"], r["step"]) == (chosen.number, chosen.step)), None
    )
    return front_chart(
        point_records(result).records, front, marked, tips=POINT_TIPS, source=source_of(result.trials), style=style
    )


def _front_table(result: Result) -> Html:
    names = varying(result.trials)
    rows: list[list[Cell]] = [
        [
            Sortable(Html(f'<span id="point-{trial.number}-{trial.step}">{trial.number}</span>'), trial.number),
            Sortable(f"{trial.step}", trial.step),
            Sortable(_score(result, trial), trial.score),
            Sortable(None if trial.test_score is None else percent(trial.test_score), trial.test_score),
            Sortable(plus_minus(trial.energy_j, trial.curve[-1].uncertainty_j, trial.provenance), trial.energy_j),
            trial.provenance.value,
            element("span", config_text(trial.config, names), "config"),
        ]
        for trial in result.front
    ]
    header = ["Trial", steps_title(result), "Validation", "Test", "Energy", "Source", "Configuration"]
    caption = f"The front, cheapest first; ◆ recommended{left_out(result)}"
    return table(header, rows, caption=caption, numeric=(1, 2, 3, 4), sortable=True)


def _score(result: Result, trial: Trial) -> Html | str:
    shown = percent(trial.score or 0.0)
    chosen = result.recommended
    if chosen is not None and (trial.number, trial.step) == (chosen.number, chosen.step):
        return Html(f'<span class="chosen">{shown} <span aria-label="recommended">◆</span></span>')
    return shown
