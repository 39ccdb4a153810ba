"""What is set aside for the steps that are under way, so that all of them together fit into the budget."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

AMPLE = 3.0
"""A step on another host may take so many times its forecast before the host has to ask for more."""

UNKNOWN_SHARE = 0.1
"""Of what is left, for a step on another host of which nothing is known."""

ROUNDING = 1e-9
"""Ten steps of a tenth of the budget fit into it, although their sum in floating point may not."""


class Reservations:
    """Joules set aside, by trial.

    Args:
        budget_j: The ceiling on everything.
        left_j: Gives what is left of it for steps.
        charged_j: What each trial's step under way has been charged already; it changes.
        ample: Whether a step is given more than its forecast, as one that is made far away.
        tried: Whether any step was ever made: the very first of a search always is.
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
        """What is set aside and not charged yet."""
        return self._open_j(None)

    def open_j(self, trial: int) -> float:
        """What is set aside for a trial's step and not charged yet."""
        return max(0.0, self._held_j.get(trial, 0.0) - self._charged_j.get(trial, 0.0))

    def allowance_j(self, trial: int) -> float:
        """What a trial's step may take."""
        return self._held_j[trial]

    def fits(self, forecast_j: float, trial: int | None = None) -> bool:
        """Whether a step fits beside those of other trials."""
        free_j = self._free_j(trial)
        return not self._tried or (free_j > ROUNDING * self._budget_j and forecast_j <= free_j * (1 + ROUNDING))

    def reserve(self, trial: int, forecast_j: float) -> bool:
        """Set joules aside for a trial's next step; False, and nothing is set aside, if they are not there."""
        if not self.fits(forecast_j, trial):
            return False
        self._tried = True
        self._held_j[trial] = forecast_j
        if self._ample:
            wanted_j = AMPLE * forecast_j or UNKNOWN_SHARE * self._left_j()
            self._held_j[trial] = max(forecast_j, min(wanted_j, self._free_j(trial)))
        return True

    def allow_more(self, trial: int) -> float:
        """Set as much again aside for a step that has used up what it had, if it is there; all that it may take."""
        more_j = min(self._held_j[trial] or UNKNOWN_SHARE * self._left_j(), self._free_j(trial))
        if more_j > ROUNDING * self._budget_j:
            self._held_j[trial] += more_j
        return self._held_j[trial]

    def release(self, trial: int) -> None:
        """Nothing of a trial is under way."""
        self._held_j.pop(trial, None)

    def clear(self) -> None:
        """Nothing is under way."""
        self._held_j.clear()

    def _free_j(self, trial: int | None) -> float:
        """What is left beside the steps of other trials."""
        return self._left_j() - self._open_j(trial)

    def _open_j(self, trial: int | None) -> float:
        """What is open of all other trials."""
        charged_j = self._charged_j.get
        held = self._held_j.items()
        return math.fsum(max(0.0, held_j - charged_j(other, 0.0)) for other, held_j in held if other != trial)
