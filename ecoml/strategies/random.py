"""Random search: independent draws, or a scrambled Sobol' sequence that fills the space evenly.

The seed determines an endless stream of points in the unit cube. Each proposal is the first new point of the stream, so
it depends only on the seed and on the trials told, in any process. A space's default configuration comes first.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ecoml.endings import StopReason
from ecoml.space import Space
from ecoml.strategies.base import Decision, End, Start
from ecoml.strategies.enumeration import Enumeration, Key, Permutation, all_levels, key
from ecoml.trial import Config, Trial

Sampler = Literal["uniform", "sobol"]

EXHAUSTED = End(StopReason.EXHAUSTED)

_BLOCK = 256  # points drawn at once; a power of two keeps Sobol' balanced
_LISTABLE = 1 << 16  # finite spaces up to this size are worth walking through for what is left
_PATIENCE = 10_000  # misses in a row that are no coincidence


class RandomSearch:
    """Proposes random configurations, and none twice.

    Args:
        space: The space to search.
        seed: ≥ 0; it determines the sequence of proposals.
        sampler: `uniform`: independent draws. `sobol`: a scrambled Sobol' sequence.
        default_first: Whether the first proposal is the space's default configuration, if there is one.
    """

    def __init__(self, space: Space, seed: int, sampler: Sampler = "uniform", *, default_first: bool = True) -> None:
        self._space = space
        self._stream = Stream(space.dimension, seed, sampler)
        self._position = 0
        self._rest = Remainder(space, seed)
        self._first = space.default if default_first else None
        self.seen: set[Key] = set()
        """Keys of the configurations that must not be proposed (again)."""

    def import_libraries(self) -> None:
        """Import what a Sobol' sequence needs."""
        self._stream.import_libraries()

    def ask(self) -> Decision:
        """A new configuration, to be trained to its end; `End` when there is none."""
        config = self.peek()
        if config is None:
            return EXHAUSTED
        self.seen.add(key(config))
        return Start(config)

    def peek(self) -> dict[str, Any] | None:
        """The next configuration; None when there is none."""
        if self._first is not None and key(self._first) not in self.seen:
            return self._first
        if self._rest.mostly_seen(self.seen):
            return self._rest.first_unseen(self.seen)
        for _ in range(len(self.seen) + _PATIENCE):
            config = self._space.decode(self._point(self._position))
            if key(config) not in self.seen:
                return config
            self._position += 1
        return None

    def upcoming(self, count: int) -> list[dict[str, Any]]:
        """The next configurations: at most `count`, and none twice."""
        if (config := self.peek()) is None:
            return []
        found = {key(config): config}
        if not self._rest.mostly_seen(self.seen):
            for position in range(self._position, self._position + count):
                config = self._space.decode(self._point(position))
                if key(config) not in self.seen:
                    found.setdefault(key(config), config)
        return list(found.values())[:count]

    def _point(self, position: int) -> NDArray[np.float64]:
        return self._stream[position]

    def tell(self, trial: Trial) -> None:
        """Record the trial's configuration; its result does not matter."""
        self.leave_out(trial.config)

    def leave_out(self, config: Config) -> None:
        """Do not propose this configuration (again)."""
        self.seen.add(key(config))


class Stream:
    """Endless points (d,) in the unit cube; point n is a function of (seed, n) only."""

    def __init__(self, dimension: int, seed: int, sampler: Sampler) -> None:
        self._dimension = dimension
        self._seed = seed
        self._sampler = sampler
        self._number = -1
        self._block = np.empty((0, dimension))

    def import_libraries(self) -> None:
        """Import what its points need."""
        if self._sampler == "sobol":
            import scipy.stats.qmc  # noqa: F401 - takes most of a second

    def __getitem__(self, n: int) -> NDArray[np.float64]:
        number, offset = divmod(n, _BLOCK)
        if number != self._number:
            self._number, self._block = number, self._draw(number)
        point: NDArray[np.float64] = self._block[offset]
        return point

    def _draw(self, number: int) -> NDArray[np.float64]:
        if self._sampler == "uniform" or self._dimension == 0:
            return np.random.default_rng([self._seed, number]).random((_BLOCK, self._dimension))
        return sobol(self._dimension, _BLOCK, seed=self._seed, skip=number * _BLOCK)


def sobol(dimension: int, count: int, *, seed: int, skip: int = 0) -> NDArray[np.float64]:
    """Points skip … skip+count-1 of the scrambled Sobol' sequence of a seed, (count, dimension)."""
    from scipy.stats import qmc

    sequence = qmc.Sobol(dimension, scramble=True, seed=np.random.default_rng(seed))
    if skip:
        sequence.fast_forward(skip)
    points: NDArray[np.float64] = sequence.random(count)
    return points


class Remainder:
    """The rest of a finite space, for the end of its search, when random draws rarely find new configurations."""

    def __init__(self, space: Space, seed: int) -> None:
        listable = space.size is not None and space.size <= _LISTABLE
        self._enumeration = Enumeration(space, all_levels(space)) if listable else None
        self._order = None if self._enumeration is None else Permutation(self._enumeration.size, seed)
        self._position = 0

    def mostly_seen(self, seen: set[Key]) -> bool:
        """Whether at least half of the space was proposed."""
        return self._enumeration is not None and 2 * len(seen) >= self._enumeration.size

    def first_unseen(self, seen: set[Key]) -> dict[str, Any] | None:
        """The first new configuration in a random order; None if there is none."""
        if self._enumeration is None or self._order is None:
            return None
        while self._position < self._enumeration.size:
            config = self._enumeration[self._order[self._position]]
            self._position += 1
            if key(config) not in seen:
                return config
        return None
