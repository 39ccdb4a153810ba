"""The budget: a ceiling in joules, and perhaps one in grams of CO2e; what is kept back of it, set aside, and left."""

from __future__ import annotations

import math

from ecoml.ledger.accounts.metered import MeteredAccount
from ecoml.ledger.accounts.reported import ReportedAccount
from ecoml.ledger.hosts import HostAccounts
from ecoml.ledger.reservations import Reservations

CLOSING_SHARE = 0.25
"""At most this share of the budget is kept back for testing the front and closing down."""


class Budget:
    """What may be spent.

    Args:
        account: What this host has spent.
        hosts: What other hosts have spent.
        total_j: The ceiling on everything.
        total_g: The ceiling on CO2e, in grams; None: there is none.
        ample: Whether a step is given more than its forecast, as one that is made far away.
        tried: Whether any step was ever made.

    Attributes:
        total_j: The ceiling on everything.
        reservations: What is set aside for steps under way.
        closing_j: Kept back for testing the front and closing down.
        overpromised_j: The most by which what was spent, or might be, exceeded the budget at any commit.
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
        self.reservations = Reservations(total_j, lambda: self.left_j, hosts.of_step_j, ample=ample, tried=tried)
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
        """Whether it is the ceiling on CO2e that leaves no more."""
        return self._account.co2e.left_j < self._account.limit_j - self.spent_j

    def keep_back(self, closing_j: float) -> None:
        """Keep joules back for the end: those of testing, and a second at the highest power seen."""
        closing_j += self._account.power_w
        self.closing_j = min(closing_j, CLOSING_SHARE * self.total_j)
        self._account.limit_j = self.total_j - self.closing_j
        co2e = self._account.co2e
        co2e.limit_g = self._total_g - min(co2e.of_joules(closing_j), CLOSING_SHARE * self._total_g)

    def check_promises(self) -> None:
        """Note by how much what is spent and all that may still be spent exceed the ceiling."""
        promised_j = self.spent_j + self.reservations.total_j + self._hosts.unseen_j + self.closing_j
        self.overpromised_j = max(self.overpromised_j, promised_j - self.total_j)
