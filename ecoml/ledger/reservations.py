"""Reservations for running steps, so that all of them together fit into the budget."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

AMPLE = 3.0
"""A step on another host may take this many times its forecast before the host must ask for more."""

UNKNOWN_SHARE = 0.1
"""Share of the rest of the budget for a step on another host if nothing is known."""

ROUNDING = 1e-9
"""Tolerance: ten steps of a tenth of the budget fit into it, although their sum in floating point may not."""


class Reservations:
    """Reserved joules, by trial.

    Args:
        budget_j: The energy budget.
        left_j: Returns the joules left for steps.
        charged_j: Joules already charged to each trial's running step; it changes.
        ample: Whether a step gets more than its forecast, as on another host.
        tried: Whether any step was ever made: the first step of a search is always made.
    """

    def __init__(
        self,
        budget_j: float,
        left_j: Callable[[], float],
        charged_j: Mapping[int, float],
        *,
        ample: bool,
        tried: bool,
    ) -> None:
        self._budget_j = budget_j
        self._left_j = left_j
        self._charged_j = charged_j
        self._ample = ample
        self._tried = tried
        self._held_j: dict[int, float] = {}

    @property
    def total_j(self) -> float:
        """Joules that are reserved and not charged yet."""
        return self._open_j(None)

    def open_j(self, trial: int) -> float:
        """Joules that are reserved for a trial's step and not charged yet."""
        return max(0.0, self._held_j.get(trial, 0.0) - self._charged_j.get(trial, 0.0))

    def allowance_j(self, trial: int) -> float:
        """Joules that a trial's step may take."""
        return self._held_j[trial]

    def fits(self, forecast_j: float, trial: int | None = None) -> bool:
        """Whether a step fits in addition to those of other trials."""
        free_j = self._free_j(trial)
        return not self._tried or (free_j > ROUNDING * self._budget_j and forecast_j <= free_j * (1 + ROUNDING))

    def reserve(self, trial: int, forecast_j: float) -> bool:
        """Reserve joules for a trial's next step; False, without a reservation, if they do not fit."""
        if not self.fits(forecast_j, trial):
            return False
        self._tried = True
        self._held_j[trial] = forecast_j
        if self._ample:
            wanted_j = AMPLE * forecast_j or UNKNOWN_SHARE * self._left_j()
            self._held_j[trial] = max(forecast_j, min(wanted_j, self._free_j(trial)))
        return True

    def allow_more(self, trial: int) -> float:
        """Reserve as much again for a step that has used its reservation, if possible; returns all joules that it may
        take.
        """
        more_j = min(self._held_j[trial] or UNKNOWN_SHARE * self._left_j(), self._free_j(trial))
        if more_j > ROUNDING * self._budget_j:
            self._held_j[trial] += more_j
        return self._held_j[trial]

    def release(self, trial: int) -> None:
        """The trial has no running step."""
        self._held_j.pop(trial, None)

    def clear(self) -> None:
        """There are no running steps."""
        self._held_j.clear()

    def _free_j(self, trial: int | None) -> float:
        """Joules left in addition to the steps of other trials."""
        return self._left_j() - self._open_j(trial)

    def _open_j(self, trial: int | None) -> float:
        """Open reservations of all other trials."""
        charged_j = self._charged_j.get
        held = self._held_j.items()
        return math.fsum(max(0.0, held_j - charged_j(other, 0.0)) for other, held_j in held if other != trial)
