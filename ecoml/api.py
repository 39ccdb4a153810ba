"""`ecoml.search`: a search in one call, with its progress shown."""

from __future__ import annotations

from typing import Any

from ecoml.run.result import Result
from ecoml.searcher.searcher import Searcher
from ecoml.space import Space
from ecoml.training.base import Executor
from ecoml.training.function import TrainFunction


def search(space: Space, train: TrainFunction | Executor, *, progress: bool = True, **options: Any) -> Result:
    """Search `space` for the configurations that train best within an energy budget.

    Args:
        space: The configurations that may be tried.
        train: A function of a configuration that yields (or returns) scores, or an executor such as `CnnTraining`.
        progress: Whether to show the progress and the result, on standard error or below the notebook's cell.
        **options: The options of `Searcher`; `budget_kwh` or `budget_j` is required.

    Raises:
        UsageError: An argument cannot be used; no file has been written.
        SearchFailed: No trial succeeded.
        KeyboardInterrupt: Ctrl-C was pressed. All measurements are saved, and `Searcher.resume` continues the search.
    """
    if not progress:
        return Searcher(space, train, **options).run()
    from ecoml.report.terminal.progress import close, show

    result = Searcher(space, train, **{"show": show, **options}).run()
    close(result)
    return result
