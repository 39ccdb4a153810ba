"""The short way: a search in one call, shown while it runs."""

from __future__ import annotations

from typing import Any

from ecoml.run.result import Result
from ecoml.searcher.searcher import Searcher
from ecoml.space import Space
from ecoml.training.base import Executor
from ecoml.training.function import TrainFunction


def search(space: Space, train: TrainFunction | Executor, *, progress: bool = True, **options: Any) -> Result:
    """Search `space` for the best that `train` makes of an energy budget.

    Args:
        space: What may be tried.
        train: A function of the configuration that yields (or returns) scores, or an executor such as `CnnTraining`.
        progress: Whether to show on standard error, or below a notebook's cell, what happens and what came of it.
        **options: Those of `Searcher`: `budget_kwh` or `budget_j` and all that may be given beside it.

    Raises:
        UsageError: Something here cannot be used; nothing has been written.
        SearchFailed: No trial succeeded.
        KeyboardInterrupt: After all that was measured is safe; `Searcher.resume` goes on.
    """
    if not progress:
        return Searcher(space, train, **options).run()
    from ecoml.report.terminal.progress import close, show

    result = Searcher(space, train, **{"show": show, **options}).run()
    close(result)
    return result
