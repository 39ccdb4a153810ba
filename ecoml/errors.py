"""Everything ecoml raises on purpose.

    EcomlError
    ├── UsageError            the caller's mistake: one line that says what, where and the way out (exit code 2)
    │   ├── SpaceError        a search space that cannot be used
    │   ├── DataError         a data set that cannot be used
    │   ├── RunFolderError    a run folder that is missing, foreign, newer, or already there
    │   ├── RunLockedError    a run folder that another process is writing
    │   ├── BudgetError       a budget that is not a positive number, or too small for one trial
    │   ├── LibraryError      a library that this needs is not installed
    │   └── MeterError        no energy source of the kind that was required
    └── SearchFailed          the search could not go on, although it was asked for properly (exit code 1)
        ├── TrainingError     the training function did something no search can learn from
        └── StorageError      the run folder cannot be written any more

`BudgetExhausted` is not an error but a signal: an executor's `check_budget()` and `ecoml.energy_budget` raise it when
the joules are spent.
`HostLost` is another: the host on which a trial was trained is gone, and the trial with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class EcomlError(Exception):
    """Base of all errors raised on purpose.

    Attributes:
        spent_j: Joules that were spent before the error, 0.0 where nothing had run.
    """

    def __init__(self, message: str, *, spent_j: float = 0.0) -> None:
        super().__init__(message)
        self.spent_j = spent_j


class UsageError(EcomlError):
    """The caller's mistake."""


class SpaceError(UsageError):
    """A search space that cannot be used."""


class DataError(UsageError):
    """A data set that cannot be used."""


class RunFolderError(UsageError):
    """A run folder that is missing, foreign, newer, or already there."""


class RunLockedError(UsageError):
    """A run folder that another process is writing."""


class BudgetError(UsageError):
    """A budget that is not a positive number, or too small for one trial."""


class LibraryError(UsageError):
    """A library that this needs is not installed."""


class MeterError(UsageError):
    """No energy source of the kind that was required."""


class SearchFailed(EcomlError):  # noqa: N818 - it names what happened, not a mistake
    """The search could not go on."""


class TrainingError(SearchFailed):
    """The training function did something no search can learn from."""


class StorageError(SearchFailed):
    """What a search must keep cannot be written any more (a full disk)."""


class BudgetExhausted(Exception):  # noqa: N818 - a signal between ledger and executor, not an error
    """The energy budget is spent; raised by `Account.check_budget` between two batches, and in `energy_budget`."""


class HostLost(ConnectionError):  # noqa: N818 - a signal between the hosts and the loop, not an error
    """The host that trained a trial is gone.

    Attributes:
        host: Its name.
    """

    def __init__(self, host: str) -> None:
        super().__init__(f"host {host} is gone")
        self.host = host


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`did you mean 'random'?`, or which names there are."""
    known = list(known)
    close = get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"


def in_one_line(error: BaseException) -> str:
    """Its class and what it says, at most 300 characters."""
    try:
        text = " ".join(str(error).split())
    except Exception as broken:
        text = f"its message cannot be shown ({type(broken).__name__})"
    return f"{type(error).__name__}: {text}"[:300] if text else type(error).__name__
