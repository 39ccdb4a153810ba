"""The contract of a training executor.

An executor starts a trial and hands back a run: an iterator of measurements that can be advanced, left alone for as
long as one likes, advanced again, and closed. A suspended run is a frozen trial.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from ecoml.energy import Purpose
from ecoml.space import Space
from ecoml.trial import Config, Measurement, Trial


class Account(Protocol):
    """What an executor sees of the ledger."""

    def check_budget(self) -> None:
        """Call between two batches; costs microseconds.

        Raises:
            BudgetExhausted: The joules are spent. Let it pass: the searcher charges and closes the trial.
        """

    def enter(self, purpose: Purpose) -> None:
        """From here on joules count as `purpose`. Finish the device's queued work before calling it."""


class Run(Protocol):
    """One trial's training, advanced measurement by measurement."""

    def __next__(self) -> Measurement:
        """Train up to the next measurement.

        Raises:
            StopIteration: The training has come to its end.
            BudgetExhausted: From `Account.check_budget`.
            Exception: Anything else makes the trial fail with its joules charged.
        """

    def close(self) -> None:
        """Free what the run holds. May be called at any time, and twice."""


@runtime_checkable
class Executor(Protocol):
    """What trains."""

    def prepare(self, space: Space) -> None:
        """Check and load what every trial needs (data, device), once, before the run folder is made.

        Raises:
            UsageError: Something the user named cannot be used: data, a device, a parameter of the space.
        """

    def start(self, trial: Trial, account: Account) -> Run:
        """A run of `trial.config`, not yet advanced."""

    def describe(self) -> Mapping[str, Any]:
        """What `run.toml` keeps, enough to build this executor again: `{"kind": …, …}`, TOML values only."""


class Floor(Protocol):
    """What the least energy of a trial is computed from."""

    def to_dict(self) -> dict[str, Any]:
        """For `run.toml`."""


@runtime_checkable
class Floored(Protocol):
    """An executor that knows the arithmetic of its trials."""

    def floor(self) -> Floor | None:
        """What the least energy of a trial is computed from, once `prepare` was called; None if it is not known."""


@runtime_checkable
class OnGpus(Protocol):
    """An executor that knows which GPUs it trains on, so that others are left out of the account."""

    def gpus(self) -> Collection[int]:
        """CUDA's numbers of them, in this process; none if it trains on the CPU. Known before `prepare`."""


class Part(Protocol):
    """One GPU of an executor; one trial at a time is trained on it.

    All of this is called by one thread; the runs of different parts are advanced by threads of their own at once.
    """

    def start(self, trial: Trial, account: Account) -> Run:
        """A run of `trial.config` on this device, not yet advanced."""

    def leave(self, run: Run) -> None:
        """A run on this device is suspended: bring it to where any part can go on with it."""

    def take_over(self, run: Run, account: Account) -> None:
        """Go on with a run on this device, on whichever it was left."""


@runtime_checkable
class Divided(Protocol):
    """An executor that may train on several GPUs at once, a trial on each."""

    def gpus(self) -> Sequence[int]:
        """As in `OnGpus`."""

    def parts(self) -> Sequence[Part]:
        """One for each of `gpus()`, in their order, once `prepare` was called; none if one trial is trained at a time.

        Their runs look at the account they were started with, or taken over with last.
        """


@runtime_checkable
class Sized(Protocol):
    """An executor that knows how large a network will be before it is trained."""

    def parameters(self, config: Config) -> int:
        """Trainable numbers of the network that `config` describes. Fast; called after `prepare`."""


@runtime_checkable
class Tested(Protocol):
    """An executor whose models can be kept, and that holds back a test set."""

    test_cost: float
    """Energy of one pass over the test set, as a multiple of one validation pass."""

    def save(self, run: Run, trial: Trial, path: Path) -> None:
        """Write the run's present weights to `path` (safetensors), with what is needed to rebuild the model."""

    def test(self, path: Path) -> float:
        """Test accuracy in [0, 1] of the model saved at `path`."""
