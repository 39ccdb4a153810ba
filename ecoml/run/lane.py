"""What the training in one of several lanes sees of the ledger."""

from __future__ import annotations

from collections.abc import Callable

from ecoml.energy import Purpose
from ecoml.errors import BudgetExhausted
from ecoml.run.account import MeteredAccount
from ecoml.run.reported import ReportedAccount


class Lane:
    """One lane's way to the account; fulfils `ecoml.training.base.Account`.

    Args:
        account: Gives the account, which may change with a search's first measurement.
        number: Of the lane.

    Attributes:
        recalled: Whether `check_budget` refuses to go on, whatever is left.
    """

    def __init__(self, account: Callable[[], MeteredAccount | ReportedAccount], number: int) -> None:
        self.recalled = False
        self._account = account
        self._number = number

    def check_budget(self) -> None:
        """Raise `BudgetExhausted` if nothing is left, or the lane is recalled."""
        if self.recalled:
            raise BudgetExhausted
        self._account().check_budget(self._number)

    def enter(self, purpose: Purpose, trial: int | None = None) -> None:
        """From here on the joules of this lane count as `purpose`; without a trial, for the one that runs."""
        self._account().enter(purpose, trial, self._number)
