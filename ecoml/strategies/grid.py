"""Grid search: a few levels per parameter, all of their combinations or a random part."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from annotated_types import Ge

from ecoml.errors import UsageError
from ecoml.space import Choice, Int, Parameter, Space
from ecoml.strategies.base import Decision, End, Start
from ecoml.strategies.enumeration import Enumeration, Key, Permutation, key
from ecoml.trial import Trial

Endpoints = Literal["both", "lower", "none"]
Order = Literal["random", "sequential"]


class GridSearch:
    """Tries the configurations of a grid, and ends when all were tried.

    Args:
        space: The space to search.
        seed: ≥ 0; it determines the random order and the random part.
        levels: Number of levels of each numeric parameter, evenly spaced on its own scale; rounding may leave fewer
            levels of a whole number. A Choice has all its options, and a conditional parameter exists only if its
            conditions hold.
        endpoints: With `both`, both bounds are levels; `lower` leaves the upper one out; `none` uses the middles of
            equal parts.
        order: `random` or `sequential` (the last parameter varies fastest).
        subset: Size of a random part of the grid; None: the complete grid.

    Raises:
        UsageError: There are fewer than two levels, or the subset is empty.
    """

    def __init__(
        self,
        space: Space,
        seed: int,
        levels: Annotated[int, Ge(2)] = 5,
        endpoints: Endpoints = "both",
        order: Order = "random",
        subset: Annotated[int, Ge(1)] | None = None,
    ) -> None:
        if levels < 2:
            raise UsageError(f"a grid needs at least 2 levels, not {levels}")
        if subset is not None and subset < 1:
            raise UsageError(f"a grid's subset must have at least 1 configuration, not {subset}")
        positions = _positions(levels, endpoints)
        self._enumeration = Enumeration(space, {name: _levels(p, positions) for name, p in space.free.items()})
        size = self._enumeration.size
        self._order: Sequence[int] | Permutation = range(size) if order == "sequential" else Permutation(size, seed)
        self._count = size
        if subset is not None and subset < size:
            drawn = Permutation(size, seed)
            part = [drawn[n] for n in range(subset)]
            self._order, self._count = sorted(part) if order == "sequential" else part, subset
        self._next = 0
        self._seen: set[Key] = set()

    @property
    def size(self) -> int:
        """Number of configurations to try."""
        return self._count

    def ask(self) -> Decision:
        """The next new configuration of the grid, to be trained to its end; `End` after the last."""
        while self._next < self._count:
            config = self._enumeration[self._order[self._next]]
            self._next += 1
            config_key = key(config)
            if config_key not in self._seen:
                self._seen.add(config_key)
                return Start(config)
        return End(f"all {self._count} configurations of the grid have been tried")

    def tell(self, trial: Trial) -> None:
        """Record the trial's configuration; its result does not matter."""
        self._seen.add(key(trial.config))


def _positions(levels: int, endpoints: Endpoints) -> list[float]:
    """Levels as shares of the way from the lower to the upper bound."""
    if endpoints == "both":
        return [i / (levels - 1) for i in range(levels)]
    if endpoints == "lower":
        return [i / levels for i in range(levels)]
    return [(i + 0.5) / levels for i in range(levels)]


def _levels(parameter: Parameter, positions: Sequence[float]) -> tuple[Any, ...]:
    if isinstance(parameter, Choice):
        return tuple(parameter.options)
    # An Int decodes by bins of equal width, which would give its upper end even where the grid leaves it out.
    levels = [_between(parameter, p) if isinstance(parameter, Int) else parameter.decode(p) for p in positions]
    return tuple(dict.fromkeys(levels))


def _between(parameter: Int, position: float) -> int:
    """The whole number nearest to a share of the way from the lower to the upper bound, on the parameter's scale."""
    low, high = parameter.low, parameter.high
    return round(low * math.exp(position * math.log(high / low)) if parameter.log else low + position * (high - low))
