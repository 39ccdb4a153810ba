"""The common part of the callbacks for trainers: an energy budget for each fit, which stops it once."""

from __future__ import annotations

import logging

from ecoml.budget import EnergyBudget, energy_budget
from ecoml.format import describe_spent
from ecoml.meter.base import Meter

log = logging.getLogger("ecoml")


class FitBudget:
    """Stops a fit at its energy budget, and logs joules.

    Args:
        kwh: The budget of each fit in kWh; it includes evaluation during the fit.
        j: The budget in joules; give one of the two.
        meter: Your own meter; default: this host's.

    Raises:
        BudgetError: None or both are given, or the value is not a positive number.

    Attributes:
        budget: The budget, with `spent_j`, `remaining_j` and `energy`.
    """

    def __init__(self, kwh: float | None = None, *, j: float | None = None, meter: Meter | None = None) -> None:
        super().__init__()
        self._given = kwh, j, meter
        self._opened = False
        self.budget = self._new_budget()

    def _begin(self) -> None:
        self.budget, self._opened = self._new_budget().__enter__(), True

    def _stops(self, stopped: bool) -> bool:
        """Whether to stop the fit now; logs this, unless the fit is already stopped."""
        if stopped or not self.budget.exhausted:
            return False
        log.info("the energy budget is spent: %s", describe_spent(self.budget.energy, self.budget.budget_j))
        return True

    def _end(self) -> None:
        """Close the budget. May be called twice."""
        if self._opened:
            self._opened = False
            self.budget.__exit__(None, None, None)

    def _new_budget(self) -> EnergyBudget:
        kwh, j, meter = self._given
        return energy_budget(kwh, j=j, hard=False, meter=meter)
