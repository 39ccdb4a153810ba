"""Searches as a comparison sees them: of run folders, or of a tidy CSV.

A tidy CSV has one row a measurement, in the order of the search: `problem`, `strategy`, `seed`, `trial`, `energy_j`,
`score`, and optionally `epoch`. Without epochs `energy_j` is what the trial took; with them it is cumulative within
the trial. What the whole search had spent is the running sum, or the column `spent_j` where there is one. `budget_j`,
`optimiser_j`, `complete` (False for a search that was cut off) and `provenance` may stand there too, the same in every
row of a search, and `uncertainty_j`, the half-width of `energy_j`; other columns are left alone.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ecoml.energy import Provenance, Purpose
from ecoml.errors import UsageError
from ecoml.report.statistics import energy_to_target
from ecoml.run.result import Result
from ecoml.run.snapshot import Progress

REQUIRED = ("problem", "strategy", "seed", "trial", "energy_j", "accuracy")
"""Columns that a tidy CSV must have."""

COLUMNS = (
    "problem",
    "strategy",
    "seed",
    "trial",
    "epoch",
    "energy_j",
    "uncertainty_j",
    "accuracy",
    "spent_j",
    "budget_j",
    "optimiser_j",
    "complete",
    "provenance",
)
"""Columns that are written."""


@dataclass(frozen=True, slots=True)
class SearchRecord:
    """One search: a strategy with a seed on a problem.

    Attributes:
        problem: What was trained.
        strategy: The strategy's name.
        seed: The seed.
        progress: Every measurement in order, with what the search had spent by then.
        spent_j: All that it spent.
        provenance: Source of the energies.
        budget_j: What it might have spent; None where no budget is known.
        optimiser_j: What its optimiser spent; None where that was not charged.
        complete: Whether it came to its end.
    """

    problem: str
    strategy: str
    seed: int
    progress: tuple[Progress, ...] = field(repr=False)
    spent_j: float
    provenance: Provenance
    budget_j: float | None = None
    optimiser_j: float | None = None
    complete: bool = True

    @property
    def horizon_j(self) -> float:
        """How far it is known what it reaches, in joules: its budget, or what it has spent until it was cut off."""
        return max(self.spent_j, self.budget_j or 0.0) if self.complete else self.spent_j

    @property
    def best(self) -> float:
        """Best accuracy of all its measurements, 0.0 without any."""
        return max((entry.score for entry in self.progress if math.isfinite(entry.score)), default=0.0)

    def energy_to(self, target: float) -> float:
        """Joules to `target`, inf if it was not reached."""
        return energy_to_target(*self.steps, target)

    @property
    def steps(self) -> tuple[list[float], list[float]]:
        """Joules spent, and accuracy, at every measurement."""
        return [entry.spent_j for entry in self.progress], [entry.score for entry in self.progress]


def search_of(result: Result, strategy: str | None = None) -> SearchRecord:
    """A run folder's result as one search of a comparison."""
    account = result.energy
    charged = account.provenance is not Provenance.REPORTED
    return SearchRecord(
        problem=result.problem,
        strategy=strategy or result.strategy,
        seed=result.seed,
        progress=result.progress,
        spent_j=account.total_j,
        provenance=account.provenance,
        budget_j=account.budget_j,
        optimiser_j=account.by_purpose.get(Purpose.OPTIMISER, 0.0) if charged else None,
        complete=bool(result.ended) and not result.ended.startswith("interrupted"),
    )


def read_csv(path: Path) -> list[SearchRecord]:
    """The searches of a tidy CSV; their energies count as reported unless the file says otherwise.

    Raises:
        UsageError: It cannot be read, a column is missing, or a value makes no sense; the line is named.
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
    """Write searches as a tidy CSV that `read_csv` takes again."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(_rows(searches))


def can_write_parquet() -> bool:
    """Whether pyarrow is installed (the extra `parquet`)."""
    return find_spec("pyarrow") is not None


def write_parquet(searches: Iterable[SearchRecord], path: Path) -> None:
    """Write the same table as Parquet, which keeps the types of its columns."""
    import pyarrow
    import pyarrow.parquet

    kinds = dict.fromkeys(("problem", "strategy", "provenance"), pyarrow.string()) | {"complete": pyarrow.bool_()}
    kinds |= dict.fromkeys(("seed", "trial", "epoch"), pyarrow.int64())
    schema = pyarrow.schema([(column, kinds.get(column, pyarrow.float64())) for column in COLUMNS])
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(_rows(searches)), schema=schema), path)


def _rows(searches: Iterable[SearchRecord]) -> Iterator[dict[str, Any]]:
    for search in searches:
        # A search without a measurement is a miss: it must not vanish from the table.
        nothing = (Progress(0, 1, math.nan, search.spent_j, search.spent_j),)
        for entry in search.progress or nothing:
            yield {
                "problem": search.problem,
                "strategy": search.strategy,
                "seed": search.seed,
                "trial": entry.trial,
                "epoch": entry.step,
                "energy_j": entry.energy_j,
                "uncertainty_j": entry.uncertainty_j,
                "accuracy": entry.score,
                "spent_j": entry.spent_j,
                "budget_j": search.budget_j,
                "optimiser_j": search.optimiser_j,
                "complete": search.complete,
                "provenance": search.provenance.value,
            }


class _Row:
    """One line of the file, with errors that name it."""

    def __init__(self, path: Path, line: int, values: Mapping[str, str | None]) -> None:
        self._where = f"{path}, line {line}"
        self._values = values

    def text(self, column: str) -> str:
        value = (self._values.get(column) or "").strip()
        if not value:
            raise UsageError(f"{self._where}: {column} is empty")
        return value

    def optional(self, column: str) -> float | None:
        return self.number(column) if (self._values.get(column) or "").strip() else None

    def number(self, column: str, *, low: float = 0.0, high: float = math.inf, why: str = "not a number ≥ 0") -> float:
        try:
            value = float(self.text(column))
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and low <= value <= high):
            raise UsageError(f"{self._where}: {column} = {self._values[column]!r} is {why}")
        return value

    def score(self) -> float:
        if self.text("accuracy").lower() == "nan":
            return math.nan
        return self.number("accuracy", high=1.0, why="not a share in [0, 1] (97.8 % is 0.978; a failed trial is nan)")

    def whole(self, column: str) -> int:
        value = self.number(column, why="not a whole number ≥ 0")
        if value != int(value):
            raise UsageError(f"{self._where}: {column} = {self._values[column]!r} is not a whole number ≥ 0")
        return int(value)

    def complete(self) -> bool:
        value = (self._values.get("complete") or "true").strip().lower()
        if value not in ("true", "false"):
            raise UsageError(f"{self._where}: complete = {value!r} is neither True nor False")
        return value == "true"

    def provenance(self) -> Provenance:
        value = (self._values.get("provenance") or "").strip()
        try:
            return Provenance(value) if value else Provenance.REPORTED
        except ValueError:
            raise UsageError(
                f"{self._where}: provenance = {value!r} is not known; use one of {', '.join(Provenance)}"
            ) from None

    def fail(self, what: str) -> UsageError:
        return UsageError(f"{self._where}: {what}")


def _searches(path: Path, reader: csv.DictReader[str]) -> list[SearchRecord]:
    columns = reader.fieldnames or []
    missing = [column for column in REQUIRED if column not in columns]
    if missing:
        raise UsageError(f"{path}: no column {', '.join(missing)}; a tidy CSV has {', '.join(REQUIRED)}[, epoch]")
    groups: dict[tuple[str, str, int], list[_Row]] = {}
    for values in reader:
        row = _Row(path, reader.line_num, values)
        groups.setdefault((row.text("problem"), row.text("strategy"), row.whole("seed")), []).append(row)
    if not groups:
        raise UsageError(f"{path}: there is no row in it")
    return [_search(*key, rows, epochs="epoch" in columns) for key, rows in groups.items()]


def _search(problem: str, strategy: str, seed: int, rows: list[_Row], *, epochs: bool) -> SearchRecord:
    progress = tuple(_progress(rows, epochs=epochs))
    return SearchRecord(
        problem=problem,
        strategy=strategy,
        seed=seed,
        progress=progress,
        spent_j=progress[-1].spent_j,
        provenance=rows[0].provenance(),
        budget_j=rows[0].optional("budget_j"),
        optimiser_j=rows[0].optional("optimiser_j"),
        complete=rows[0].complete(),
    )


def _progress(rows: list[_Row], *, epochs: bool) -> Iterator[Progress]:
    spent_j = 0.0
    last: dict[int, tuple[int, float]] = {}
    for row in rows:
        trial, energy_j = row.whole("trial"), row.number("energy_j")
        step = row.whole("epoch") if epochs else 1
        if trial in last:
            step_before, before_j = last[trial]
            if not epochs:
                raise row.fail(f"trial {trial} stands there twice; add a column `epoch` where a trial has several rows")
            if step <= step_before or energy_j < before_j:
                raise row.fail(f"epoch and energy_j of trial {trial} must grow from row to row: energy is cumulative")
        else:
            before_j = 0.0
        last[trial] = (step, energy_j)
        spent_j += energy_j - before_j
        given_j = row.optional("spent_j")
        if given_j is not None:
            spent_j = given_j
        uncertainty_j = row.optional("uncertainty_j") or 0.0
        yield Progress(trial, step, row.score(), energy_j, spent_j, uncertainty_j, row.provenance())
