"""The front as a chart to step through, and as a table."""

from __future__ import annotations

from typing import Any

from ecoml.format import capitalised, format_config, format_figure, format_sure, plural_of
from ecoml.report.charts.records import end_records, is_recommended, point_records, point_tips, tested, varying
from ecoml.report.charts.tradeoff import advice, tradeoff_of
from ecoml.report.page.document import Cell, Chart, Row, Table
from ecoml.run.result import Result
from ecoml.trial import Trial


def front_context(result: Result) -> dict[str, Any] | None:
    """Chart and table; None without a measurement."""
    tradeoff = tradeoff_of(result)
    if tradeoff is None:
        return None
    from ecoml.report.charts.charts import front_chart
    from ecoml.report.charts.drawing import PAGE

    name, points = result.metric.name, point_records(result)
    thinned = "" if points.complete else f" Of {points.total:,} points {points.shown:,} are drawn."
    return {
        "advice": " ".join(advice(tradeoff)),
        "chart": Chart(
            "front",
            front_chart(result, PAGE),
            label=f"{name} against the energy of a trial; the front's figures are in the table below",
            caption="Every point of every learning curve (grey), since training can end at each of them. The blue steps"
            f" join the front: no other point beats these on both {name} and energy. The diamond is the recommended"
            f" trial.{thinned}",
            walk=end_records(result, result.choices),
            tips=point_tips(result),
        ),
        "table": _table(result),
    }


def left_out(result: Result) -> str:
    """A remark for a table of configurations without some parameters."""
    shared = {name for trial in result.trials for name in trial.config} - set(varying(result.trials))
    return "; parameters that all trials share are left out" if shared else ""


def _table(result: Result) -> Table:
    metric, names, with_tests, data = result.metric, varying(result.trials), tested(result), result.settings.get("data")

    def row(trial: Trial) -> Row:
        score = format_sure(metric, trial.score, data)
        chosen = is_recommended(result, trial.number, trial.step)
        shown = None if trial.test_score is None else format_sure(metric, trial.test_score, data, "test")
        test = Cell(shown, trial.test_score)
        return [
            Cell(f"{trial.number}", trial.number, id=f"point-{trial.number}-{trial.step}"),
            Cell(f"{trial.step}", trial.step),
            Cell(f"{score} ◆", trial.score, css="chosen") if chosen else Cell(score, trial.score),
            *([test] if with_tests else []),
            Cell(format_figure(trial.energy), trial.energy_j),
            trial.energy.provenance.value,
            Cell(format_config(trial.config, names), css="config"),
        ]

    sure = "; in brackets the 95 % interval of a score" if data and metric.is_share else ""
    scores = [capitalised(metric.name), *(["Test"] if with_tests else [])]
    return Table(
        f"The front, cheapest first; ◆ recommended{sure}{left_out(result)}",
        ["Trial", capitalised(plural_of(metric.step)), *scores, "Energy", "Source", "Configuration"],
        [row(trial) for trial in result.choices],
        numeric=range(1, 3 + len(scores)),
        sortable=True,
    )
