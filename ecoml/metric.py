"""The metric of a training: the score's name, direction and range, and the name of a step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

WITHIN = 0.01
"""A model is nearly as good as the best if it is at most this share of the score's range worse."""

_ROUNDING = 1e-6  # of the range: smaller differences of two scores are errors of single precision
_REPEATED = 0.6  # standard deviation of an accuracy when a training is repeated, in binomial ones


def number_of(value: Any) -> float | None:
    """A number of any library as a float: a number of Python or numpy, or a tensor of one element.

    None for anything else (a text, a bool, an array), and for a whole number beyond the range of floats.
    """
    if type(value) is float:
        return value
    if isinstance(value, str | bytes) or truth_of(value) is not None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return None


def truth_of(value: Any) -> bool | None:
    """A bool of Python or numpy as a bool; None for anything else."""
    return bool(value) if type(value).__name__ in ("bool", "bool_") else None


@dataclass(frozen=True, slots=True)
class Metric:
    """The metric by which models are scored.

    Attributes:
        name: Its name in messages, e.g. `validation loss`.
        minimize: Whether a lower score is better.
        low: The lowest possible score; None: there is no bound.
        high: The highest possible score; None: there is no bound.
        step: The name of one step of the learning curve, e.g. `epoch`.

    Raises:
        ValueError: A name is no text or empty, `minimize` is no bool, a bound is no finite number, or `low` is not
            below `high`.
    """

    name: str = "validation accuracy"
    minimize: bool = False
    low: float | None = None
    high: float | None = None
    step: str = "step"

    def __post_init__(self) -> None:
        if any(not isinstance(name, str) or not name for name in (self.name, self.step)):
            raise ValueError(
                'a metric and its steps need names: ecoml.Metric("validation loss", minimize=True, step="epoch")'
            )
        minimize = truth_of(self.minimize)
        if minimize is None:
            raise ValueError(f"metric {self.name!r}: minimize is {self.minimize!r:.60}; give True or False")
        object.__setattr__(self, "minimize", minimize)
        for side in ("low", "high"):
            if (given := getattr(self, side)) is not None:
                bound = number_of(given)
                if bound is None or not math.isfinite(bound):
                    raise ValueError(
                        f"metric {self.name!r}: {side} is {given!r:.60}; a bound is a finite number, or None if there"
                        " is no bound"
                    )
                object.__setattr__(self, side, bound)
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"metric {self.name!r}: its low {self.low:g} is not below its high {self.high:g}")

    def utility(self, score: float) -> float:
        """The score, or its negative if lower is better, so that more is always better. Applied twice, it gives the
        score again.
        """
        return -score if self.minimize else score

    def reaches(self, score: float, target: float | None) -> bool:
        """Whether the score is at least as good as the target; False without a target."""
        return target is not None and self.utility(score) >= self.utility(target)

    def allows(self, score: float) -> bool:
        """Whether the score lies within the bounds."""
        above = self.low is None or score >= self.low
        return math.isfinite(score) and above and (self.high is None or score <= self.high)

    def rounded(self, score: float) -> float:
        """The bound, if the score exceeds it by no more than the rounding error of single precision; else the score."""
        if self.allows(score):
            return score
        near = (bound for bound in (self.low, self.high) if bound is not None)
        return next((bound for bound in near if math.isclose(score, bound, rel_tol=1e-6, abs_tol=1e-6)), score)

    @property
    def ceiling(self) -> float:
        """The highest possible utility; inf without a bound on that side."""
        bound = self.low if self.minimize else self.high
        return math.inf if bound is None else self.utility(bound)

    @property
    def span(self) -> float | None:
        """The distance between the bounds; None unless there are both."""
        return None if self.low is None or self.high is None else self.high - self.low

    def tolerance(self, lowest: float, best: float) -> float:
        """How much worse than the best a utility may be and still be nearly as good: `WITHIN` of the metric's range.

        Without bounds the range is that of a front with utilities between these two.
        """
        return WITHIN * (best - lowest if self.span is None else self.span)

    @property
    def is_share(self) -> bool:
        """Whether the score is a share in [0, 1], which messages print in percent."""
        return (self.low, self.high) == (0.0, 1.0)

    def chance(self, utilities: Iterable[float]) -> float:
        """How far chance moves the best of these utilities, where scores are shares of n images: `_REPEATED` of the
        binomial standard error, but at least one image.

        The smallest difference between two of the utilities counts as one image. For other metrics it is the result.
        """
        values = sorted(set(utilities))
        if not values:
            return 0.0
        rounding = _ROUNDING * (values[-1] - values[0] if self.span is None else self.span)
        image = min((high - low for low, high in pairwise(values) if high - low > rounding), default=0.0)
        if not self.is_share:
            return image
        best = min(abs(values[-1]), 1.0)
        return max(image, _REPEATED * math.sqrt(best * (1.0 - best) * image))

    def to_dict(self) -> dict[str, Any]:
        """The fields that are not None, for JSON and TOML."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> Metric:
        """The metric of a table that `to_dict` made."""
        return cls(**table)


ACCURACY = Metric(low=0.0, high=1.0)
"""The metric of a training that declares none."""


def wilson(share: float, count: float, z: float = 1.959964) -> tuple[float, float]:
    """The 95 % interval of a share of `count` things, in [0, 1].

    (p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n), where p is the share (Wilson, 1927).

    Args:
        share: In [0, 1]: 0.975 if 39 of 40 images are right.
        count: n > 0; not a whole number if shares of groups were averaged.
        z: Standard deviations to each side.
    """
    spread = z * z / count
    half = z * math.sqrt(share * (1 - share) / count + spread / (4 * count))
    low, high = ((share + spread / 2 + side * half) / (1 + spread) for side in (-1, 1))
    return min(max(0.0, low), share), max(min(1.0, high), share)
