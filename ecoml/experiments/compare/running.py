"""Runs comparisons search by search: every strategy on one task, with paired seeds and equal budgets."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecoml.energy import Energy
from ecoml.errors import EcomlError, SearchFailed, UsageError, in_one_line
from ecoml.experiments.compare.comparison import Comparison, compare_searches, searches_below
from ecoml.experiments.compare.plan import ComparisonPlan, PlannedSearch, Task, plan_comparison
from ecoml.experiments.compare.standings import check_target
from ecoml.meter.required import refuse_unmeasured
from ecoml.run.result import Result
from ecoml.searcher.energy.metering import meter_for
from ecoml.space import Space
from ecoml.training.base import Executor, NoAccount
from ecoml.trial import Trial

TRAININGS = 40
"""The default budget of a search, in default trainings."""


@dataclass(frozen=True, slots=True)
class TrainingSample:
    """The cost of one training on this host.

    Attributes:
        energy: Its energy.
        seconds: Its duration.
    """

    energy: Energy
    seconds: float

    @property
    def budget_j(self) -> float:
        """Joules of `TRAININGS` such trainings, two significant digits."""
        return float(f"{TRAININGS * self.energy.energy_j:.2g}")

    @property
    def power_w(self) -> float:
        """Its mean power."""
        return self.energy.energy_j / self.seconds


def sample_training(
    space: Space, executor: Executor, sources: Sequence[str] = (), *, require_measured: bool = False
) -> TrainingSample:
    """Train a space's default configuration, or its middle, once under this host's meter.

    Args:
        space: The space.
        executor: The training.
        sources: The meter's sources, if the user named some.
        require_measured: Refuse a meter with an estimated part.

    Raises:
        UsageError: As `Executor.prepare`.
        MeterError: A source cannot be read, or a part is only estimated.
        SearchFailed: The training failed, or its energy could not be metered.
    """
    executor.prepare(space)
    config = space.default or space.decode(np.full(space.dimension, 0.5))
    with closing(meter_for(executor, sources)) as meter, meter.window() as window:
        if require_measured:
            refuse_unmeasured(meter)
        start_s = time.perf_counter()
        run = executor.start(Trial(0, config), NoAccount())
        try:
            while True:
                next(run)
        except StopIteration:
            found = TrainingSample(window.lap().total, time.perf_counter() - start_s)
        except Exception as error:
            what = "middle" if space.default is None else "default"
            raise SearchFailed(f"the {what} of the space cannot be trained ({in_one_line(error)})") from error
        finally:
            run.close()
    if not found.energy.energy_j > 0:
        raise SearchFailed("the energy of a training is not known here (see `ecoml meters`); give --budget-kwh")
    return found


def run_comparison(
    strategies: str | Path | Sequence[str | Path],
    task: Task,
    *,
    seeds: int,
    out: str | Path,
    targets: Sequence[float] = (),
    reference: str | None = None,
    say: Callable[[str], None] = lambda _line: None,
    power_w: Callable[[], float] | None = None,
    run_cell: Callable[[PlannedSearch], None] | None = None,
) -> Comparison:
    """Run the missing searches of a comparison, then compare. After a stop, the same call continues.

    Args:
        strategies: A folder of strategy files, one such file, or several of either; `bayes` is added.
        task: What all searches have in common.
        seeds: Number of seeds, from 0 on.
        out: The comparison's folder.
        targets: Scores to reach, the main one first; none: the reference's best of the median seed.
        reference: The strategy to compare with; None: `random`, else the first baseline.
        say: Receives progress messages, one line each.
        power_w: Returns the power of a search, from which the duration follows; None: no duration is stated.
        run_cell: Runs or continues one search; None: by a `Searcher`.

    Raises:
        UsageError: As in `plan_comparison` and `compare_searches`, or the folder holds something else.
        KeyboardInterrupt: Ctrl-C was pressed; all measurements are saved.
    """
    plan = plan_comparison(strategies, task, seeds=seeds, out=out, say=say)
    check_question(plan, targets, reference)
    run_plan(plan, run_cell or searches_with(task), say, power_w)
    return compare_searches(searches_below(plan.out), targets=targets, reference=reference)


def check_question(plan: ComparisonPlan, targets: Sequence[float], reference: str | None) -> None:
    """Check that the searches of a plan can answer the question.

    Raises:
        UsageError: A target is not a possible score, or the reference is not among the strategies.
    """
    for target in targets:
        check_target(target, plan.task.measures)
    if reference is not None and reference not in plan.strategies:
        known = ", ".join(plan.strategies)
        raise UsageError(f"the reference {reference!r} is not among the strategies; use one of {known}")


def run_plan(
    plan: ComparisonPlan,
    run_cell: Callable[[PlannedSearch], None],
    say: Callable[[str], None],
    power_w: Callable[[], float] | None = None,
) -> None:
    """Run the missing searches of a plan, one by one. After a stop, the same call continues.

    Raises:
        RunFolderError: The plan's folder holds something else.
        EcomlError: A search was refused or failed. If it was the first, the folder is as before.
        KeyboardInterrupt: Ctrl-C was pressed; all measurements are saved.
    """
    plan.keep()
    try:
        _run_cells(plan, run_cell, say, power_w)
    except EcomlError:
        plan.forget()  # where nothing has started: else a better --budget-kwh would be refused as another comparison
        raise


def _run_cells(
    plan: ComparisonPlan,
    run_cell: Callable[[PlannedSearch], None],
    say: Callable[[str], None],
    power_w: Callable[[], float] | None,
) -> None:
    cells = plan.cells
    left_j = math.fsum(plan.task.budget_j - _used_j(cell, plan.task.budget_j) for cell in cells)
    say(plan.in_words(left_j, power_w() if power_w is not None and left_j > 0 else None))
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


def searches_with(task: Task) -> Callable[[PlannedSearch], None]:
    """A function that runs or continues a search with a `Searcher`."""

    def run(cell: PlannedSearch) -> None:
        from ecoml.searcher.searcher import Searcher

        # Once for all cells and on nobody's account: the first would pay for the others.
        task.executor.prepare(task.space)
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
            workers=task.workers,
            **task.limits.to_dict(),
        ).run()

    return run


def _used_j(cell: PlannedSearch, budget_j: float) -> float:
    """Joules of its budget that a search has used: all of them once it has ended."""
    if not (cell.directory / "ledger.sqlite").is_file():
        return 0.0
    return budget_j if _finished(cell.directory) else min(budget_j, Result.load(cell.directory).energy.total_j)


def _finished(directory: Path) -> bool:
    if not (directory / "ledger.sqlite").is_file():
        return False
    result = Result.load(directory)
    return result.complete or result.energy.total_j >= result.energy.budget_j
