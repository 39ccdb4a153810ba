"""The initial design: what is started before the first decision that is reasoned.

The space's default configuration, where it has one, is trained to its end: it shows what the space gives without any
search, how long a training is, and what it takes. Then follow the points of a Sobol' sequence. The design ends early
where it would take more than its share of the budget, and of what would not fit into the rest nothing is started.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

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
"""Predicts joules of a step (n,) of n configurations."""


class InitialDesign(RandomSearch):
    """Points of a Sobol' sequence, the default configuration before them.

    Args:
        space: What to search.
        seed: ≥ 0; the sequence follows from it.
        count: How many configurations; None: 4 to 8, by the dimension, but no further ones when 4 were trained whole.
        default_first: Whether the space's default configuration is the first of them.
    """

    def __init__(self, space: Space, seed: int, count: int | None, *, default_first: bool) -> None:
        super().__init__(space, seed, "sobol", default_first=default_first)
        self.count = count or min(max(space.dimension + 1, 4), 8)
        self._whole = count or _WHOLE

    def is_done(self, trials: Sequence[Trial], known: int, length: int | None, left_j: float) -> bool:
        """Whether enough was started, or trained to its end, or the design has had its share of the budget.

        Args:
            trials: Those of this search.
            known: How many configurations are known or under way, earlier runs included.
            length: Steps of a whole training.
            left_j: Joules that are left.
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
        """The next feasible one that may be trained to its end with what is left; None where the next few may not."""
        configs = [config for config in self.upcoming(_LOOKED_AT) if feasible(config)]
        if not configs:
            return None
        fits = np.flatnonzero(length * step_j(configs) <= _ROOM * left_j)
        return configs[fits[0]] if len(fits) else None

    def cheap(self, drawn: Sequence[Config], feasible: Callable[[Config], bool], step_j: StepEnergy) -> Config | None:
        """Of a few feasible configurations at random the one that is predicted to take least, if that is far less.

        For trainings that cannot be left early: one dear one may take more than all the rest. Where they take about the
        same, the sequence goes on.
        """
        new = [config for config in drawn if key(config) not in self.seen and feasible(config)]
        if not new:
            return self.next(feasible)
        each_j = step_j(new)
        return new[int(np.argmin(each_j))] if each_j.min() < _FAR_LESS * each_j.mean() else self.next(feasible)
