"""Comparisons: run every strategy on one problem with paired seeds and equal budgets, or gather what has been run."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ecoml.errors import SearchFailed, UsageError
from ecoml.experiments.compare.comparison import Comparison, check_target, compare_searches
from ecoml.experiments.compare.comparison_plan import PLAN_FILE, Cell, ComparisonPlan, plan_comparison
from ecoml.experiments.compare.searches import SearchRecord, read_csv, search_of
from ecoml.experiments.compare.task import Task
from ecoml.run.result import Result
from ecoml.space import Space
from ecoml.training.base import Executor


def run_comparison(
    strategies: str | Path,
    task: Task,
    *,
    seeds: int,
    out: str | Path,
    targets: Sequence[float] = (),
    reference: str | None = None,
    say: Callable[[str], None] = lambda _line: None,
    run_cell: Callable[[Cell], None] | None = None,
) -> Comparison:
    """Run what is not yet run of a comparison, then compare. The same call goes on after a stop.

    Args:
        strategies: A folder of strategy files, or one such file; `bayes` is added.
        task: What every search is given.
        seeds: How many, from 0 on.
        out: The comparison's folder.
        targets: Accuracies to reach, the main one first; none: the reference's best of the median seed.
        reference: The strategy to measure against; None: `random`, else the first baseline.
        say: Is told what happens, a line at a time.
        run_cell: Runs one search to its end, or goes on with it; None: by a `Searcher`.

    Raises:
        UsageError: As in `plan_comparison` and `compare_searches`, or the folder holds something else.
        KeyboardInterrupt: After all that was measured is safe.
    """
    plan = plan_comparison(strategies, task, seeds=seeds, out=out, say=say)
    if reference is not None and reference not in plan.strategies:
        known = ", ".join(plan.strategies)
        raise UsageError(f"the reference {reference!r} is not among the strategies; use one of {known}")
    for target in targets:
        check_target(target)
    run_plan(plan, run_cell or searches_with(task.space, task.executor, task.budget_j, task.limits), say)
    return compare_searches(_searches_below(plan.out), targets=targets, reference=reference)


def run_plan(plan: ComparisonPlan, run_cell: Callable[[Cell], None], say: Callable[[str], None]) -> None:
    """Run what is not yet run of a plan, search by search; the same call goes on after a stop.

    Raises:
        RunFolderError: The plan's folder holds something else.
        KeyboardInterrupt: After all that was measured is safe.
    """
    plan.keep()
    cells = plan.cells
    say(plan.in_words(plan.total_j - sum(_used_j(cell, plan.budget_j) for cell in cells)))
    for number, cell in enumerate(cells, start=1):
        line = f"{number} of {len(cells)}: {cell.strategy}, seed {cell.seed}"
        if _finished(cell.directory):
            say(f"{line}: done before")
            continue
        say(line)
        try:
            run_cell(cell)
        except SearchFailed as error:
            if not _finished(cell.directory):
                raise
            say(f"{line}: {error}")


def gather(inputs: Sequence[str | Path], *, targets: Sequence[float] = (), reference: str | None = None) -> Comparison:
    """Compare what has been run already.

    Args:
        inputs: Run folders, folders of them, folders of comparisons, and tidy CSV files.
        targets: Accuracies to reach, the main one first; none: the reference's best of the median seed, problem by
            problem.
        reference: The strategy to measure against; None: `random`, else the first baseline.

    Raises:
        UsageError: Nothing to compare, a search twice, or an input that cannot be read.
    """
    searches = [search for path in inputs for search in _read(Path(path))]
    if not searches:
        raise UsageError("there is nothing to compare; name run folders, or a tidy CSV")
    seen: set[tuple[str, str, int]] = set()
    for search in searches:
        key = (search.problem, search.strategy, search.seed)
        if key in seen:
            raise UsageError(
                f"{search.strategy} with seed {search.seed} on {search.problem} is there twice; leave one of them out"
            )
        seen.add(key)
    return compare_searches(searches, targets=targets, reference=reference)


def _read(path: Path) -> list[SearchRecord]:
    if not path.is_dir():
        return read_csv(path)
    if (path / PLAN_FILE).is_file():
        return _searches_below(path)
    runs = [] if (path / "run.toml").is_file() else sorted(file.parent for file in path.glob("*/run.toml"))
    return [search_of(Result.load(run)) for run in runs or [path]]


def _searches_below(out: Path) -> list[SearchRecord]:
    plan = tomllib.loads((out / PLAN_FILE).read_text(encoding="utf-8"))
    return [
        search_of(Result.load(directory), strategy)
        for strategy in plan["strategies"]
        for seed in range(plan["seeds"])
        if (directory := out / strategy / f"seed-{seed}").is_dir()
    ]


def searches_with(
    space: Space, executor: Executor, budget_j: float, limits: Mapping[str, Any] | None = None
) -> Callable[[Cell], None]:
    """What runs a cell to its end with a `Searcher`, or goes on with it."""

    def run(cell: Cell) -> None:
        from ecoml.searcher.searcher import Searcher

        executor.prepare(space)  # once for all cells, and on none's account: the first would pay for the others
        if (cell.directory / "ledger.sqlite").is_file():
            Searcher.resume(cell.directory, executor, progress=False).run()
            return
        if cell.directory.exists():
            shutil.rmtree(cell.directory)  # killed before the ledger was there: nothing had been spent
        Searcher(
            space,
            executor,
            budget_j=budget_j,
            strategy=cell.file,
            seed=cell.seed,
            directory=cell.directory,
            progress=False,
            **(limits or {}),
        ).run()

    return run


def _used_j(cell: Cell, budget_j: float) -> float:
    """What a cell has used of its budget: all of it once it has ended."""
    if not (cell.directory / "ledger.sqlite").is_file():
        return 0.0
    return budget_j if _finished(cell.directory) else min(budget_j, Result.load(cell.directory).energy.total_j)


def _finished(directory: Path) -> bool:
    if not (directory / "ledger.sqlite").is_file():
        return False
    result = Result.load(directory)
    if result.energy.total_j >= result.energy.budget_j:
        return True
    return bool(result.ended) and not result.ended.startswith("interrupted")
