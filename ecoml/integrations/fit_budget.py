"""What the callbacks for trainers share: an energy budget, opened and closed with each fit, that stops it once."""

from __future__ import annotations

import logging

from ecoml.budget import EnergyBudget, energy_budget
from ecoml.format import describe_spent
from ecoml.meter.base import Meter

log = logging.getLogger("ecoml")


class FitBudget:
    """Stops a fit at its energy budget, and logs joules.

    Args:
        kwh: The budget in kWh, of each fit; evaluation during it is included.
        j: The same in joules; give one of the two.
        meter: A meter of one's own; by default that of this host.

    Raises:
        BudgetError: None or both are given, or no positive number.

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
        """Whether the fit is to be stopped now; says so, unless it is stopped already."""
        if stopped or not self.budget.exhausted:
            return False
        log.info("the energy budget is spent: %s", describe_spent(self.budget.energy, self.budget.budget_j))
        return True

    def _end(self) -> None:
        """May be called twice."""
        if self._opened:
            self._opened = False
            self.budget.__exit__(None, None, None)

    def _new_budget(self) -> EnergyBudget:
        kwh, j, meter = self._given
        return energy_budget(kwh, j=j, hard=False, meter=meter)
