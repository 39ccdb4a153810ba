"""Full factorial: every combination of the factors' levels, each with the same draws of all other parameters.

    sequence = for each draw: every cell of the factorial, in an order of the draw's own, `times` times each

Changes over time (a machine that grows warm) therefore affect all cells equally, and cells can be compared draw by
draw.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, MinLen

from ecoml.errors import UsageError
from ecoml.space import Choice, Space
from ecoml.strategies.base import Decision, End, Start
from ecoml.strategies.enumeration import Key, key
from ecoml.strategies.random import Stream
from ecoml.trial import Config, Trial, TrialState


class Factorial:
    """Trains a full factorial, and ends when it is complete.

    Args:
        space: The space of the factors and all other parameters.
        seed: ≥ 0; it determines the draws and their orders.
        factors: Names of free parameters; the levels of a Choice are its options, those of a number its two bounds.
        draws: Number of draws of the other parameters; all cells share them.
        times: Repetitions of every configuration.

    Attributes:
        draws: As given.

    Raises:
        UsageError: A factor is not a free parameter of the space, or is conditional.
    """

    def __init__(
        self,
        space: Space,
        seed: int,
        factors: Annotated[Sequence[str], MinLen(1)],
        draws: Annotated[int, Ge(1)] = 24,
        times: Annotated[int, Ge(1)] = 1,
    ) -> None:
        for name in factors:
            if name not in space.free or space.free[name].when:
                known = ", ".join(name for name, parameter in space.free.items() if not parameter.when)
                raise UsageError(f"the factor {name!r} is not an unconditional parameter; use some of {known}")
        self.draws = draws
        self._sequence = list(_sequence(space, seed, list(dict.fromkeys(factors)), draws, times))
        self._trials: dict[int, Trial] = {}

    @property
    def size(self) -> int:
        """Number of trainings."""
        return len(self._sequence)

    def complete_draws(self, trials: Iterable[Trial]) -> int:
        """Number of draws of which every training ended by itself, or failed."""
        made = Counter(key(t.config) for t in trials if t.state in (TrialState.FINISHED, TrialState.FAILED))
        wanted, of_draw, complete = [key(config) for config in self._sequence], self.size // self.draws, 0
        for first in range(0, self.size, of_draw):
            draw = Counter(wanted[first : first + of_draw])
            if draw <= made:
                complete += 1
                made -= draw
        return complete

    def tell(self, trial: Trial) -> None:
        """Record that the trial's configuration was trained."""
        self._trials[trial.number] = trial

    def ask(self) -> Decision:
        """The first configuration that has not been trained as often as required."""
        made = Counter(key(trial.config) for trial in self._trials.values() if trial.state is not TrialState.STOPPED)
        cut = Counter(key(trial.config) for trial in self._trials.values() if trial.state is TrialState.STOPPED)
        made.update({which: count - 1 for which, count in cut.items()})  # what was cut off gets one more try
        wanted: Counter[Key] = Counter()
        for config in self._sequence:
            which = key(config)
            wanted[which] += 1
            if wanted[which] > made[which]:
                return Start(config)
        return End(f"all {self.size} trainings of the factorial were made")


def levels_of(space: Space, name: str) -> tuple[Any, ...]:
    """The levels of a factor."""
    parameter = space.free[name]
    return tuple(parameter.options) if isinstance(parameter, Choice) else (parameter.low, parameter.high)


def _sequence(space: Space, seed: int, factors: list[str], draws: int, times: int) -> list[Config]:
    stream = Stream(space.dimension, seed, "uniform")
    columns = [space.names.index(name) for name in factors]
    levels = [[space.free[name].encode(level) for level in levels_of(space, name)] for name in factors]
    cells = list(itertools.product(*levels))
    sequence: list[Config] = []
    for draw in range(draws):
        for index in np.random.default_rng([seed, draw]).permutation(len(cells)):
            point = np.array(stream[draw])
            point[columns] = cells[index]
            sequence += [space.decode(point)] * times
    return sequence
