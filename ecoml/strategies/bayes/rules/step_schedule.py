"""The number of steps for which a trial is trained before the next decision on it.

A new configuration gets a screening; a continued one grows by a factor. If energy is metered, a continuation takes at
least `_THINKING` times the joules of the decision before it: with trainings of a second there are fewer decisions and
longer continuations, and the optimiser's share of the energy remains small for trainings of any cost.
"""

from __future__ import annotations

import math

from ecoml.energy import Provenance
from ecoml.strategies.bayes.observations import Observations

FIRST_STEPS = 2
"""Steps of a new trial before it is checked for being a duplicate."""

_SCREENING_SHARE = 0.06  # of a whole training that a new configuration is given
_SCREENING_LEAST = 3, 0.25  # steps, but no more than that share: the first steps of a short training say little
_SCREENING = 5  # steps, as long as the length of a training is not known
_GROWTH = 1.35  # by this factor a trial's steps grow when it is gone on with
_THINKING = 25.0
_DECISION_S = 0.02, 2e-7  # CPU seconds of a decision: constant, and for each pair of observations
_CPU_W = 4.0  # of one busy CPU and what it keeps awake


class StepSchedule:
    """Numbers of steps.

    Args:
        observations: The observations; None: there are none.
    """

    def __init__(self, observations: Observations | None) -> None:
        self._least_j = 0.0
        self.screening = _SCREENING
        if observations is None:
            return
        if observations.measured[0].energy.provenance is not Provenance.REPORTED:
            constant_s, pair_s = _DECISION_S
            self._least_j = _THINKING * _CPU_W * (constant_s + pair_s * len(observations.y) ** 2)
        if observations.length is not None:
            steps, share = _SCREENING_LEAST
            least = min(steps, math.floor(share * observations.length))
            self.screening = max(1, least, math.ceil(_SCREENING_SHARE * observations.length))

    def first(self, step_j: float | None = None) -> int:
        """Steps of a new trial whose steps take about `step_j` joules each."""
        return max(min(FIRST_STEPS, self.screening), self._worth_it(step_j))

    def further(self, done: int, step_j: float) -> int:
        """Number of steps by which to continue a trial with `done` steps."""
        return max(1, math.ceil(_GROWTH * done) - done, self._worth_it(step_j))

    def _worth_it(self, step_j: float | None) -> int:
        return math.ceil(self._least_j / step_j) if step_j else 0
