"""What a training measures: the score's name, its direction, its range, and what a step is called."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Metric:
    """What the scores of a training are.

    Attributes:
        name: For people, e.g. `validation loss`.
        minimize: Whether a lower score is better.
        low: The lowest score there can be; None: there is no bound.
        high: The highest; None: there is no bound.
        step: What a step of a learning curve is called, e.g. `epoch`.

    Raises:
        ValueError: No name, or bounds that leave nothing between them.
    """

    name: str = "validation accuracy"
    minimize: bool = False
    low: float | None = None
    high: float | None = None
    step: str = "step"

    def __post_init__(self) -> None:
        if not self.name or not self.step:
            raise ValueError('a metric needs a name, and its steps do: ecoml.Metric("validation loss", minimize=True)')
        if any(bound is not None and not math.isfinite(bound) for bound in (self.low, self.high)):
            raise ValueError(f"metric {self.name!r}: a bound is a finite number, or None where there is none")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"metric {self.name!r}: its low {self.low:g} is not below its high {self.high:g}")

    def utility(self, score: float) -> float:
        """The score, or its negative where lower is better: the more the better. Its own inverse."""
        return -score if self.minimize else score

    def better(self, score: float, other: float) -> bool:
        """Whether a score beats another."""
        return self.utility(score) > self.utility(other)

    def reaches(self, score: float, target: float | None) -> bool:
        """Whether a score is at least as good as a target; nothing reaches None."""
        return target is not None and self.utility(score) >= self.utility(target)

    def allows(self, score: float) -> bool:
        """Whether there can be such a score."""
        above = self.low is None or score >= self.low
        return math.isfinite(score) and above and (self.high is None or score <= self.high)

    def rounded(self, score: float) -> float:
        """The bound, for a score that passes it by no more than single precision does; else the score."""
        if self.allows(score):
            return score
        near = (bound for bound in (self.low, self.high) if bound is not None)
        return next((bound for bound in near if math.isclose(score, bound, rel_tol=1e-6, abs_tol=1e-6)), score)

    @property
    def ceiling(self) -> float:
        """The highest utility there can be; inf without a bound on that side."""
        bound = self.low if self.minimize else self.high
        return math.inf if bound is None else self.utility(bound)

    @property
    def span(self) -> float | None:
        """How far the bounds lie apart; None without both."""
        return None if self.low is None or self.high is None else self.high - self.low

    @property
    def is_share(self) -> bool:
        """Whether it is a share of something, which people read in percent."""
        return (self.low, self.high) == (0.0, 1.0)

    def to_dict(self) -> dict[str, Any]:
        """For JSON and TOML: without what is None."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> Metric:
        """From what `to_dict` gave."""
        return cls(**table)


ACCURACY = Metric(low=0.0, high=1.0)
"""What a training is taken to measure unless it says otherwise."""


def wilson(share: float, count: float, z: float = 1.959964) -> tuple[float, float]:
    """How sure a share of `count` things is: its 95 % interval, in [0, 1].

    (p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n), with p the share (Wilson, 1927).

    Args:
        share: In [0, 1]: 0.975 if 39 of 40 images are right.
        count: n, above 0; no whole number where shares of groups were averaged.
        z: Standard deviations to each side.
    """
    spread = z * z / count
    half = z * math.sqrt(share * (1 - share) / count + spread / (4 * count))
    low, high = ((share + spread / 2 + side * half) / (1 + spread) for side in (-1, 1))
    return min(max(0.0, low), share), max(min(1.0, high), share)
