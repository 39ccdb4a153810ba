"""A search whose decisions are written down: by a real `Searcher`, on a training that reports its own joules."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ecoml.energy import Energy, Provenance
from ecoml.errors import SearchFailed
from ecoml.metric import ACCURACY, Metric
from ecoml.searcher.searcher import Searcher
from ecoml.space import Space
from ecoml.strategies.base import Decision, End, Learns, Pursues, Strategy
from ecoml.training.function import TrainFunction
from ecoml.trial import Point, Trial

PLENTY_J = 1e12
"""A budget that none of these searches spends."""


class Recorder:
    """Does what another strategy decides, writes it down, and ends the search when there is enough of it.

    Args:
        strategy: Who decides.
        decisions: How many of its decisions are carried out; None: any number.
        enough: Called with a trial that has a new point; whether the search is to end.

    Attributes:
        decisions: What it decided, in order.
        trials: By number, as they are now.
        thinking_s: CPU seconds that it took to ask and to tell it.
    """

    def __init__(
        self, strategy: Strategy, decisions: int | None = None, enough: Callable[[Trial], bool] | None = None
    ) -> None:
        self.decisions: list[Decision] = []
        self.trials: dict[int, Trial] = {}
        self.thinking_s = 0.0
        self._strategy = strategy
        self._most = decisions
        self._enough = enough
        self._over = False
        self._steps: dict[int, int] = {}
        if isinstance(strategy, Pursues):
            self.pursue = strategy.pursue
        if isinstance(strategy, Learns):
            self.learn = strategy.learn

    @property
    def over(self) -> bool:
        """Whether there is enough of it, or it has ended the search itself."""
        ended = bool(self.decisions) and isinstance(self.decisions[-1], End)
        return self._over or ended or len(self.decisions) == self._most

    def ask(self) -> Decision:
        """Its next decision; `End` once there is enough."""
        if self.over:
            return End("that is enough")
        before_s = time.thread_time()
        self.decisions.append(self._strategy.ask())
        self.thinking_s += time.thread_time() - before_s
        return self.decisions[-1]

    def tell(self, trial: Trial) -> None:
        """Tell it, and look whether that is enough."""
        before_s = time.thread_time()
        self._strategy.tell(trial)
        self.thinking_s += time.thread_time() - before_s
        self.trials[trial.number] = trial
        if trial.step > self._steps.get(trial.number, 0):
            self._steps[trial.number] = trial.step
            self._over |= self._enough is not None and self._enough(trial)


def record_search(
    strategy: Strategy,
    space: Space,
    train: TrainFunction,
    *,
    decisions: int | None = None,
    enough: Callable[[Trial], bool] | None = None,
    directory: Path | None = None,
    **settings: Any,
) -> Recorder:
    """What a strategy decides in a search by a real `Searcher`, and what comes of it.

    Args:
        strategy: Who decides.
        space: What may be tried.
        train: A training function that reports its energy.
        decisions: As in `Recorder`.
        enough: As in `Recorder`.
        directory: The run folder; if there is one already, the search goes on there. None: one that is not kept.
        **settings: Further arguments of `Searcher`; by default the budget is more than is spent.
    """
    recorder = Recorder(strategy, decisions, enough)
    with TemporaryDirectory() as folder:
        path = directory or Path(folder) / "run"
        if path.exists():
            searcher = Searcher.resume(path, train, strategy=recorder, parameters=settings.get("parameters"))
        else:
            given: dict[str, Any] = {"budget_j": PLENTY_J, "energy": "reported"} | settings
            searcher = Searcher(space, train, strategy=recorder, directory=path, **given)
        try:
            searcher.run()
        except SearchFailed:  # nothing was measured
            if not recorder.over:
                raise
    return recorder


def point(
    step: int,
    score: float,
    energy_j: float,
    uncertainty_j: float = 0.0,
    provenance: Provenance = Provenance.REPORTED,
    metric: Metric = ACCURACY,
) -> Point:
    """A point of a learning curve, whose trial took so many joules up to there."""
    return Point(step, score, Energy(energy_j, uncertainty_j, provenance), metric.utility(score))
