"""Searches for a comparison, from run folders or from a tidy CSV.

A tidy CSV has one row per measurement, in the order of the search: `problem`, `strategy`, `seed`, `trial`, `energy_j`,
`score` (or `accuracy`), and optionally `step` (or `epoch`). Without steps, `energy_j` is the energy of the trial; with
steps, it is cumulative within the trial. The energy spent by the search is the running sum, or the column `spent_j` if
there is one. Optional columns with one value per search are `budget_j`, `optimiser_j`, `complete` (False for a search
that was interrupted) and `provenance`; `uncertainty_j` is the half-width of `energy_j`. Scores are accuracies in [0,
1], unless `metric` names another metric, with `minimize`, `metric_low` and `metric_high`. Other columns are ignored.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from ecoml.energy import Energy, Provenance, Purpose
from ecoml.errors import UsageError
from ecoml.format import format_range
from ecoml.metric import ACCURACY, Metric
from ecoml.report.statistics import energy_to_target
from ecoml.run.result import Result
from ecoml.run.storage.snapshot import Progress
from ecoml.trial import Point


@dataclass(frozen=True, slots=True)
class SearchRecord:
    """One search: a strategy with a seed on a problem.

    Attributes:
        problem: Name of the training.
        strategy: Name of the strategy.
        seed: The seed.
        metric: The metric of its scores.
        progress: Every measurement in order, with the energy the search had spent by then.
        spent: The energy of the entire search.
        budget_j: Its budget; None if unknown.
        optimiser: The energy of its optimiser; None if it was not charged.
        complete: Whether it came to its end.
        space: The space as JSON; None if unknown.
        directory: Its run folder; None if it has none.
    """

    problem: str
    strategy: str
    seed: int
    metric: Metric
    progress: tuple[Progress, ...] = field(repr=False)
    spent: Energy
    budget_j: float | None = None
    optimiser: Energy | None = None
    complete: bool = True
    space: str | None = field(default=None, repr=False)
    directory: Path | None = field(default=None, repr=False)

    @property
    def provenance(self) -> Provenance:
        """Provenance of the energies."""
        return self.spent.provenance

    @property
    def horizon_j(self) -> float:
        """Joules up to which the search's results are known: its budget, or the energy it had spent when it was
        interrupted.
        """
        return max(self.spent.energy_j, self.budget_j or 0.0) if self.complete else self.spent.energy_j

    @property
    def best(self) -> float:
        """Best utility of all its measurements, −inf without any."""
        return max((u for entry in self.progress if math.isfinite(u := entry.point.utility)), default=-math.inf)

    @property
    def steps(self) -> tuple[list[float], list[float]]:
        """Joules spent, and utility, at every measurement."""
        return [entry.point.spent_j for entry in self.progress], [entry.point.utility for entry in self.progress]

    def energy_to(self, target: float) -> float:
        """Joules until the score `target` was reached; inf if it was not."""
        return energy_to_target(*self.steps, self.metric.utility(target))


def search_of(result: Result, strategy: str | None = None) -> SearchRecord:
    """The result of a run folder as one search of a comparison."""
    account = result.energy
    tables = result.settings.get("space", {})
    space = {key: table for key, table in tables.items() if key not in ("name", "description")}
    return SearchRecord(
        problem=result.problem,
        strategy=strategy or result.strategy,
        seed=result.seed,
        metric=result.metric,
        progress=result.progress,
        spent=account.total,
        budget_j=account.budget_j,
        optimiser=None if account.provenance is Provenance.REPORTED else account.by_purpose[Purpose.OPTIMISER],
        complete=result.complete,
        space=json.dumps(space, sort_keys=True) if space else None,
        directory=result.directory,
    )


class Row(BaseModel):
    """A row of a tidy CSV. The description of each field is used in the error for a wrong value."""

    model_config = ConfigDict(frozen=True, str_strip_whitespace=True)

    problem: str = Field(description="a name")
    strategy: str = Field(description="a name")
    seed: int = Field(ge=0, description="a whole number ≥ 0")
    trial: int = Field(ge=0, description="a whole number ≥ 0")
    step: int | None = Field(
        default=None, ge=0, validation_alias=AliasChoices("step", "epoch"), description="a whole number ≥ 0"
    )
    energy_j: float = Field(ge=0, allow_inf_nan=False, description="a number ≥ 0")
    uncertainty_j: float = Field(default=0.0, ge=0, allow_inf_nan=False, description="a number ≥ 0")
    score: float = Field(
        validation_alias=AliasChoices("score", "accuracy"), description="a number (a failed trial is nan)"
    )
    spent_j: float | None = Field(default=None, ge=0, allow_inf_nan=False, description="a number ≥ 0")
    budget_j: float | None = Field(default=None, ge=0, allow_inf_nan=False, description="a number ≥ 0")
    optimiser_j: float | None = Field(default=None, ge=0, allow_inf_nan=False, description="a number ≥ 0")
    complete: bool = Field(default=True, description="True or False")
    provenance: Provenance = Field(default=Provenance.REPORTED, description=f"one of {', '.join(Provenance)}")
    metric: str | None = Field(default=None, description="the score's name")
    minimize: bool = Field(default=False, description="True or False")
    metric_low: float | None = Field(default=None, allow_inf_nan=False, description="the lowest score there can be")
    metric_high: float | None = Field(default=None, allow_inf_nan=False, description="the highest score there can be")

    @classmethod
    def of(cls, values: Mapping[str, str | None], where: str) -> Self:
        """The row of a line of the file.

        Raises:
            UsageError: A value is missing or makes no sense.
        """
        given = {name: value for name, value in values.items() if name and isinstance(value, str) and value.strip()}
        try:
            row = cls.model_validate(given)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            column = str(first["loc"][0])
            if first["type"] == "missing":
                raise UsageError(f"{where}: {column} is empty") from None
            name = {"epoch": "step", "accuracy": "score"}.get(column, column)
            wanted = cls.model_fields[name].description
            raise UsageError(f"{where}: {column} = {first['input']!r} is not {wanted}") from None
        if not (math.isnan(row.score) or row.measures.allows(row.score)):
            column = "score" if "score" in given else "accuracy"
            share = "97.8 % is 0.978; " if row.measures.is_share else ""
            raise UsageError(
                f"{where}: {column} = {given[column]!r} is not a {row.measures.name} in {format_range(row.measures)}"
                f" ({share}a failed trial is nan)"
            )
        return row

    @property
    def measures(self) -> Metric:
        """The metric of its score."""
        if self.metric is None and not self.minimize and self.metric_low is None and self.metric_high is None:
            return ACCURACY
        return Metric(self.metric or "score", self.minimize, self.metric_low, self.metric_high)


def read_csv(path: Path) -> list[SearchRecord]:
    """The searches of a tidy CSV; their energies count as reported unless the file says otherwise.

    Raises:
        UsageError: The file cannot be read, a column is missing, or a value makes no sense; the message names the line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _searches(path, csv.DictReader(file))
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not UTF-8 text; save it as UTF-8") from None
    except csv.Error as error:
        raise UsageError(f"{path}: not a CSV file ({error})") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); name a tidy CSV or a run folder") from None


def write_csv(searches: Iterable[SearchRecord], path: Path) -> None:
    """Write searches as a tidy CSV that `read_csv` can read."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(Row.model_fields))
        writer.writeheader()
        writer.writerows(tidy_rows(searches))


def can_write_parquet() -> bool:
    """Whether pyarrow is installed (the extra `parquet`)."""
    return find_spec("pyarrow") is not None


def write_parquet(searches: Iterable[SearchRecord], path: Path) -> None:
    """Write the same table as Parquet, which preserves the types of its columns."""
    import pyarrow
    import pyarrow.parquet

    kinds = dict.fromkeys(("problem", "strategy", "provenance", "metric"), pyarrow.string())
    kinds |= dict.fromkeys(("complete", "minimize"), pyarrow.bool_())
    kinds |= dict.fromkeys(("seed", "trial", "step"), pyarrow.int64())
    schema = pyarrow.schema([(column, kinds.get(column, pyarrow.float64())) for column in Row.model_fields])
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(tidy_rows(searches)), schema=schema), path)


def tidy_rows(searches: Iterable[SearchRecord]) -> Iterator[dict[str, Any]]:
    """The rows of a tidy table, with the columns of `Row`."""
    for search in searches:
        # A search without a measurement is a miss: it must not vanish from the table.
        nothing = Point(1, math.nan, search.spent, math.nan, spent_j=search.spent.energy_j)
        for entry in search.progress or (Progress(0, nothing),):
            point = entry.point
            yield Row.model_construct(
                problem=search.problem,
                strategy=search.strategy,
                seed=search.seed,
                trial=entry.trial,
                step=point.step,
                energy_j=point.energy_j,
                uncertainty_j=point.energy.uncertainty_j,
                score=point.score,
                spent_j=point.spent_j,
                budget_j=search.budget_j,
                optimiser_j=None if search.optimiser is None else search.optimiser.energy_j,
                complete=search.complete,
                provenance=search.provenance,
                metric=search.metric.name,
                minimize=search.metric.minimize,
                metric_low=search.metric.low,
                metric_high=search.metric.high,
            ).model_dump(mode="json")


def _searches(path: Path, reader: csv.DictReader[str]) -> list[SearchRecord]:
    columns = {{"accuracy": "score", "epoch": "step"}.get(name, name) for name in reader.fieldnames or []}
    required = [name for name, column in Row.model_fields.items() if column.is_required()]
    if missing := [name for name in required if name not in columns]:
        raise UsageError(f"{path}: no column {', '.join(missing)}; a tidy CSV has {', '.join(required)}[, step]")
    groups: dict[tuple[str, str, int], list[tuple[str, Row]]] = {}
    for values in reader:
        row = Row.of(values, where := f"{path}, line {reader.line_num}")
        groups.setdefault((row.problem, row.strategy, row.seed), []).append((where, row))
    if not groups:
        raise UsageError(f"{path}: the file has no rows")
    return [_search(rows) for rows in groups.values()]


def _search(rows: list[tuple[str, Row]]) -> SearchRecord:
    first = rows[0][1]
    progress = tuple(_progress(rows, first.measures))
    spent_j = progress[-1].point.spent_j
    return SearchRecord(
        problem=first.problem,
        strategy=first.strategy,
        seed=first.seed,
        metric=first.measures,
        progress=progress,
        spent=Energy(spent_j, 0.0, first.provenance),
        budget_j=first.budget_j,
        optimiser=None if first.optimiser_j is None else Energy(first.optimiser_j, 0.0, first.provenance),
        complete=first.complete,
    )


def _progress(rows: list[tuple[str, Row]], metric: Metric) -> Iterator[Progress]:
    spent_j = 0.0
    last: dict[int, Row] = {}
    for where, row in rows:
        before, taken_j = last.get(row.trial), row.energy_j
        if before is not None:
            if row.step is None or before.step is None:
                raise UsageError(
                    f"{where}: trial {row.trial} appears twice; add a column `step` if a trial has several rows"
                )
            if row.step <= before.step or row.energy_j < before.energy_j:
                raise UsageError(
                    f"{where}: step and energy_j of trial {row.trial} must rise from row to row: energy is cumulative"
                )
            taken_j -= before.energy_j
        last[row.trial] = row
        spent_j = spent_j + taken_j if row.spent_j is None else row.spent_j
        energy = Energy(row.energy_j, row.uncertainty_j, row.provenance)
        step = 1 if row.step is None else row.step
        yield Progress(row.trial, Point(step, row.score, energy, metric.utility(row.score), spent_j=spent_j))
