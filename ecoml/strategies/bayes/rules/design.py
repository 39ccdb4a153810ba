"""The initial design: the trials before the first model-based decision.

The space's default configuration, if there is one, is trained to its end: it shows the result without a search, the
length of a training, and its energy. Then the points of a Sobol' sequence follow. If the space has a prior, every other
point is moved to its quantiles. The design ends early when it has taken its share of the budget; no training starts
that does not fit into the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ecoml.space import Space
from ecoml.strategies.enumeration import key
from ecoml.strategies.random import RandomSearch
from ecoml.trial import Config, Trial

_WHOLE = 4  # trainings to their end after which, too, a decision is reasoned: an initial design is to be cheap
_SHARE = 0.33  # of the budget that the design may take
_ROOM = 0.5  # of what is left that a training of it may take
_LOOKED_AT = 64  # points of the sequence, for one that may
_FAR_LESS = 0.5  # than the mean of these, or there is little to save
_PATIENCE = 10_000  # points that may be infeasible in a row

StepEnergy = Callable[[Sequence[Config]], "np.ndarray[tuple[int], np.dtype[np.float64]]"]
"""Predicts joules per step (n,) of n configurations."""


class InitialDesign(RandomSearch):
    """Points of a Sobol' sequence, after the default configuration.

    Args:
        space: The space to search.
        seed: ≥ 0; it determines the sequence.
        count: Number of configurations; None: 4 to 8, by the dimension, and no further ones after 4 complete trainings.
        default_first: Whether the first one is the space's default configuration.
    """

    def __init__(self, space: Space, seed: int, count: int | None, *, default_first: bool) -> None:
        super().__init__(space, seed, "sobol", default_first=default_first)
        self.count = count or min(max(space.dimension + 1, 4), 8)
        self._whole = count or _WHOLE

    def _point(self, position: int) -> NDArray[np.float64]:
        point = super()._point(position)
        return point if position % 2 else self._space.prior.place(point[None])[0]

    def is_done(self, trials: Sequence[Trial], known: int, length: int | None, left_j: float) -> bool:
        """Whether enough configurations were started or completely trained, or the design has taken its share of the
        budget.

        Args:
            trials: The trials of this search.
            known: Number of known and running configurations, including those of earlier runs.
            length: Steps of a complete training.
            left_j: Joules left.
        """
        if known >= self.count:
            return True
        spent_j = sum(trial.energy_j for trial in trials)
        if any(trial.curve for trial in trials) and spent_j >= _SHARE * (spent_j + left_j):
            return True
        return length is not None and sum(trial.step >= length for trial in trials) >= self._whole

    def is_default(self, config: Config) -> bool:
        """Whether it is the default configuration, which is trained to its end at once."""
        return self._first is not None and key(config) == key(self._first)

    def next(self, feasible: Callable[[Config], bool]) -> Config | None:
        """The next feasible configuration."""
        for _ in range(_PATIENCE):
            config = self.peek()
            if config is None or feasible(config):
                return config
            self.leave_out(config)
        return None

    def affordable(
        self, feasible: Callable[[Config], bool], step_j: StepEnergy, length: int, left_j: float
    ) -> Config | None:
        """The next feasible configuration whose complete training fits into the rest; None if none of the next few
        does.
        """
        configs = [config for config in self.upcoming(_LOOKED_AT) if feasible(config)]
        if not configs:
            return None
        fits = np.flatnonzero(length * step_j(configs) <= _ROOM * left_j)
        return configs[fits[0]] if len(fits) else None

    def cheap(self, drawn: Sequence[Config], feasible: Callable[[Config], bool], step_j: StepEnergy) -> Config | None:
        """The cheapest of a few random feasible configurations by prediction, if it is much cheaper than the others.

        This is for trainings that cannot be stopped early: one expensive training may take more than all others. If all
        take about the same, the sequence continues.
        """
        new = [config for config in drawn if key(config) not in self.seen and feasible(config)]
        if not new:
            return self.next(feasible)
        each_j = step_j(new)
        return new[int(np.argmin(each_j))] if each_j.min() < _FAR_LESS * each_j.mean() else self.next(feasible)
