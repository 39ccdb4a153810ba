"""Comparisons run cell by cell: every strategy on one task, with paired seeds and equal budgets."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from ecoml.errors import SearchFailed, UsageError
from ecoml.experiments.compare.comparison import Comparison, compare_searches, searches_below
from ecoml.experiments.compare.plan import Cell, ComparisonPlan, Task, plan_comparison
from ecoml.experiments.compare.standings import check_target
from ecoml.run.result import Result


def run_comparison(
    strategies: str | Path | Sequence[str | Path],
    task: Task,
    *,
    seeds: int,
    out: str | Path,
    targets: Sequence[float] = (),
    reference: str | None = None,
    say: Callable[[str], None] = lambda _line: None,
    power_w: float | None = None,
    run_cell: Callable[[Cell], None] | None = None,
) -> Comparison:
    """Run what is not yet run of a comparison, then compare. The same call goes on after a stop.

    Args:
        strategies: A folder of strategy files, one such file, or several of either; `bayes` is added.
        task: What every search is given.
        seeds: How many, from 0 on.
        out: The comparison's folder.
        targets: Scores to reach, the main one first; none: the reference's best of the median seed.
        reference: The strategy to measure against; None: `random`, else the first baseline.
        say: Is told what happens, a line at a time.
        power_w: What a search draws, as far as is known, for how long all of it will take.
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
        check_target(target, task.measures)
    run_plan(plan, run_cell or searches_with(task), say, power_w)
    return compare_searches(searches_below(plan.out), targets=targets, reference=reference)


def run_plan(
    plan: ComparisonPlan, run_cell: Callable[[Cell], None], say: Callable[[str], None], power_w: float | None = None
) -> None:
    """Run what is not yet run of a plan, search by search; the same call goes on after a stop.

    Raises:
        RunFolderError: The plan's folder holds something else.
        KeyboardInterrupt: After all that was measured is safe.
    """
    plan.keep()
    cells = plan.cells
    say(plan.in_words(plan.total_j - sum(_used_j(cell, plan.task.budget_j) for cell in cells), power_w))
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


def searches_with(task: Task) -> Callable[[Cell], None]:
    """What runs a cell to its end with a `Searcher`, or goes on with it."""

    def run(cell: Cell) -> None:
        from ecoml.searcher.searcher import Searcher

        task.executor.prepare(
            task.space
        )  # once for all cells, and on none's account: the first would pay for the others
        if (cell.directory / "ledger.sqlite").is_file():
            Searcher.resume(cell.directory, task.executor).run()
            return
        if cell.directory.exists():
            shutil.rmtree(cell.directory)  # killed before the ledger was there: nothing had been spent
        Searcher(
            task.space,
            task.executor,
            budget_j=task.budget_j,
            strategy=cell.file,
            seed=cell.seed,
            directory=cell.directory,
            metric=task.metric,
            energy=task.energy,
            **task.limits.to_dict(),
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
    return result.complete or result.energy.total_j >= result.energy.budget_j
