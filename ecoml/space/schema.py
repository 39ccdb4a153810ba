"""The TOML form of a space, checked with pydantic.

    name = "…"                        # optional
    description = "…"                 # optional

    [parameters.NAME]
    type = "float"                    # or "int": with low, high, and optionally log
    low = 1e-4                        # "choice": with options
    high = 1e-1                       # "fixed": with value, to place a fixed value among the others
    log = true
    default = 1e-2                    # optional, with any type but "fixed"
    prior_width = 0.2                 # optional, with a default
    when = { PARENT = ["value"] }     # optional, with any type but "fixed"

    [fixed]
    NAME = 10

The order of the tables is the order of the parameters; those under [fixed] come last.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from ecoml.errors import SpaceError
from ecoml.space.parameters import Choice, Float, Int, Parameter
from ecoml.space.space import Space
from ecoml.space.values import Value

_STRICT = ConfigDict(extra="forbid", strict=True)
_KINDS: Mapping[str, Callable[..., Parameter]] = {"float": Float, "int": Int, "choice": Choice}


def _table_of(name: str, kind: Any) -> type[BaseModel]:
    """The table of a parameter: its type, and the fields of its class."""
    hints = get_type_hints(kind) | {"options": list[Any], "when": dict[str, Any] | None}
    if kind is Choice:
        hints["default"] = Any  # as for options and conditions, Choice itself checks what is in it
    keys: dict[str, Any] = {"type": (Literal[name], ...)}
    keys |= {f.name: (hints[f.name], ... if f.default is MISSING else f.default) for f in fields(kind) if f.init}
    return create_model(kind.__name__, __config__=_STRICT, **keys)


class _Fixed(BaseModel):
    model_config = _STRICT
    type: Literal["fixed"]
    value: Any


_TYPES = {name: _table_of(name, kind) for name, kind in _KINDS.items()} | {"fixed": _Fixed}
_Table: Any = Annotated[functools.reduce(operator.or_, _TYPES.values()), Field(discriminator="type")]


class _File(BaseModel):
    model_config = _STRICT
    name: str = ""
    description: str = ""
    parameters: dict[str, _Table] = {}
    fixed: dict[str, Any] = {}


def space_of(tables: Mapping[str, Any], *, where: str = "the space") -> Space:
    """The space that a TOML file or `Space.to_dict` describes.

    Args:
        tables: The tables of the file.
        where: The first part of an error message, such as a path.

    Raises:
        SpaceError: The tables do not describe a space. The message is one line: `where`, the key, the way out, and the
            number of further errors.
    """
    try:
        file = _File.model_validate(dict(tables))
    except ValidationError as error:
        raise _first_of([_explain(problem) for problem in error.errors()], where) from None
    parameters: dict[str, Parameter | Value] = {}
    problems: list[str] = []
    for key, table in file.parameters.items():
        given: dict[str, Any] = dict(table)
        kind = given.pop("type")
        try:
            parameters[key] = given["value"] if kind == "fixed" else _KINDS[kind](**given)
        except SpaceError as error:
            problems.append(f"parameters.{key}: {error}")
    problems += [
        f"{key}: it stands under [parameters] and under [fixed]; keep one"
        for key in file.fixed
        if key in file.parameters
    ]
    if problems:
        raise _first_of(problems, where)
    try:
        return Space(parameters | file.fixed, name=file.name, description=file.description)
    except SpaceError as error:
        raise SpaceError(f"{where}: {error}") from None


def _first_of(problems: list[str], where: str) -> SpaceError:
    more = len(problems) - 1
    return SpaceError(
        f"{where}: {problems[0]}" + (f" (and {more} more {'error' if more == 1 else 'errors'})" if more else "")
    )


_EXPECTED = {
    "float_type": "a number",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "string_type": "a string in quotes",
    "list_type": "a list in square brackets",
    "dict_type": "a table",
}


def _explain(problem: Any) -> str:
    """A pydantic error in plain words."""
    kind, given, place = problem["type"], problem["input"], [str(part) for part in problem["loc"]]
    # Inside a parameter the third part of the place is the type that pydantic went by, which is no key of the file.
    table = _TYPES[place.pop(2)] if place[0] == "parameters" and len(place) > 2 else _File
    key = ".".join(place)
    if kind == "missing":
        return f"{key}: missing; add a line {place[-1]} = …"
    if kind == "extra_forbidden":
        return f"{key}: there is no such key; known are {', '.join(table.model_fields)}"
    if kind == "union_tag_not_found":
        return f"{key}.type: missing; choose from {', '.join(_TYPES)}"
    if kind == "union_tag_invalid":
        return f"{key}.type = {given['type']!r}: there is no such type; choose from {', '.join(_TYPES)}"
    if kind == "model_attributes_type":
        return f"{key} = {given!r}: not a table; write [{key}] with its type, or move the value to [fixed]"
    if kind in _EXPECTED:
        return f"{key} = {given!r}: not {_EXPECTED[kind]}; give one"
    return f"{key} = {given!r}: {problem['msg']}"
