"""The budget: a limit in joules, optionally one in grams of CO2e; reservations, the reserve for the end, and the
rest.
"""

from __future__ import annotations

import math

from ecoml.ledger.accounts.metered import MeteredAccount
from ecoml.ledger.accounts.reported import ReportedAccount
from ecoml.ledger.hosts import HostAccounts

CLOSING_SHARE = 0.25
"""Largest share of the budget that is reserved for testing the front and closing."""

AMPLE = 3.0
"""A step on another host may take this many times its forecast before the host must ask for more."""

UNKNOWN_SHARE = 0.1
"""Share of the rest of the budget for a step on another host if nothing is known."""

ROUNDING = 1e-9
"""Tolerance: ten steps of a tenth of the budget fit into it, although their sum in floating point may not."""


class Budget:
    """The energy that may be spent.

    Args:
        account: The energy spent on this host.
        hosts: The energy spent on other hosts.
        total_j: The energy budget.
        total_g: The CO2e budget, in grams; None: there is none.
        ample: Whether a step gets more than its forecast, as on another host.
        tried: Whether any step was ever made: the first step of a search is always made.

    Attributes:
        total_j: The energy budget.
        steps: The steps under way: the joules reserved for each and charged to each.
        closing_j: Joules reserved for testing the front and closing.
        overpromised_j: The largest excess over the budget, at any commit, of the energy that was or might be spent.
    """

    def __init__(
        self,
        account: MeteredAccount | ReportedAccount,
        hosts: HostAccounts,
        total_j: float,
        total_g: float | None,
        *,
        ample: bool,
        tried: bool,
    ) -> None:
        self.total_j = total_j
        self.closing_j = 0.0
        self.overpromised_j = 0.0
        self.steps = hosts.steps
        self._ample = ample
        self._tried = tried
        self._account = account
        self._hosts = hosts
        self._total_g = math.inf if total_g is None else total_g
        self.keep_back(0.0)

    @property
    def spent_j(self) -> float:
        """Joules spent so far."""
        return self._account.spent_j + self._hosts.spent_j

    @property
    def left_j(self) -> float:
        """Joules that steps may still take."""
        return min(self._account.limit_j - self.spent_j, self._account.co2e.left_j) - self._hosts.unseen_j

    @property
    def left_by_co2e(self) -> bool:
        """Whether the CO2e budget is the one that is spent."""
        return self._account.co2e.left_j < self._account.limit_j - self.spent_j

    def keep_back(self, closing_j: float) -> None:
        """Reserve joules for the end: those of testing, and a second at the highest power so far."""
        closing_j += self._account.power_w
        self.closing_j = min(closing_j, CLOSING_SHARE * self.total_j)
        self._account.limit_j = self.total_j - self.closing_j
        co2e = self._account.co2e
        co2e.limit_g = self._total_g - min(co2e.of_joules(closing_j), CLOSING_SHARE * self._total_g)

    def fits(self, forecast_j: float, trial: int | None = None) -> bool:
        """Whether a step fits in addition to those of other trials."""
        free_j = self._free_j(trial)
        return not self._tried or (free_j > ROUNDING * self.total_j and forecast_j <= free_j * (1 + ROUNDING))

    def reserve(self, trial: int, forecast_j: float) -> bool:
        """Reserve joules for a trial's next step; False, without a reservation, if they do not fit."""
        if not self.fits(forecast_j, trial):
            return False
        self._tried = True
        held_j = forecast_j
        if self._ample:
            wanted_j = AMPLE * forecast_j or UNKNOWN_SHARE * self.left_j
            held_j = max(forecast_j, min(wanted_j, self._free_j(trial)))
        self.steps.hold(trial, held_j)
        return True

    def allow_more(self, trial: int) -> float:
        """Reserve as much again for a step that has used its reservation, if possible; returns all joules that it may
        take.
        """
        held_j = self.steps.held_j[trial]
        more_j = min(held_j or UNKNOWN_SHARE * self.left_j, self._free_j(trial))
        if more_j > ROUNDING * self.total_j:
            self.steps.hold(trial, held_j + more_j)
        return self.steps.held_j[trial]

    def check_promises(self) -> None:
        """Record by how much the energy spent and all that may still be spent exceed the budget."""
        promised_j = self.spent_j + self.steps.total_j() + self._hosts.unseen_j + self.closing_j
        self.overpromised_j = max(self.overpromised_j, promised_j - self.total_j)

    def _free_j(self, trial: int | None) -> float:
        """Joules left in addition to the steps of other trials."""
        return self.left_j - self.steps.total_j(without=trial)
