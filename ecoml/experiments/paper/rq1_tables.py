"""RQ1 in tables: the study's table III beside the results here."""

from __future__ import annotations

from statistics import fmean
from typing import Any

from ecoml.experiments.paper.figures import TABLE_III
from ecoml.experiments.paper.rounds import TOLERANCE
from ecoml.experiments.paper.rq1_result import Rq1
from ecoml.experiments.tables import NOTHING, table_of
from ecoml.format import format_energy, percent
from ecoml.report.page.document import Table


def table_iii(result: Rq1) -> Table:
    """Best accuracy and its round, published and here, and the start of the plateau."""
    rows = []
    for row in rows_of(result):
        published = row["published"]
        rows.append(
            (
                row["network"],
                str(row["parameters"]),
                row["strategy"],
                NOTHING if published is None else f"{percent(published['score'], 1)} ({published['round']})",
                f"{percent(row['score'], 1)} ({row['round']})",
                str(row["plateau_round"]),
                format_energy(row["plateau_j"]),
                format_energy(row["spent_j"]),
                f"{format_energy(row['training_j'])} ({row['provenance']})",
            )
        )
    header = ("Network", "Parameters", "Strategy", "Published (round)", "Here (round)", "Plateau from round")
    about_search = ("Energy to plateau", "Energy of the search", "Energy a training")
    return table_of(f"Table III: best accuracy. {about(result)}", (*header, *about_search), rows, names=3)


def about(result: Rq1) -> str:
    """The origin of the two columns of accuracies, and their differences."""
    study = result.study
    size = study.scale.in_words(rounds=True)
    where = "the test set, as published" if study.as_published else "validation images"
    told = f"Here: {study.name}, accuracy on {where}, mean over {study.scale.times} repetitions"
    told += f"; the size differs: {size}" if size else "; the size is the study's"
    seeds = max(len(found) for setting in result.settings for found in setting.searches.values())
    told += f"; the median of {seeds} seeds" if seeds > 1 else ""
    joules = "trainings alone, one per round" if study.as_published else "that of the entire search"
    return f"{told}. The plateau starts when at most {100 * TOLERANCE:g} points are left to gain; energy is {joules}."


def rows_of(result: Rq1) -> list[dict[str, Any]]:
    """One row per network, space and strategy."""
    rows = []
    for setting in result.settings:
        for strategy, found in setting.medians.items():
            published = TABLE_III.get(result.study.name, {}).get(setting.network, {}).get(strategy, {})
            known = published.get(setting.parameters)
            progress = found.search.progress
            rows.append(
                {
                    "network": setting.network,
                    "parameters": setting.parameters,
                    "strategy": strategy,
                    "published": None if known is None else known._asdict(),
                    "score": found.best,
                    "round": found.best_round,
                    "plateau_round": found.plateau_round,
                    "plateau_j": found.spent_j(found.plateau_round),
                    "spent_j": found.search.spent.energy_j,
                    "training_j": fmean(entry.point.energy_j for entry in progress) if progress else 0.0,
                    "rounds": len(progress),
                    "provenance": found.search.provenance.value,
                }
            )
    return rows


def rq1_dict(result: Rq1) -> dict[str, Any]:
    """The result as a JSON object."""
    return {
        "data": result.study.name,
        "as_published": result.study.as_published,
        "size_differs": result.study.scale.in_words(rounds=True),
        "tolerance": TOLERANCE,
        "table_iii": rows_of(result),
        "report": str(result.page),
    }
