"""The source of a grid's carbon intensity: a number, a table, or a provider.

    250                      stated: the same at every time
    grid.csv                 table: each row holds from its time to the next row's
    electricitymaps:DE       provider: asked with the user's own key, once an hour at most (`providers.py`)

Intensities are grams of CO2e per kWh of electricity; times are Unix seconds.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from enum import StrEnum
from itertools import pairwise
from statistics import median_low
from typing import Protocol

from ecoml.errors import UsageError

HIGHEST_G_PER_KWH = 3000.0
"""Upper bound of a valid intensity: the dirtiest coal plants emit about half of it."""

HOUR_S = 3600.0

Stretch = tuple[float, float, float]
"""Start, end, and the intensity between them."""


class GridProvenance(StrEnum):
    """The source of an intensity, strongest first."""

    PROVIDER = "provider"  # of the hour, by who watches the grid
    TABLE = "table"  # of the hour, from a file
    STATED = "stated"  # one number for all hours

    @property
    def rank(self) -> int:
        """0 for the strongest."""
        return list(GridProvenance).index(self)


class Grid(Protocol):
    """The intensity of a grid over time. `at` never waits."""

    spec: str
    """The user's argument, for `run.toml`."""
    provenance: GridProvenance

    @property
    def name(self) -> str:
        """Its name for people."""

    @property
    def varies(self) -> bool:
        """Whether the intensity varies, so that waiting can help."""

    def at(self, at_s: float) -> float:
        """The intensity at a time; outside the known times, that of the nearest known time."""

    def knows(self, at_s: float) -> bool:
        """Whether a time is within the known times."""

    def course(self, from_s: float, until_s: float) -> list[Stretch]:
        """The known or predicted intensities of a time span; empty if there are none."""

    def start(self) -> None:
        """Start to follow the grid; a provider is asked for the first time.

        Raises:
            UsageError: The current intensity is not known.
        """

    def news(self) -> list[str]:
        """The errors since the last call, one sentence each."""

    def close(self) -> None:
        """Stop following the grid. May be called twice."""


class Stated:
    """One intensity for all hours.

    Raises:
        UsageError: The number cannot be an intensity.
    """

    provenance = GridProvenance.STATED
    varies = False

    def __init__(self, g_per_kwh: float) -> None:
        self.g_per_kwh = check_intensity(g_per_kwh)
        self.spec = f"{self.g_per_kwh:g}"
        self.name = f"{self.g_per_kwh:g} g/kWh"

    def at(self, at_s: float) -> float:  # noqa: ARG002 - as every grid's
        """The intensity, the same at every time."""
        return self.g_per_kwh

    def knows(self, at_s: float) -> bool:  # noqa: ARG002 - as every grid's
        """True for every time."""
        return True

    def course(self, from_s: float, until_s: float) -> list[Stretch]:
        """A single stretch."""
        return [(from_s, until_s, self.g_per_kwh)]

    def start(self) -> None:
        """Do nothing."""

    def news(self) -> list[str]:
        """Nothing."""
        return []

    def close(self) -> None:
        """Do nothing."""


class Series:
    """Intensities at ascending times; each holds until the next.

    Args:
        times_s: The start of each.
        values: The intensities.

    The last one holds for the median of the steps, so that one gap or one odd row does not change its length; a single
    row holds for an hour.
    """

    def __init__(self, times_s: Sequence[float], values: Sequence[float]) -> None:
        self.times_s = tuple(times_s)
        self.values = tuple(values)
        steps_s = [after - before for before, after in pairwise(self.times_s)]
        self.end_s = self.times_s[-1] + (median_low(steps_s) if steps_s else HOUR_S)

    def at(self, at_s: float) -> float:
        """The value at a time, or that of the nearest time."""
        return self.values[max(0, bisect_right(self.times_s, at_s) - 1)]

    def course(self, from_s: float, until_s: float) -> list[Stretch]:
        """Its stretches within a time span."""
        ends_s = (*self.times_s[1:], self.end_s)
        cut = (
            (max(from_s, begin_s), min(until_s, end_s), value)
            for begin_s, end_s, value in zip(self.times_s, ends_s, self.values, strict=True)
        )
        return [stretch for stretch in cut if stretch[0] < stretch[1]]


def check_intensity(g_per_kwh: float, *, least: float = 1e-9) -> float:
    """Check an intensity.

    Raises:
        UsageError: It is not a positive number, or more than any grid emits.
    """
    if not (math.isfinite(g_per_kwh) and least <= g_per_kwh <= HIGHEST_G_PER_KWH):
        raise UsageError(
            f"the grid intensity is {g_per_kwh:g} g/kWh; give grams of CO2e per kWh in (0, {HIGHEST_G_PER_KWH:.0f}], as"
            " your grid's operator publishes them"
        )
    return float(g_per_kwh)
