"""A worker's view of the ledger."""

from __future__ import annotations

from ecoml.energy import Purpose
from ecoml.errors import BudgetExhausted
from ecoml.ledger.accounts.metered import MeteredAccount
from ecoml.ledger.accounts.reported import ReportedAccount


class WorkerAccount:
    """One worker's account; implements `ecoml.training.base.Account`.

    Args:
        account: The search's account.
        worker: Its number; None: the only one.

    Attributes:
        recalled: Whether `check_budget` raises, whatever is left.
    """

    def __init__(self, account: MeteredAccount | ReportedAccount, worker: int | None) -> None:
        self.recalled = False
        self._account = account
        self._worker = worker

    def check_budget(self) -> None:
        """Raise `BudgetExhausted` if nothing is left, or if the worker is recalled."""
        if self.recalled:
            raise BudgetExhausted
        self._account.check_budget(self._worker)

    def enter(self, purpose: Purpose, trial: int | None = None) -> None:
        """Count the joules of this worker as `purpose` from now on; without a trial, for the running one."""
        self._account.enter(purpose, trial, self._worker)
