"""A sum whose terms change, without adding all of them again."""

from __future__ import annotations

from collections.abc import Hashable

_WHOLE = 1074
"""Every float is a whole multiple of 2**-1074, and whole numbers add without rounding."""

_ONE = 1 << _WHOLE


class RunningSum:
    """The sum of a term for each key. Like `math.fsum` it is rounded once, so it does not drift."""

    def __init__(self) -> None:
        self._terms: dict[Hashable, int] = {}
        self._sum = 0

    def set(self, key: Hashable, term: float) -> None:
        """Change the term of a key; 0.0 removes it."""
        before = self._terms.pop(key, 0)
        if term:
            numerator, denominator = term.as_integer_ratio()
            self._terms[key] = exact = numerator << (_WHOLE + 1 - denominator.bit_length())
            self._sum += exact - before
        else:
            self._sum -= before

    def total(self, without: Hashable = None) -> float:
        """The sum of all terms; `without`: except that of this key."""
        rest = self._sum - self._terms.get(without, 0)
        return rest / _ONE if rest else 0.0
