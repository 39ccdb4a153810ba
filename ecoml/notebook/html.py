"""HTML of a result, a trial, a space and an energy account, from a template that escapes all values."""

from __future__ import annotations

from functools import singledispatch
from pathlib import Path
from typing import Any

from ecoml.energy import Energy
from ecoml.format import (
    MEANING,
    capitalised,
    describe_pretraining,
    describe_search_end,
    describe_spent,
    describe_trial,
    fold_gaps,
    format_energy,
    format_figure,
    format_interval,
    format_score,
    percent,
    plural,
    plural_of,
)
from ecoml.report.page.document import Table, render
from ecoml.run.account import EnergyAccount
from ecoml.run.result import Result
from ecoml.space import Space
from ecoml.trial import Trial

_TEMPLATE = Path(__file__).with_name("templates") / "view.html.j2"

MOST_ROWS = 12
"""Largest number of trials of the front in a notebook's cell."""


@singledispatch
def html(value: Any) -> str:
    """The HTML fragment of a value.

    Raises:
        TypeError: There is none for a value of this type.
    """
    raise TypeError(f"nothing shows a {type(value).__name__}")


@html.register
def _result(result: Result) -> str:
    best = result.recommended
    ended = "still running" if result.ended is None else describe_search_end(result.ended, result.metric)
    spent = describe_spent(result.energy.total, result.energy.budget_j)
    return _view(
        f"Recommended: {describe_trial(best, result.metric)}" if best is not None else "No trial has been measured",
        [
            f"Spent {spent}. {plural(len(result.trials), 'trial')} by {result.strategy} on {result.problem};"
            f" ended: {ended}.",
            f'In {result.directory}. More: result.front, result.plot("front"), result.to_dataframe(), result.energy.',
        ],
        [_front(result)] if result.front else [],
    )


@html.register
def _trial(trial: Trial) -> str:
    end = "" if trial.end is None else f", {trial.end.reason.value}"
    points = [
        [f"{point.step}", f"{point.score:.4g}", format_figure(point.energy), point.energy.provenance.value]
        for point in trial.curve[-MOST_ROWS:]
    ]
    config = Table("Configuration", ["parameter", "value"], [[name, _plain(v)] for name, v in trial.config.items()])
    curve = Table("Curve", ["step", "score", "energy of the trial", "source"], points, numeric=(0, 1, 2))
    heading = f"Trial {trial.number}: {trial.state.value}{end}"
    return _view(heading, [], [config, *([curve] if points else [])])


@html.register
def _space(space: Space) -> str:
    rows = []
    for name, table in space.to_dict().get("parameters", {}).items():
        values = " | ".join(map(_plain, table["options"])) if "options" in table else _range(table)
        when = ", ".join(f"{parent} = {' or '.join(map(_plain, of))}" for parent, of in table.get("when", {}).items())
        rows.append([name, table["type"], values, when])
    fixed = ", ".join(f"{name} = {_plain(value)}" for name, value in space.fixed.items())
    heading = f"{space.name or 'Space'}: {plural(len(rows), 'parameter')}"
    sentences = [text for text in (space.description, f"Fixed: {fixed}" if fixed else "") if text]
    return _view(heading, sentences, [Table("Parameters", ["parameter", "type", "values", "only when"], rows)])


@html.register
def _account(account: EnergyAccount) -> str:
    source = account.provenance
    uncounted = describe_pretraining(account.pretrained)
    gaps = (gap for gap in account.gaps if gap not in account.unmeasured)
    folded = fold_gaps([*uncounted, *account.unmeasured, *gaps])
    parts = {**{purpose.value: part for purpose, part in account.by_purpose.items()}, "total": account.total}
    return _view(
        f"Energy: {describe_spent(account.total, account.budget_j)}",
        [f"{capitalised(source.value)}: {MEANING[source]}.", *folded],
        [_energies("By purpose", parts, account.total_j), _energies("By domain", account.by_domain, account.total_j)],
    )


def _energies(caption: str, parts: Any, total_j: float) -> Table:
    def row(name: str, part: Energy) -> list[str]:
        share = percent(part.energy_j / total_j if total_j > 0 else None, 1)
        return [name, format_energy(part.energy_j), format_interval(part), share, part.provenance.value]

    header = ["", "energy", "in truth", "share", "source"]
    return Table(caption, header, [row(str(name), part) for name, part in parts.items()], numeric=(1, 3))


def _front(result: Result) -> Table:
    metric, chosen, front = result.metric, result.recommended, result.front[-MOST_ROWS:]
    rows = []
    for trial in front:
        mark = "◆" if chosen is not None and (trial.number, trial.step) == (chosen.number, chosen.step) else ""
        scores = [format_score(metric, trial.score), format_score(metric, trial.test_score)]
        figures = [format_figure(trial.energy), trial.energy.provenance.value]
        rows.append([mark, f"{trial.number}", f"{trial.step}", *scores, *figures])
    left_out = len(result.front) - len(front)
    caption = "The front: nothing beats these on both" + (f"; {left_out} cheaper ones left out" if left_out else "")
    header = ["", "trial", plural_of(metric.step), metric.name, "test", "training energy", "source"]
    return Table(caption, header, rows, numeric=(1, 2, 3, 4, 5))


def _range(table: dict[str, Any]) -> str:
    if "low" not in table:
        return _plain(table.get("value", ""))
    return f"{_plain(table['low'])} … {_plain(table['high'])}{' (log)' if table.get('log') else ''}"


def _plain(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _view(heading: str, sentences: list[str], tables: list[Table]) -> str:
    return render(_TEMPLATE, heading=heading, sentences=sentences, tables=tables)
