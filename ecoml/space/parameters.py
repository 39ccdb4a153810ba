"""The parameters of a search space: `Float`, `Int` and `Choice`.

Each maps its values to u ∈ [0, 1] and back. `encode` is the right inverse of `decode`: for every value v that `decode`
returned, `decode(encode(v)) == v`, bit for bit, and `encode(decode(encode(v))) == encode(v)` for every value in range.

- Float keeps ten digits, so that a value does not change on the way through u and is easy to read: ten significant
  digits on a log scale, decimals down to a billionth of the range on a linear one. The two bounds are kept exactly.
- Int and Choice divide [0, 1] into one bin per value, and encode a value as the centre of its bin. All bins have the
  same width, except in a log Int, where the bin of v has the width log(v + ½) − log(v − ½).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ecoml.errors import SpaceError
from ecoml.space.values import Value, check_order, conditions_of, finite, fits, of_python, plain, width_of

_MOST_VALUES = 2**40  # above it, neighbouring bins can no longer be told apart in a float


@dataclass(frozen=True)
class Float:
    """A real number in [low, high].

    Attributes:
        low: Lower bound, included.
        high: Upper bound, included.
        log: Whether the scale is logarithmic: equal steps of u are then equal factors of the value.
        when: Condition: name of another parameter → the values of it with which this parameter exists. If it names
            several parameters, all must match. None: the parameter always exists.
        default: The value of the default configuration; None: there is none.
        prior_width: Standard deviation of the prior around the default, on the scale of u; None: no prior.

    Raises:
        SpaceError: The bounds, the condition, the default or the prior cannot be used.
    """

    low: float
    high: float
    log: bool = False
    when: Mapping[str, Any] | None = field(default=None, hash=False)
    default: float | None = None
    prior_width: float | None = None
    _origin: float = field(init=False, repr=False, compare=False)
    _span: float = field(init=False, repr=False, compare=False)
    _decimals: int = field(init=False, repr=False, compare=False)
    _lowest_cell: float = field(init=False, repr=False, compare=False)
    _highest_cell: float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        low, high = (finite(bound, end, "Float") for end, bound in (("low", self.low), ("high", self.high)))
        check_order("Float", low, high, self.log)
        origin, span = (math.log(low), math.log(high) - math.log(low)) if self.log else (low, high - low)
        if not 0.0 < span < math.inf:
            raise SpaceError(f"Float: a float cannot resolve the range from {low!r} to {high!r}; choose other bounds")
        _assign(self, low=low, high=high, when=conditions_of(self.when), _origin=origin, _span=span)
        # Sums of numbers up to the largest bound are good to 15 digits: no decimal finer than its 13th is kept.
        largest = max(abs(low), abs(high))
        _assign(self, _decimals=-max(math.floor(math.log10(span)) - 9, math.floor(math.log10(largest)) - 13))
        _assign(self, _lowest_cell=self._round(low), _highest_cell=self._round(high))
        _check_default(self, float)

    @property
    def count(self) -> None:
        """None: infinitely many values."""
        return

    def decode(self, u: float) -> float:
        """The value at u; u outside [0, 1] counts as the nearer bound."""
        if u <= 0.0:
            return self.low
        if u >= 1.0:
            return self.high
        x = self._origin + u * self._span
        return self._snap(math.exp(x) if self.log else x)

    def encode(self, value: Any) -> float:
        """The u of a value. Raises ValueError or TypeError if the value is out of range."""
        if not self.low < value < self.high:
            if value == self.low:
                return 0.0
            if value == self.high:
                return 1.0
            raise ValueError(value)
        value = self._snap(float(value))
        return ((math.log(value) if self.log else value) - self._origin) / self._span

    def problem(self, value: Any) -> str | None:
        """What is wrong with a value and how to correct it; None for a valid value."""
        if not fits(value, float):
            return f"is of type {type(value).__name__}; give a float in [{self.low!r}, {self.high!r}]"
        if not self.low <= value <= self.high:
            return f"is out of range; give a float in [{self.low!r}, {self.high!r}]"
        return None

    def to_dict(self) -> dict[str, Any]:
        """This parameter's table in a TOML file."""
        return {"type": "float", **_range_table(self)}

    def _round(self, x: float) -> float:
        return float(f"{x:.10g}") if self.log else round(x, self._decimals) + 0.0  # + 0.0 turns −0.0 into 0.0

    def _snap(self, x: float) -> float:
        rounded = self._round(x)
        if rounded <= self._lowest_cell:
            return self.low
        if rounded >= self._highest_cell:
            return self.high
        return rounded


@dataclass(frozen=True)
class Int:
    """A whole number in [low, high].

    Attributes:
        low: Lower bound, included.
        high: Upper bound, included.
        log: Whether the scale is logarithmic: small values then get wider bins of [0, 1].
        when: Condition: name of another parameter → the values of it with which this parameter exists. If it names
            several parameters, all must match. None: the parameter always exists.
        default: The value of the default configuration; None: there is none.
        prior_width: Standard deviation of the prior around the default, on the scale of u; None: no prior.

    Raises:
        SpaceError: The bounds, the condition, the default or the prior cannot be used.
    """

    low: int
    high: int
    log: bool = False
    when: Mapping[str, Any] | None = field(default=None, hash=False)
    default: int | None = None
    prior_width: float | None = None
    _origin: float = field(init=False, repr=False, compare=False)
    _span: float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _assign(self, low=of_python(self.low), high=of_python(self.high))
        for end, bound in (("low", self.low), ("high", self.high)):
            if not fits(bound, int):
                raise SpaceError(f"Int: {end} = {bound!r} is not a whole number; give an int, or use Float")
        check_order("Int", self.low, self.high, self.log)
        if self.high - self.low >= _MOST_VALUES:
            raise SpaceError(f"Int: {self.low} to {self.high} is more than 2^40 values; use Float, or a narrower range")
        _assign(self, when=conditions_of(self.when), _origin=0.0, _span=float(self.count))
        if self.log:
            origin = math.log(self.low - 0.5)
            _assign(self, _origin=origin, _span=math.log(self.high + 0.5) - origin)
        _check_default(self, int)

    @property
    def count(self) -> int:
        """Number of values."""
        return self.high - self.low + 1

    def decode(self, u: float) -> int:
        """The value whose bin holds u; u outside [0, 1] counts as the nearer bound."""
        u = min(max(u, 0.0), 1.0)
        value = (
            math.floor(math.exp(self._origin + u * self._span) + 0.5) if self.log else self.low + int(u * self._span)
        )
        return min(max(value, self.low), self.high)

    def encode(self, value: Any) -> float:
        """The centre of a value's bin. Raises ValueError for anything but an int in range."""
        if type(value) is not int or not self.low <= value <= self.high:
            raise ValueError(value)
        if self.log:
            return ((math.log(value - 0.5) + math.log(value + 0.5)) / 2 - self._origin) / self._span
        return (value - self.low + 0.5) / self._span

    def bin(self, value: int) -> tuple[float, float]:
        """The ends of a value's bin."""
        ends = np.log([value - 0.5, value + 0.5]) if self.log else np.array([value, value + 1]) - self.low
        low, high = ((ends - self._origin) / self._span).tolist()
        return low, high

    def problem(self, value: Any) -> str | None:
        """What is wrong with a value and how to correct it; None for a valid value."""
        if not fits(value, int):
            return f"is of type {type(value).__name__}; give an int in [{self.low}, {self.high}]"
        if not self.low <= value <= self.high:
            return f"is out of range; give an int in [{self.low}, {self.high}]"
        return None

    def to_dict(self) -> dict[str, Any]:
        """This parameter's table in a TOML file."""
        return {"type": "int", **_range_table(self)}


@dataclass(frozen=True)
class Choice:
    """One of several options without an order.

    Attributes:
        options: The options, all str, all int, all float or all bool; stored as a tuple.
        when: Condition: name of another parameter → the values of it with which this parameter exists. If it names
            several parameters, all must match. None: the parameter always exists.
        default: The value of the default configuration; None: there is none.
        prior_width: Prior probability that another option than the default is best; None: no prior.

    Raises:
        SpaceError: The options, the condition, the default or the prior cannot be used.
    """

    options: Sequence[Value]
    when: Mapping[str, Any] | None = field(default=None, hash=False)
    default: Value | None = None
    prior_width: float | None = None
    _index: dict[Value, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if isinstance(self.options, np.ndarray):
            _assign(self, options=self.options.tolist())
        if isinstance(self.options, str) or not isinstance(self.options, Sequence):
            raise SpaceError(f"Choice: options = {self.options!r} is not a list; write [{self.options!r}, …]")
        if not self.options:
            raise SpaceError("Choice: there is no option; list at least one")
        options = tuple(plain(option, f"Choice: the option {option!r}") for option in self.options)
        kinds = sorted({type(option).__name__ for option in options})
        if len(kinds) > 1:
            remedy = "write the whole numbers with a point, as 1.0" if kinds == ["float", "int"] else "use one type"
            raise SpaceError(f"Choice: the options {list(options)!r} mix {' and '.join(kinds)}; {remedy}")
        index = {option: number for number, option in enumerate(options)}
        if len(index) < len(options):
            repeated = next(option for option in index if options.count(option) > 1)
            raise SpaceError(f"Choice: the option {repeated!r} stands there twice; list it once")
        _assign(self, options=options, when=conditions_of(self.when), _index=index)
        _check_default(self, type(options[0]))

    @property
    def count(self) -> int:
        """Number of options."""
        return len(self.options)

    def decode(self, u: float) -> Value:
        """The option whose bin holds u; u outside [0, 1] counts as the nearer end."""
        number = int(min(max(u, 0.0), 1.0) * len(self.options))
        return self.options[min(number, len(self.options) - 1)]

    def encode(self, value: Any) -> float:
        """The centre of an option's bin. Raises KeyError or TypeError for a value that is not an option."""
        return (self._index[value] + 0.5) / len(self.options)

    def problem(self, value: Any) -> str | None:
        """What is wrong with a value and how to correct it; None for a valid value."""
        if not fits(value, type(self.options[0])) or value not in self._index:
            return f"is not an option; choose from {', '.join(map(repr, self.options))}"
        return None

    def to_dict(self) -> dict[str, Any]:
        """This parameter's table in a TOML file."""
        return {"type": "choice", "options": list(self.options), **_rest_of_table(self)}


Parameter = Float | Int | Choice


def _range_table(parameter: Float | Int) -> dict[str, Any]:
    log = {"log": True} if parameter.log else {}
    return {"low": parameter.low, "high": parameter.high, **log, **_rest_of_table(parameter)}


def _rest_of_table(parameter: Parameter) -> dict[str, Any]:
    given = {"default": parameter.default, "prior_width": parameter.prior_width}
    when = {parent: list(values) for parent, values in (parameter.when or {}).items()}
    return {key: value for key, value in given.items() if value is not None} | ({"when": when} if when else {})


def _check_default(parameter: Parameter, kind: type) -> None:
    """Check that the default is a valid value, and store it as `decode` would return it; check the prior's width."""
    most = 1.0 - 1.0 / parameter.count if isinstance(parameter, Choice) else math.inf
    width = width_of(type(parameter).__name__, parameter.prior_width, parameter.default, most)
    _assign(parameter, prior_width=width)
    if parameter.default is None:
        return
    if (trouble := parameter.problem(parameter.default)) is not None:
        raise SpaceError(f"{type(parameter).__name__}: default = {parameter.default!r} {trouble}")
    _assign(parameter, default=parameter.decode(parameter.encode(kind(parameter.default))))


def _assign(parameter: Parameter, **fields: Any) -> None:
    for name, value in fields.items():
        object.__setattr__(parameter, name, value)
