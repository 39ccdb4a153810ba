"""Space: named parameters, and the map between configurations and the unit cube.

Notation
    d       number of free (not fixed) parameters, `space.dimension`
    u       point of the unit cube, float64 (d,), one coordinate per free parameter in the order of `space.names`
    config  dict of the active parameters and the fixed values, in the order given

A parameter with a condition (`when`) is active if its parents are active and have one of the required values. An
inactive parameter is absent from the config; its coordinate is ½.
"""

from __future__ import annotations

import difflib
import math
from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecoml.errors import SpaceError
from ecoml.space.parameters import Float, Parameter
from ecoml.space.prior import Prior
from ecoml.space.values import Value, fits, plain
from ecoml.views import html_of

_Conditions = tuple[tuple[str, tuple[Value, ...]], ...]


class Space:
    """The configurations that a search may try.

    Attributes:
        parameters: Name → `Float`, `Int`, `Choice` or a fixed value, in the order given.
        free: The parameters that are not fixed, in the same order.
        fixed: The fixed values.
        names: Names of the free parameters: the coordinates of the unit cube.
        name: The name of the space; may be empty.
        description: The purpose of the space, one sentence; may be empty.
    """

    def __init__(self, parameters: Mapping[str, Parameter | Value], *, name: str = "", description: str = "") -> None:
        """Raises SpaceError if the parameters do not form a space."""
        if not isinstance(parameters, Mapping) or not parameters:
            raise SpaceError("the space has no parameters; give at least one, as {name: parameter}")
        self.parameters = {key: _checked(key, parameter) for key, parameter in parameters.items()}
        self.name = name
        self.description = description
        self.free = {key: p for key, p in self.parameters.items() if isinstance(p, Parameter)}
        self.fixed = {key: p for key, p in self.parameters.items() if not isinstance(p, Parameter)}
        self.names = tuple(self.free)
        for key, free in self.free.items():
            for parent, values in (free.when or {}).items():
                _check_condition(key, parent, values, self.parameters)
        order = _parents_first(self.free)
        self._steps: list[tuple[str, int, Parameter, _Conditions]] = [
            (key, self.names.index(key), self.free[key], tuple((self.free[key].when or {}).items())) for key in order
        ]

    @property
    def dimension(self) -> int:
        """d, the number of free parameters."""
        return len(self.names)

    def decode(self, u: NDArray[np.float64]) -> dict[str, Any]:
        """The config at a point u (d,) of the unit cube; coordinates outside [0, 1] count as the nearer end.

        Raises:
            ValueError: u has another shape, or contains NaN or something that is not a number.
        """
        if u.shape != (len(self.names),) or math.isnan(sum(coordinates := u.tolist())):
            raise ValueError(f"a point of this space has shape ({self.dimension},) and no NaN; this is {u!r}")
        config: dict[str, Any] = self.fixed.copy()
        for key, column, parameter, conditions in self._steps:
            if not conditions or _hold(conditions, config):
                config[key] = parameter.decode(coordinates[column])
        return {key: config[key] for key in self.parameters if key in config}

    def encode(self, config: Mapping[str, Any]) -> NDArray[np.float64]:
        """The point u (d,) of a config. If `decode` made the config, `decode` returns it for this point.

        Only the active free parameters are read; `validate` checks the rest.

        Raises:
            SpaceError: One of them is missing or has a value outside this space.
        """
        u = [0.5] * len(self.names)
        try:
            for key, column, parameter, conditions in self._steps:
                if not conditions or _hold(conditions, config):
                    u[column] = parameter.encode(config[key])
        except (KeyError, TypeError, ValueError):
            self.validate(config)
            raise
        return np.array(u)

    def validate(self, config: Mapping[str, Any]) -> None:
        """Check a config that did not come from this space.

        Raises:
            SpaceError: A key is unknown or missing, a parameter is inactive, or a value has the wrong type, is out of
                range or differs from the fixed one.
        """
        for key in config:
            if key not in self.parameters:
                raise SpaceError(f"{key}: this space has no such parameter; {_suggest(str(key), self.parameters)}")
        for key, value in self.fixed.items():
            if key not in config:
                raise SpaceError(f"{key}: missing from the configuration; add {key} = {value!r}")
            if config[key] != value or not fits(config[key], type(value)):
                raise SpaceError(f"{key} = {config[key]!r}: this space fixes it to {value!r}; give that value")
        for key, _, parameter, conditions in self._steps:
            unmet = [(parent, values) for parent, values in conditions if config.get(parent, _Absent) not in values]
            if unmet and key in config:
                parent, values = unmet[0]
                needed = " or ".join(map(repr, values))
                raise SpaceError(f"{key} = {config[key]!r}: it exists only with {parent} = {needed}; leave it out")
            if not unmet and key not in config:
                raise SpaceError(
                    f"{key}: missing from the configuration; add a value such as {parameter.decode(0.5)!r}"
                )
            if not unmet and (trouble := parameter.problem(config[key])) is not None:
                raise SpaceError(f"{key} = {config[key]!r}: {trouble}")

    def sample(self, rng: np.random.Generator) -> dict[str, Any]:
        """A config at a uniformly random point of the unit cube."""
        return self.decode(rng.random(self.dimension))

    @cached_property
    def default(self) -> dict[str, Any] | None:
        """The default config; parameters without a default are at the middle of their range.

        None if no parameter has a default.
        """
        if all(parameter.default is None for parameter in self.free.values()):
            return None
        u = [0.5 if p.default is None else p.encode(p.default) for p in self.free.values()]
        return self.decode(np.array(u))

    @cached_property
    def prior(self) -> Prior:
        """Where the best configurations are expected: around the defaults of the parameters with a `prior_width`."""
        return Prior(self.free)

    @cached_property
    def size(self) -> int | None:
        """Number of distinct configs; None if an active Float makes it infinite.

        The loop visits parents first. For each combination of the parents' values that later parameters depend on, it
        stores how many configs there are.
        """
        last_child = {parent: n for n, (*_, conditions) in enumerate(self._steps) for parent, _ in conditions}
        ways: Counter[frozenset[tuple[str, Any]]] = Counter([frozenset(self.fixed.items())])
        for number, (key, _, parameter, conditions) in enumerate(self._steps):
            asked_for = {value for *_, wanted in self._steps for parent, vs in wanted if parent == key for value in vs}
            following: Counter[frozenset[tuple[str, Any]]] = Counter()
            for known, count in ways.items():
                kept = {(parent, value) for parent, value in known if last_child.get(parent, -1) > number}
                if not _hold(conditions, dict(known)):
                    following[frozenset(kept)] += count
                elif parameter.count is None:
                    return None
                else:
                    for value in asked_for:
                        following[frozenset(kept | {(key, value)})] += count
                    if parameter.count > len(asked_for):
                        following[frozenset(kept)] += count * (parameter.count - len(asked_for))
            ways = following
        return ways.total()

    def to_dict(self) -> dict[str, Any]:
        """This space as the tables of a TOML file; `ecoml.space.schema.space_of` makes an equal one of them."""
        keys = list(self.parameters)
        last_free = max((keys.index(key) for key in self.names), default=-1)
        parameters = {
            key: p.to_dict() if isinstance(p, Parameter) else {"type": "fixed", "value": p}
            for key, p in list(self.parameters.items())[: last_free + 1]
        }
        tables = {
            "name": self.name,
            "description": self.description,
            "parameters": parameters,
            "fixed": {key: self.fixed[key] for key in keys[last_free + 1 :]},
        }
        return {key: table for key, table in tables.items() if table}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Space):
            return NotImplemented
        return self._whole == other._whole

    def __hash__(self) -> int:
        return hash(self._whole)

    @property
    def _whole(self) -> str:
        return repr((self.parameters, self.name, self.description))

    def __repr__(self) -> str:
        name = f" {self.name}" if self.name else ""
        return f"<Space{name}: {', '.join(map(str, self.parameters))}>"

    def _repr_html_(self) -> str:
        return html_of(self)


class _Absent:
    """The value of an inactive parent; it equals nothing."""


def _hold(conditions: _Conditions, config: Mapping[str, Any]) -> bool:
    return all(config.get(parent, _Absent) in values for parent, values in conditions)


def _suggest(word: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"


def _checked(key: Any, parameter: Any) -> Parameter | Value:
    if not isinstance(key, str) or not key or not key.isprintable():
        raise SpaceError(f"{key!r} is not a valid parameter name; use a non-empty string of printable characters")
    if isinstance(parameter, Parameter):
        return parameter
    if isinstance(parameter, list | tuple):
        raise SpaceError(f"{key} = {parameter!r}: a list cannot be a fixed value; write a choice with these options")
    return plain(parameter, f"{key} = {parameter!r}: it")


def _check_condition(
    key: str, parent: str, values: tuple[Value, ...], parameters: Mapping[str, Parameter | Value]
) -> None:
    if parent not in parameters:
        raise SpaceError(f"{key}: it depends on {parent}, which is not a parameter; {_suggest(parent, parameters)}")
    on = parameters[parent]
    if isinstance(on, Float):
        raise SpaceError(f"{key}: it depends on {parent}, a Float; a condition needs a Choice, an Int or a fixed value")
    if isinstance(on, Parameter):
        for value in values:
            if (trouble := on.problem(value)) is not None:
                raise SpaceError(f"{key}: in its condition, {parent} = {value!r} {trouble}")
    elif not any(value == on and fits(value, type(on)) for value in values):
        raise SpaceError(f"{key}: it never exists, since {parent} is fixed to {on!r}; remove {key} or its condition")


def _parents_first(free: Mapping[str, Parameter]) -> list[str]:
    """The names in the order given, but none before its parents."""
    order: dict[str, None] = {}

    def visit(key: str, path: tuple[str, ...]) -> None:
        if key in path:
            circle = " → ".join((*path[path.index(key) :], key))
            raise SpaceError(f"{key}: its condition depends on itself ({circle}); remove one of these conditions")
        for parent in free[key].when or {}:
            if parent in free and parent not in order:
                visit(parent, (*path, key))
        order[key] = None

    for key in free:
        if key not in order:
            visit(key, ())
    return list(order)
