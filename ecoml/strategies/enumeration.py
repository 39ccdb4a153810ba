"""Enumeration: configurations from a list of levels per parameter, accessed by index without listing them.

Conditional parameters take part only if they are active. Few parameters have others that depend on them (parents):
there is one block of configurations for each combination of the parents' levels, and within a block an index is a
number in mixed radix, with one digit for each of the other active parameters.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from ecoml.space import Choice, Int, Parameter, Space
from ecoml.trial import Config

Key = Hashable


def key(config: Config) -> Key:
    """The identity of a configuration: its values, in any order."""
    return frozenset(config.items())


def all_levels(space: Space) -> dict[str, Sequence[Any]]:
    """Every value of every free parameter of a finite space (a Float in one is never active, and has none)."""
    return {name: _values(parameter) for name, parameter in space.free.items()}


def _values(parameter: Parameter) -> Sequence[Any]:
    if isinstance(parameter, Choice):
        return parameter.options
    return range(parameter.low, parameter.high + 1) if isinstance(parameter, Int) else ()


class Enumeration:
    """The configurations spanned by `levels`, numbered from 0; `size` of them.

    Args:
        space: The space; fixed values come from it.
        levels: Values by free parameter, without repeats.
    """

    def __init__(self, space: Space, levels: Mapping[str, Sequence[Any]]) -> None:
        self._space = space
        self._levels = levels
        named = {parent for parameter in space.free.values() for parent in (parameter.when or {})}
        parents = [name for name in levels if name in named]
        columns = [space.names.index(name) for name in parents]
        u = np.full(space.dimension, 0.5)
        self._blocks: list[tuple[dict[str, Any], list[str]]] = []
        self._ends: list[int] = []
        total = 0
        known: set[Key] = set()
        for values in itertools.product(*(levels[name] for name in parents)):
            u[columns] = [space.free[name].encode(value) for name, value in zip(parents, values, strict=True)]
            active = space.decode(u)
            assigned = {name: value for name, value in active.items() if name in space.fixed or name in named}
            # A parent that is inactive itself takes no value, so several combinations are the same block.
            block = key(assigned)
            if block in known:
                continue
            known.add(block)
            digits = [name for name in levels if name in active and name not in named]
            total += math.prod(len(levels[name]) for name in digits)
            self._blocks.append((assigned, digits))
            self._ends.append(total)
        self.size = total

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Configuration number `index`, in the order of the space's parameters."""
        block = bisect_right(self._ends, index)
        assigned, digits = self._blocks[block]
        rest = index - (self._ends[block - 1] if block else 0)
        values = dict(assigned)
        for name in reversed(digits):
            rest, digit = divmod(rest, len(self._levels[name]))
            values[name] = self._levels[name][digit]
        return {name: values[name] for name in self._space.parameters if name in values}


_MASK = (1 << 64) - 1
_ROUNDS = 6


class Permutation:
    """A seeded random order of 0 … size-1 without a list: a Feistel network, iterated until the result is in range.

    Black and Rogaway, Ciphers with arbitrary finite domains (2002), the cycle-walking construction.
    """

    def __init__(self, size: int, seed: int) -> None:
        self._size = size
        self._half = max(1, (max(size - 1, 1).bit_length() + 1) // 2)
        self._keys = [int(k) for k in np.random.default_rng([seed, size]).integers(1 << 63, size=_ROUNDS)]

    def __getitem__(self, position: int) -> int:
        """The number at a position of the order."""
        mask = (1 << self._half) - 1
        while True:
            left, right = position >> self._half, position & mask
            for round_key in self._keys:
                left, right = right, left ^ (_mix(right ^ round_key) & mask)
            position = left << self._half | right
            if position < self._size:
                return position


def _mix(value: int) -> int:
    """The finaliser of SplitMix64 (Steele, Lea, Flood 2014): every input bit reaches every output bit."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ value >> 30) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ value >> 27) * 0x94D049BB133111EB) & _MASK
    return value ^ value >> 31
