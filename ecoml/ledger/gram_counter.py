"""The grams of CO2e of an account's joules, each with the grid's intensity at its time."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping

from ecoml.carbon.footprint import Grams
from ecoml.carbon.grid import Grid
from ecoml.energy import J_PER_KWH, co2e_g
from ecoml.ledger.accounts.sharing import Activity

log = logging.getLogger("ecoml")

_CLEANEST_G_PER_KWH = 0.1
"""Joules that the budget allows while the grid emits nothing at all for an hour."""


class GramCounter:
    """Grams of CO2e so far. Thread-safe: the heartbeat adds grams, and so do reports of other hosts.

    Args:
        grid: The grid's intensity; None: unknown, so there are no grams.
        spent_g: Grams of earlier sessions.
        clock: Returns Unix seconds.

    Attributes:
        spent_g: Grams since the search started.
        limit_g: The largest grams that may be spent.
    """

    def __init__(self, grid: Grid | None = None, spent_g: float = 0.0, clock: Callable[[], float] = time.time) -> None:
        self.spent_g = spent_g
        self.limit_g = math.inf
        self._grid = grid
        self._clock = clock
        self._lock = threading.Lock()

    @property
    def left_j(self) -> float:
        """Joules up to the limit, at the current intensity."""
        if self._grid is None or self.limit_g == math.inf:
            return math.inf
        left_g = self.limit_g - self.spent_g
        return left_g / max(_CLEANEST_G_PER_KWH, self._grid.at(self._clock())) * J_PER_KWH

    def add(self, energy_j: float) -> float:
        """Add joules that were spent just now; returns their intensity in g/kWh."""
        if self._grid is None:
            return 0.0
        g_per_kwh = self._grid.at(self._clock())
        with self._lock:
            self.spent_g += co2e_g(energy_j, g_per_kwh)
        return g_per_kwh

    def of_joules(self, energy_j: float) -> float:
        """Grams of these joules at the current intensity."""
        return 0.0 if self._grid is None else co2e_g(energy_j, self._grid.at(self._clock()))

    def figure(self, grams: float) -> Grams | None:
        """Grams with the provenance of their intensity; None if there are none."""
        return None if self._grid is None else Grams(grams, self._grid.provenance)

    def of(self, grams: Mapping[Activity, float]) -> dict[Activity, Grams]:
        """These figures, by purpose and trial."""
        if self._grid is None:
            return {}
        return {activity: Grams(value, self._grid.provenance) for activity, value in grams.items()}

    def news(self) -> list[str]:
        """Errors of the grid's source since the last call; each is also logged at once."""
        news = [] if self._grid is None else self._grid.news()
        for sentence in news:
            log.warning(sentence)
        return news
