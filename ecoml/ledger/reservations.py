"""Reservations for running steps, so that all of them together fit into the budget."""

from __future__ import annotations

from collections.abc import Callable

from ecoml.ledger.open_steps import OpenSteps

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
        steps: The steps under way, with the joules already charged to each.
        ample: Whether a step gets more than its forecast, as on another host.
        tried: Whether any step was ever made: the first step of a search is always made.
    """

    def __init__(
        self,
        budget_j: float,
        left_j: Callable[[], float],
        steps: OpenSteps,
        *,
        ample: bool,
        tried: bool,
    ) -> None:
        self._budget_j = budget_j
        self._left_j = left_j
        self._steps = steps
        self._ample = ample
        self._tried = tried

    @property
    def total_j(self) -> float:
        """Joules that are reserved and not charged yet."""
        return self._steps.total_j()

    def open_j(self, trial: int) -> float:
        """Joules that are reserved for a trial's step and not charged yet."""
        return self._steps.open_j(trial)

    def allowance_j(self, trial: int) -> float:
        """Joules that a trial's step may take."""
        return self._steps.held_j[trial]

    def fits(self, forecast_j: float, trial: int | None = None) -> bool:
        """Whether a step fits in addition to those of other trials."""
        free_j = self._free_j(trial)
        return not self._tried or (free_j > ROUNDING * self._budget_j and forecast_j <= free_j * (1 + ROUNDING))

    def reserve(self, trial: int, forecast_j: float) -> bool:
        """Reserve joules for a trial's next step; False, without a reservation, if they do not fit."""
        if not self.fits(forecast_j, trial):
            return False
        self._tried = True
        held_j = forecast_j
        if self._ample:
            wanted_j = AMPLE * forecast_j or UNKNOWN_SHARE * self._left_j()
            held_j = max(forecast_j, min(wanted_j, self._free_j(trial)))
        self._steps.hold(trial, held_j)
        return True

    def allow_more(self, trial: int) -> float:
        """Reserve as much again for a step that has used its reservation, if possible; returns all joules that it may
        take.
        """
        held_j = self._steps.held_j[trial]
        more_j = min(held_j or UNKNOWN_SHARE * self._left_j(), self._free_j(trial))
        if more_j > ROUNDING * self._budget_j:
            self._steps.hold(trial, held_j + more_j)
        return self._steps.held_j[trial]

    def release(self, trial: int) -> None:
        """The trial has no running step."""
        self._steps.release(trial)

    def clear(self) -> None:
        """There are no running steps."""
        for trial in list(self._steps.held_j):
            self._steps.release(trial)

    def _free_j(self, trial: int | None) -> float:
        """Joules left in addition to the steps of other trials."""
        return self._left_j() - self._steps.total_j(without=trial)
