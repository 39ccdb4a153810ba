"""Comparison: searches of several strategies, and the energy each needs to reach the target, over all problems."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ecoml.carbon.footprint import Footprint
from ecoml.carbon.grid import Grid
from ecoml.energy import co2e_g
from ecoml.errors import UsageError
from ecoml.experiments.compare.plan import PLAN_FILE
from ecoml.experiments.compare.searches import SearchRecord, read_csv, search_of, tidy_rows
from ecoml.experiments.compare.significance import Ranks, rank_over_problems
from ecoml.experiments.compare.standings import ProblemComparison, check_target, compare_on_problem
from ecoml.report.statistics import Ratio, geometric_mean, mean_ratio
from ecoml.run.hindsight import footprint_on
from ecoml.run.result import Result
from ecoml.run.rows import data_frame

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, slots=True)
class MeanRatio:
    """Times less energy than the reference, over problems.

    `value` leaves out the problems on which the strategy missed, so a strategy that solves few problems can look good
    in it. `overall` counts every problem, with a miss at its bound.

    Attributes:
        strategy: The strategy.
        value: Geometric mean over the problems on which both medians are known; NaN for none.
        problems: Number of these problems.
        of: Number of problems on which the strategy ran.
        low: The smallest of these ratios.
        high: The largest.
        overall: Geometric mean over all problems; `<` or `>` if misses make it a bound; None if there is none.
    """

    strategy: str
    value: float
    problems: int
    of: int
    low: float
    high: float
    overall: Ratio | None


@dataclass(frozen=True)
class Comparison:
    """Searches of several strategies, compared by their energy to the target.

    Attributes:
        problems: One per problem.
        targets: All targets given, that of `problems` first; empty if the reference determined it.
    """

    problems: tuple[ProblemComparison, ...]
    targets: tuple[float, ...] = ()

    @property
    def means(self) -> tuple[MeanRatio, ...]:
        """One per strategy that was compared with a reference, over all problems."""
        compared = [s for problem in self.problems for s in problem.standings if s.strategy != problem.reference]
        return tuple(self._mean(name) for name in dict.fromkeys(standing.strategy for standing in compared))

    @cached_property
    def ranks(self) -> Ranks | None:
        """The strategies that ran on every problem, ranked, with Friedman's test.

        None for fewer than three strategies or two problems, for one seed, and if the reference determined the target,
        which it then reaches by construction.
        """
        if any(problem.fewest_seeds < 2 or not problem.given for problem in self.problems):
            return None
        energies_j = [{s.strategy: s.energy_j for s in problem.standings} for problem in self.problems]
        everywhere = [name for name in self.strategies if all(name in by_name for by_name in energies_j)]
        return rank_over_problems(everywhere, [[by_name[name] for name in everywhere] for by_name in energies_j])

    @property
    def strategies(self) -> tuple[str, ...]:
        """All strategies, references first."""
        references = [problem.reference for problem in self.problems]
        others = [standing.strategy for problem in self.problems for standing in problem.standings]
        return tuple(dict.fromkeys(references + others))

    @property
    def searches(self) -> tuple[SearchRecord, ...]:
        """All searches of the comparison."""
        return tuple(search for problem in self.problems for search in problem.searches)

    def footprint(self, grid: Grid | None) -> Footprint | None:
        """The CO2e of all searches on a grid; None without one.

        The times of energy are unknown for a search without a run folder.
        """
        if grid is None:
            return None
        found = [footprint_on(grid, one.directory) for one in self.searches if one.directory is not None]
        timeless_j = math.fsum(one.spent.energy_j for one in self.searches if one.directory is None)
        stated_j, unknown_j = (0.0, timeless_j) if grid.varies else (timeless_j, 0.0)
        return Footprint(
            co2e_g=math.fsum([co2e_g(stated_j, grid.at(0.0)), *(one.co2e_g for one in found)]),
            energy_j=math.fsum([stated_j, *(one.energy_j for one in found)]),
            unknown_j=math.fsum([unknown_j, *(one.unknown_j for one in found)]),
            provenance=grid.provenance,
            grid=grid.name,
        )

    def to_dataframe(self) -> pandas.DataFrame:
        """The tidy table of `compare.csv`: a row for each measurement of each search.

        Raises:
            UsageError: pandas is not installed.
        """
        return data_frame(tidy_rows(self.searches))

    def _mean(self, strategy: str) -> MeanRatio:
        ratios = [s.ratio for problem in self.problems for s in problem.standings if s.strategy == strategy]
        known = [ratio.value for ratio in ratios if ratio is not None and ratio.relation == "="]
        return MeanRatio(
            strategy,
            geometric_mean(known),
            len(known),
            len(ratios),
            min(known, default=math.nan),
            max(known, default=math.nan),
            mean_ratio(ratios),
        )


def gather(inputs: Sequence[str | Path], *, targets: Sequence[float] = (), reference: str | None = None) -> Comparison:
    """Compare finished searches.

    Args:
        inputs: Run folders, folders of comparisons, folders of either, and tidy CSV files.
        targets: As in `compare_searches`.
        reference: As in `compare_searches`.

    Raises:
        UsageError: There is nothing to compare, an input cannot be read, or as in `compare_searches`.
    """
    searches = [search for path in inputs for search in _read(Path(path))]
    if not searches:
        raise UsageError("there is nothing to compare; name run folders, or a tidy CSV")
    return compare_searches(searches, targets=targets, reference=reference)


def compare_searches(
    searches: Iterable[SearchRecord], *, targets: Sequence[float] = (), reference: str | None = None
) -> Comparison:
    """Compare searches, problem by problem. A problem is a training with the space that was searched.

    Args:
        searches: At least one.
        targets: Scores to reach. The comparison uses the first; further ones are reported in addition. None: the
            reference's best of the median seed, problem by problem.
        reference: The strategy to compare with; None: `random` if there, else the first baseline (not `bayes`).

    Raises:
        UsageError: The reference did not run, a target is not a possible score, a search appears twice, or searches on
            one problem have different metrics.
    """
    searches = list(searches)
    known = dict.fromkeys(search.strategy for search in searches)
    if reference is not None and reference not in known:
        raise UsageError(f"the reference {reference!r} is not among the strategies; use one of {', '.join(known)}")
    for search in searches:
        for target in targets:
            check_target(target, search.metric)
    main = targets[0] if targets else None
    problems = [compare_on_problem(found[0].problem, found, main, reference) for found in _by_problem(searches)]
    return Comparison(tuple(problems), tuple(dict.fromkeys(targets)))


def searches_below(out: Path) -> list[SearchRecord]:
    """The searches of a comparison's folder that have started."""
    plan = tomllib.loads((out / PLAN_FILE).read_text(encoding="utf-8"))
    return [
        search_of(Result.load(directory), strategy)
        for strategy in plan["strategies"]
        for seed in range(plan["seeds"])
        if (directory := out / strategy / f"seed-{seed}").is_dir()
    ]


def _read(path: Path) -> list[SearchRecord]:
    if not path.is_dir():
        return read_csv(path)
    if (path / PLAN_FILE).is_file():
        return searches_below(path)
    files = [] if (path / "run.toml").is_file() else [*path.glob("*/run.toml"), *path.glob(f"*/{PLAN_FILE}")]
    below = sorted({file.parent for file in files})
    return [search for folder in below for search in _read(folder)] if below else [search_of(Result.load(path))]


def _by_problem(searches: Sequence[SearchRecord]) -> list[list[SearchRecord]]:
    """Searches grouped by problem. If one name stands for several problems, the space is added to it.

    A table does not name its space: it is grouped with the runs of the same name, if these have one space only.
    """
    spaces: dict[str, list[str]] = {}
    for search in searches:
        known = spaces.setdefault(search.problem, [])
        if search.space is not None and search.space not in known:
            known.append(search.space)
    groups: dict[tuple[str, str | None], list[SearchRecord]] = {}
    for search in searches:
        known = spaces[search.problem]
        space = search.space or (known[0] if len(known) == 1 else None)
        groups.setdefault((search.problem, space), []).append(search)
    names = [name for name, _ in groups]
    told = [_with_space(name, space) if names.count(name) > 1 else name for name, space in groups]
    told = [f"{name} #{told[:n].count(name) + 1}" if told.count(name) > 1 else name for n, name in enumerate(told)]
    return [[replace(s, problem=name) for s in found] for name, found in zip(told, groups.values(), strict=True)]


def _with_space(name: str, space: str | None) -> str:
    parameters = json.loads(space).get("parameters", {}) if space else {}
    free = [key for key, table in parameters.items() if table["type"] != "fixed"]
    return f"{name} ({', '.join(free)})" if free else name
