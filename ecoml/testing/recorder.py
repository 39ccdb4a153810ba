"""Records the decisions of a strategy in a search by a real `Searcher`, on a training that reports its own joules."""

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
    """Makes the decisions of another strategy, records them, and ends the search when there are enough.

    Args:
        strategy: The strategy.
        decisions: Number of its decisions to carry out; None: any number.
        enough: Called with a trial that has a new point; returns whether to end the search.

    Attributes:
        decisions: Its decisions, in order.
        trials: The trials by number, in their current state.
        thinking_s: CPU seconds of its `ask` and `tell`.
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
        """Whether there are enough decisions, or the strategy has ended the search itself."""
        ended = bool(self.decisions) and isinstance(self.decisions[-1], End)
        return self._over or ended or len(self.decisions) == self._most

    def ask(self) -> Decision:
        """The strategy's next decision; `End` once there are enough."""
        if self.over:
            return End("that is enough")
        before_s = time.thread_time()
        self.decisions.append(self._strategy.ask())
        self.thinking_s += time.thread_time() - before_s
        return self.decisions[-1]

    def tell(self, trial: Trial) -> None:
        """Pass the trial on, and check whether there are enough decisions."""
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
    """The decisions of a strategy in a search by a real `Searcher`, and the trials.

    Args:
        strategy: The strategy.
        space: The space.
        train: A training function that reports its energy.
        decisions: As in `Recorder`.
        enough: As in `Recorder`.
        directory: The run folder; if it exists, the search continues there. None: a temporary one.
        **settings: Further arguments of `Searcher`; the default budget is larger than what is spent.
    """
    recorder = Recorder(strategy, decisions, enough)
    with TemporaryDirectory() as folder:
        path = directory or Path(folder) / "run"
        if path.exists():
            budget_j = settings.get("budget_j", PLENTY_J)  # a complete search, too, is asked again
            parameters = settings.get("parameters")
            searcher = Searcher.resume(path, train, budget_j=budget_j, strategy=recorder, parameters=parameters)
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
    """A point of a learning curve, at which the trial had taken `energy_j`."""
    return Point(step, score, Energy(energy_j, uncertainty_j, provenance), metric.utility(score))
