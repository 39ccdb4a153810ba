"""The features of a configuration for the surrogate.

Notation: U is n×d in the unit cube (`Space.encode`), X is n×D, D ≥ d, with values in [0, 1]; only the common columns of
several Choices may exceed 1.

A Float or an Int is its own coordinate. A Choice of k > 2 options has k columns, 1 for its option and 0 for the others,
so that all options are equally far apart; for two options one column suffices. While a conditional parameter is
inactive, its coordinate is ½, and the columns of its options are 0; one column for each distinct condition says whether
it holds, unless a Choice's column does.

Choices with the same k > 2 options in the same order, like the operations in a cell of a network, have k common
columns: how many of the m Choices have each option, divided by √m. Random configurations are then as far apart in these
columns as in those of a single Choice, and the surrogate can learn that an option is good wherever it stands.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecoml.space import Choice, Int, Space
from ecoml.trial import Config

Array = NDArray[np.float64]


class Features:
    """Maps configurations of a space to rows X.

    Attributes:
        groups: Number of the parameter to which each column (D,) belongs; the columns of one Choice belong together,
            and so do the common columns of several.
    """

    def __init__(self, space: Space) -> None:
        self._names = list(space.free)
        self._choices = {column: _columns(p) for column, p in enumerate(space.free.values()) if isinstance(p, Choice)}
        self._numeric = [column for column in range(space.dimension) if column not in self._choices]
        conditions = [p.when for p in space.free.values() if p.when and _needs_column(space, p.when)]
        self._conditions = [when for i, when in enumerate(conditions) if when not in conditions[:i]]
        self._alike = _alike(space)
        columns = [1] * len(self._numeric) + [len(c) for c in self._choices.values()] + [1] * len(self._conditions)
        columns += [len(self._choices[group[0]]) for group in self._alike]
        self.groups = np.repeat(np.arange(len(columns)), columns)

    def __call__(self, configs: Sequence[Config], u: Array) -> Array:
        """Rows (n, D) of n configurations with points u (n, d) of the unit cube."""
        is_option = {}
        for column, levels in self._choices.items():
            active = np.array([self._names[column] in config for config in configs], dtype=bool)
            is_option[column] = ((np.abs(u[:, column, None] - levels) < 1e-9) & active[:, None]).astype(float)
        parts = [u[:, self._numeric], *is_option.values()]
        if self._conditions:
            held = [[_holds(when, config) for when in self._conditions] for config in configs]
            parts.append(np.array(held, dtype=float).reshape(len(u), len(self._conditions)))
        parts += [
            np.sum([is_option[column] for column in group], axis=0) / math.sqrt(len(group)) for group in self._alike
        ]
        return np.concatenate(parts, axis=1)

    def inverse(self, x: Array) -> Array:
        """The point of the unit cube (d,) of a row (D,); for a Choice the option with the largest column."""
        u = np.full(len(self._numeric) + len(self._choices), 0.5)
        u[self._numeric] = x[: len(self._numeric)]
        at = len(self._numeric)
        for column, levels in self._choices.items():
            columns = x[at : at + len(levels)]
            at += len(levels)
            if len(levels) > 1:
                u[column] = levels[np.argmax(columns)]
            elif len(levels):  # of two options
                u[column] = levels[0] if columns[0] > 0.5 else 1.0 - levels[0]
        return u


def _columns(choice: Choice) -> Array:
    """The coordinates of the options that have their own column."""
    u = np.array([choice.encode(option) for option in choice.options])
    return u if len(u) > 2 else u[1:]


def _alike(space: Space) -> list[list[int]]:
    """The Choices that have the same options, more than two, as groups of coordinates of the unit cube."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for column, parameter in enumerate(space.free.values()):
        if isinstance(parameter, Choice) and len(parameter.options) > 2:
            groups.setdefault(tuple(parameter.options), []).append(column)
    return [group for group in groups.values() if len(group) > 1]


def _needs_column(space: Space, when: Mapping[str, Any]) -> bool:
    """Whether a condition is not already expressed by a column of a Choice."""
    if len(when) > 1:
        return True
    ((parent, values),) = when.items()
    on = space.parameters[parent]
    return isinstance(on, Int) or (isinstance(on, Choice) and len(on.options) > 2 and len(values) > 1)


def _holds(when: Mapping[str, Any], config: Config) -> bool:
    return all(parent in config and config[parent] in values for parent, values in when.items())
