"""What a grid's carbon intensity is known from: a number, a table, or a provider.

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
"""No grid is worse: the dirtiest coal plants emit about half of it."""

HOUR_S = 3600.0

Stretch = tuple[float, float, float]
"""From when, until when, and the intensity meanwhile."""


class GridProvenance(StrEnum):
    """Where an intensity comes from, strongest first."""

    PROVIDER = "provider"  # of the hour, by who watches the grid
    TABLE = "table"  # of the hour, from a file
    STATED = "stated"  # one number for all hours

    @property
    def rank(self) -> int:
        """0 for the strongest."""
        return list(GridProvenance).index(self)


class Grid(Protocol):
    """The intensity of a grid over time. `at` answers at once."""

    spec: str
    """As it was given, for `run.toml`."""
    provenance: GridProvenance

    @property
    def name(self) -> str:
        """What it is, for people."""

    @property
    def varies(self) -> bool:
        """Whether there is anything to wait for."""

    def at(self, at_s: float) -> float:
        """The intensity at a time; outside what is known, that of the nearest time that is."""

    def knows(self, at_s: float) -> bool:
        """Whether a time lies within what is known."""

    def course(self, from_s: float, until_s: float) -> list[Stretch]:
        """What is known, or foreseen, of a span of time; empty where that is nothing."""

    def start(self) -> None:
        """Begin to follow the grid; asks, if there is somebody to ask.

        Raises:
            UsageError: Nothing is known of the present.
        """

    def news(self) -> list[str]:
        """What went wrong since the last call, one sentence each."""

    def close(self) -> None:
        """Follow it no more. May be called twice."""


class Stated:
    """One intensity for all hours.

    Raises:
        UsageError: It is no intensity of a grid.
    """

    provenance = GridProvenance.STATED
    varies = False

    def __init__(self, g_per_kwh: float) -> None:
        self.g_per_kwh = check_intensity(g_per_kwh)
        self.spec = f"{self.g_per_kwh:g}"
        self.name = f"{self.g_per_kwh:g} g/kWh"

    def at(self, at_s: float) -> float:  # noqa: ARG002 - as every grid's
        """The same at every time."""
        return self.g_per_kwh

    def knows(self, at_s: float) -> bool:  # noqa: ARG002 - as every grid's
        """Of every time."""
        return True

    def course(self, from_s: float, until_s: float) -> list[Stretch]:
        """One stretch."""
        return [(from_s, until_s, self.g_per_kwh)]

    def start(self) -> None:
        """There is nothing to follow."""

    def news(self) -> list[str]:
        """Nothing goes wrong."""
        return []

    def close(self) -> None:
        """There is nothing to end."""


class Series:
    """Intensities at rising times, each of which holds until the next.

    Args:
        times_s: When each begins to hold.
        values: The intensities.

    The last one holds as long as most do: the median of the steps, so that a hole or an odd row before it changes
    nothing; an hour where it is alone.
    """

    def __init__(self, times_s: Sequence[float], values: Sequence[float]) -> None:
        self.times_s = tuple(times_s)
        self.values = tuple(values)
        steps_s = [after - before for before, after in pairwise(self.times_s)]
        self.end_s = self.times_s[-1] + (median_low(steps_s) if steps_s else HOUR_S)

    def at(self, at_s: float) -> float:
        """The value that holds at a time, or that of the nearest time."""
        return self.values[max(0, bisect_right(self.times_s, at_s) - 1)]

    def course(self, from_s: float, until_s: float) -> list[Stretch]:
        """Its stretches within a span of time."""
        ends_s = (*self.times_s[1:], self.end_s)
        cut = (
            (max(from_s, begin_s), min(until_s, end_s), value)
            for begin_s, end_s, value in zip(self.times_s, ends_s, self.values, strict=True)
        )
        return [stretch for stretch in cut if stretch[0] < stretch[1]]


def check_intensity(g_per_kwh: float, *, least: float = 1e-9) -> float:
    """Refuse what is no intensity of a grid.

    Raises:
        UsageError: Not a positive number, or more than any grid emits.
    """
    if not (math.isfinite(g_per_kwh) and least <= g_per_kwh <= HIGHEST_G_PER_KWH):
        raise UsageError(
            f"the grid intensity is {g_per_kwh:g} g/kWh; give grams of CO2e per kWh in (0, {HIGHEST_G_PER_KWH:.0f}], as"
            " your grid's operator publishes them"
        )
    return float(g_per_kwh)
