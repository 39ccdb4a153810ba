"""The results of a search so far: its front, the ties with the best of it, and their models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ecoml.energy import Purpose
from ecoml.ledger import Ledger
from ecoml.pareto import Front
from ecoml.run.choice.recommendation import (
    ROUNDING,
    DefaultTrial,
    beliefs_of,
    default_trial,
    frugal,
    near_ties,
    recommend,
)
from ecoml.run.result import front_of
from ecoml.searcher.front.models import FrontModels
from ecoml.searcher.interrupts import Interrupts
from ecoml.searcher.setup.settings import SearchSettings
from ecoml.training.base import Executor, Run
from ecoml.trial import Point, Trial


class Found:
    """The front of a search, and its models.

    Args:
        settings: The settings, with the metric and the limits.
        trials: All trials of the search; the sequence grows.
        executor: Saves and tests models, if it can.
        ledger: The ledger, whose folder stores the models, and to which tests are charged.
        interrupts: A test may be interrupted.

    Attributes:
        reached: Whether a measurement has reached the target.
    """

    def __init__(
        self,
        settings: SearchSettings,
        trials: Sequence[Trial],
        executor: Executor | None,
        ledger: Ledger,
        interrupts: Interrupts,
    ) -> None:
        self.reached = False
        self._space, self._limits, self._metric = settings.space, settings.limits, settings.metric
        self._trials = trials
        self._ledger = ledger
        self._front = Front()
        self._models = FrontModels(executor, ledger, interrupts, settings.metric)

    @property
    def front(self) -> tuple[Trial, ...]:
        """The current front."""
        return front_of(self._trials, self._limits)

    def add(self, trial: Trial, point: Point) -> bool:
        """Add a point of a trial; returns whether it is on the front."""
        if not (self._limits.allows_j(point.energy_j) and self._limits.allows_use(trial.cost_of_use)):
            return False
        self.reached |= self._metric.reaches(point.score, self._limits.target)
        return self._front.add(point.utility, point.energy_j)

    def restore(self, trials: Sequence[Trial]) -> None:
        """Add the points of an earlier session's trials."""
        for trial in trials:
            for point in trial.curve:
                self.add(trial, point)
        self._models.keep_back(self.front)

    def keep(self, run: Run | None, trial: Trial, *, on_front: bool) -> None:
        """Save a trial's current model, if it is on the front or ties with the best of it.

        Raises:
            ChildProcessError, TimeoutError: The process that held the weights has ended.
            StorageError: The folder cannot be written.
        """
        if self._models.kept and (on_front or self._ties_with_best(trial)):
            front = self.front
            self._models.keep(run, trial, [*front, *self._near_ties(front)])
            self._models.keep_back(front)

    def try_in_use(self, run: Run | None, trial: Trial) -> None:
        """Measure the cost of predictions with the network of a trial in training.

        Raises:
            ChildProcessError, TimeoutError: As `keep`.
            StorageError: As `keep`.
        """
        self._models.try_at_once(run, trial)

    def settle(self) -> None:
        """At the end: compute the expected scores of ties, test the models, and measure what predictions cost."""
        self._ledger.enter(Purpose.OPTIMISER)
        front, default = self.front, self._default
        ties = self._near_ties(front)
        kept = self._believed(ties)
        self._ledger.enter(Purpose.OVERHEAD)
        self._ledger.keep_beliefs(kept)
        beliefs = beliefs_of(kept)
        first = recommend(ties, beliefs, default), frugal(ties, self._tolerance, beliefs, default)
        chosen = [trial for trial in first if trial is not None]
        self._models.test(chosen, front)
        self._models.use(chosen, front)

    def _believed(self, ties: Sequence[Trial]) -> list[tuple[int, int, float]]:
        """Number, step and expected true utility of near ties; empty if one is clearly the best."""
        if len(ties) < 2 or not self._space.dimension:
            return []
        from ecoml.strategies.bayes.front import believed
        from ecoml.strategies.bayes.observations import is_usable
        from ecoml.strategies.quiet import one_thread

        if not any(is_usable(trial) for trial in self._trials):  # all have failed, be it after a measurement
            return []
        try:
            with one_thread():
                found = believed(self._space, self._trials, ties, self._metric)
        except np.linalg.LinAlgError:  # scores that no surrogate can be fitted to: what was measured counts
            return []
        return [(trial.number, trial.step, utility) for trial, utility in zip(ties, found, strict=True)]

    @property
    def _tolerance(self) -> float:
        return self._metric.tolerance(*self._front.ends) if self._front else 0.0

    @property
    def _default(self) -> DefaultTrial | None:
        return default_trial(self._trials, self._space, self._limits, self._metric)

    def _near_ties(self, front: Sequence[Trial]) -> list[Trial]:
        return near_ties(self._trials, front, self._limits, self._metric, self._default)

    def _ties_with_best(self, trial: Trial) -> bool:
        if not self._front:
            return False
        far = trial.curve[-1].utility < self._front.ends[1] - self._tolerance - ROUNDING
        if far and trial.config != self._space.default:
            return False
        ties = self._near_ties(self.front)
        return any((tie.number, tie.step) == (trial.number, trial.step) for tie in ties)
