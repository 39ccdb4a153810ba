"""All errors that ecoml raises on purpose.

EcomlError
├── UsageError            a mistake of the caller: one line that says what, where and the way out (exit code 2)
│   ├── SpaceError        a search space that cannot be used
│   ├── DataError         a data set that cannot be used
│   ├── RunFolderError    a run folder that is missing, not ecoml's, of a newer version, or already there
│   ├── RunLockedError    a run folder to which another process is writing
│   ├── BudgetError       a budget that is not a positive number, or too small for one trial
│   ├── LibraryError      a required library that is not installed
│   └── MeterError        no energy source of the required kind
└── SearchFailed          a correctly started search that could not continue (exit code 1)
    ├── TrainingError     the training function gave something from which no search can learn
    └── StorageError      the run folder can no longer be written

`BudgetExhausted` is a signal and no error: an executor's `check_budget()` and `ecoml.energy_budget` raise it when the
budget is spent. `HostLost` is another signal: the host that trained a trial is lost, and the trial with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class EcomlError(Exception):
    """Base of all errors that ecoml raises on purpose.

    Attributes:
        spent_j: Joules spent before the error; 0.0 if nothing had run.
    """

    def __init__(self, message: str, *, spent_j: float = 0.0) -> None:
        super().__init__(message)
        self.spent_j = spent_j


class UsageError(EcomlError):
    """A mistake of the caller."""


class SpaceError(UsageError):
    """A search space that cannot be used."""


class DataError(UsageError):
    """A data set that cannot be used."""


class RunFolderError(UsageError):
    """A run folder that is missing, not ecoml's, of a newer version, or already there."""


class RunLockedError(UsageError):
    """A run folder to which another process is writing."""


class BudgetError(UsageError):
    """A budget that is not a positive number, or too small for one trial."""


class LibraryError(UsageError):
    """A required library that is not installed."""


class MeterError(UsageError):
    """No energy source of the required kind."""


class SearchFailed(EcomlError):  # noqa: N818 - it names what happened, not a mistake
    """A correctly started search that could not continue."""


class TrainingError(SearchFailed):
    """The training function gave something from which no search can learn."""


class StorageError(SearchFailed):
    """The search can no longer write its files, for example because the disk is full."""


class BudgetExhausted(Exception):  # noqa: N818 - a signal between ledger and executor, not an error
    """The energy budget is spent. `Account.check_budget` raises it between two batches, and `energy_budget` within its
    block.
    """


class OwnBudgetExhausted(BudgetExhausted):
    """The budget of an `energy_budget` is spent, which says nothing about that of a search around it."""


class HostLost(ConnectionError):  # noqa: N818 - a signal between the hosts and the loop, not an error
    """The host that trained a trial is lost.

    Attributes:
        host: Its name.
    """

    def __init__(self, host: str) -> None:
        super().__init__(f"host {host} is gone")
        self.host = host


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`did you mean 'random'?` if a known name is close, else a list of the known names."""
    known = list(known)
    close = get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"


def in_one_line(error: BaseException) -> str:
    """The class and the message of an error, at most 300 characters."""
    try:
        text = " ".join(str(error).split())
    except Exception as broken:
        text = f"its message cannot be shown ({type(broken).__name__})"
    return f"{type(error).__name__}: {text}"[:300] if text else type(error).__name__
