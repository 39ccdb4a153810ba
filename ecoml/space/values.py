"""Checks of everything that a space is made of: values, bounds and conditions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ecoml.errors import SpaceError

Value = str | int | float | bool
"""The types of a parameter's value; TOML can store each of them."""


def fits(value: Any, kind: type) -> bool:
    """Whether a value is of a type; an int counts as a float, and a bool only as a bool."""
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def of_python(value: Any) -> Any:
    """A number of numpy as Python's own, which TOML and JSON can store; anything else unchanged."""
    return value.item() if isinstance(value, np.generic) else value


def plain(value: Any, what: str) -> Value:
    """A fixed value or an option as str, int, float or bool itself, not as a subclass (of numpy, or an enum).

    Raises:
        SpaceError: The value is none of these; the message starts with `what`.
    """
    value = of_python(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if not isinstance(value, float):
        raise SpaceError(f"{what} is of type {type(value).__name__}; give a str, int, float or bool")
    if not math.isfinite(value):
        raise SpaceError(f"{what} is not finite; give a finite number")
    return float(value)


def finite(bound: Any, end: str, kind: str) -> float:
    """A bound as a float.

    Args:
        bound: The value given.
        end: `low` or `high`.
        kind: The class of the parameter.

    Raises:
        SpaceError: The bound is not a finite number.
    """
    bound = of_python(bound)
    if not fits(bound, float):
        raise SpaceError(f"{kind}: {end} = {bound!r} is not a number; give a float")
    try:
        number = float(bound) + 0.0
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise SpaceError(f"{kind}: {end} = {bound!r} is not finite; give a finite bound")
    return number


def check_order(kind: str, low: float, high: float, log: Any) -> None:
    """Check that the bounds form a range, on a log scale if `log`.

    Raises:
        SpaceError: low is not below high; or `log` is not a bool; or `log` is True and a bound is not above 0.
    """
    if not isinstance(log, bool):
        raise SpaceError(f"{kind}: log = {log!r} is neither true nor false; give one of them")
    if low > high:
        raise SpaceError(f"{kind}: low = {low!r} is above high = {high!r}; swap them")
    if low == high:
        raise SpaceError(f"{kind}: low = high = {low!r}; give the fixed value {low!r} instead")
    if log and low <= 0:
        raise SpaceError(f"{kind}: a log scale needs low > 0, not {low!r}; raise low, or leave out log")


def width_of(kind: str, width: Any, default: Any, most: float) -> float | None:
    """A prior's width as a float; None without a prior.

    Args:
        kind: The class of the parameter.
        width: The value given.
        default: The default of the parameter, around which the prior lies.
        most: The largest width.

    Raises:
        SpaceError: The width is not a number above 0 and at most `most`, or there is no default.
    """
    width = of_python(width)
    if width is None:
        return None
    if default is None:
        raise SpaceError(f"{kind}: prior_width = {width!r} needs a default, around which the prior lies; add default")
    if not fits(width, float) or not math.isfinite(width) or not 0 < width <= most:
        limit = "" if most == math.inf else f" and at most {most:.3g}, an even share of the other options"
        raise SpaceError(f"{kind}: prior_width = {width!r} is not a number above 0{limit}; give one, or leave it out")
    return float(width)


def conditions_of(when: Any) -> dict[str, tuple[Value, ...]] | None:
    """A condition as parent → tuple of values; the user may also give a single value. None without a condition.

    Raises:
        SpaceError: The condition is not a table, or lists no value, or a value that no parameter can have.
    """
    if when is None:
        return None
    if not isinstance(when, Mapping):
        raise SpaceError(
            f"when = {when!r} is not a table; write the parent's name and its values, as {{name: [value]}}"
        )
    conditions: dict[str, tuple[Value, ...]] = {}
    for parent, given in when.items():
        values = (given,) if isinstance(given, str) or not isinstance(given, Sequence) else tuple(given)
        if not values:
            raise SpaceError(f"when: {parent} has no value, so the condition never holds; list at least one")
        conditions[parent] = tuple(plain(value, f"when: {parent} = {value!r}") for value in values)
    return conditions or None
