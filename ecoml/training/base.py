"""The contract of a training executor.

An executor starts a trial and hands back a run: an iterator of measurements that can be advanced, left alone for as
long as one likes, advanced again, and closed. A suspended run is a frozen trial.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from ecoml.energy import Purpose
from ecoml.meter.base import Window
from ecoml.metric import Metric
from ecoml.space import Space
from ecoml.trial import Config, Measurement, Trial, Usage


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
class Saving(Protocol):
    """A run that saves its own weights, as one on another host does."""

    def save(self, path: Path) -> None:
        """As `Tested.save`."""


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


@runtime_checkable
class Declares(Protocol):
    """An executor that says what it measures; without this it is a validation accuracy."""

    metric: Metric
    """What its scores are, and what a step is called."""


@runtime_checkable
class Lasting(Protocol):
    """An executor that knows how long its trials are."""

    def steps(self, config: Config) -> int:
        """Measurements of a whole training of `config`. Fast; called after `prepare`."""


@runtime_checkable
class Floored(Protocol):
    """An executor that knows the arithmetic of its trials."""

    def floor_j(self, config: Config, step: int) -> float | None:
        """The least joules of a trial's first `step` steps on its device; None if that is not known.

        Called after `prepare`, once a step; fast.
        """


@runtime_checkable
class Hinted(Protocol):
    """An executor that can tell beforehand, up to a factor, what a step of a configuration takes."""

    @property
    def cost_hint(self) -> Callable[[Config], float] | None:
        """Gives a positive number, about proportional to a step's joules; None where nothing is known better than what
        the search learns by itself. Asked for after `prepare`; the function is fast."""


@runtime_checkable
class GetsReady(Protocol):
    """An executor whose `prepare` takes much energy on a GPU, at least the first time."""

    @property
    def ready(self) -> bool:
        """Whether that is done, so that `prepare` takes next to nothing."""


@runtime_checkable
class OnGpus(Protocol):
    """An executor that knows which GPUs it trains on, so that others are left out of the account."""

    def gpus(self) -> Collection[int]:
        """CUDA's numbers of them, in this process; none if it trains on the CPU. Known before `prepare`."""


@runtime_checkable
class OnData(Protocol):
    """An executor that knows its data."""

    def data_table(self) -> Mapping[str, Any]:
        """What they are, as `run.toml` keeps it in its table [data]: TOML values only. Called after `prepare`."""

    def refuse_changed(self, before: Mapping[str, Any], run: Path) -> None:
        """Refuse to go on with a run whose table [data] says that its data were others. Called after `prepare`.

        Raises:
            DataError: They were; the line says in what.
        """


@runtime_checkable
class Remarks(Protocol):
    """An executor that may have something to say of its trainings in the result."""

    def remarks(self) -> Sequence[str]:
        """Sentences, without their full stops, of the trainings since the last call."""


class Worker(Protocol):
    """A place where one trial trains at a time and whose energy is known: this process, a GPU, another host.

    A run is advanced and closed by its own methods; a worker begins it, suspends it to a checkpoint that any worker of
    the executor can take over, and takes one over. All of this is called by one thread; the runs of different workers
    are advanced by threads of their own at once.
    """

    def start(self, trial: Trial, account: Account) -> Run:
        """A run of `trial.config` here, not yet advanced."""

    def suspend(self, run: Run) -> None:
        """A run here is left for now: bring it to where any worker can go on with it."""

    def take_over(self, run: Run, account: Account) -> None:
        """Go on here with a run, wherever it was suspended."""


@runtime_checkable
class Pooled(Protocol):
    """An executor that may train several trials at once, one on each of its GPUs."""

    def gpus(self) -> Sequence[int]:
        """As in `OnGpus`."""

    def workers(self) -> Sequence[Worker]:
        """One for each of `gpus()`, in their order, once `prepare` was called; none if one trial is trained at a time.

        Their runs see the account they were started with, or taken over with last.
        """


@runtime_checkable
class Movable(Protocol):
    """An executor whose suspended runs can go on on another host."""

    def checkpoint(self, run: Run) -> bytes:
        """All that is needed to go on with a run. It is suspended, if it was not.

        Raises:
            ValueError: The run was never advanced, or it is closed.
        """

    def restore(self, trial: Trial, account: Account, checkpoint: bytes, steps: int) -> Run:
        """A run that goes on from what `checkpoint` gave after so many measurements, here or on another host."""


@runtime_checkable
class Sized(Protocol):
    """An executor that knows how large a network will be before it is trained."""

    def parameters(self, config: Config) -> int:
        """Trainable numbers of the network that `config` describes. Fast; called after `prepare`."""


@runtime_checkable
class Used(Protocol):
    """An executor that can try what its models cost to use."""

    def use(self, path: Path, seconds: float, window: Callable[[], Window]) -> Usage:
        """What the model saved at `path` costs to use, measured for about so many seconds for each batch size.

        Args:
            path: Its file.
            seconds: How long to predict for each figure.
            window: Opens a window on what is metered.
        """


@runtime_checkable
class Tested(Protocol):
    """An executor whose models can be kept, and that holds back a test set."""

    test_cost: float
    """Energy of one pass over the test set, as a multiple of one validation pass."""

    def save(self, run: Run, trial: Trial, path: Path) -> None:
        """Write the run's present weights to `path` (safetensors), with what is needed to rebuild the model."""

    def test(self, path: Path) -> float | Measurement:
        """Test score of the model saved at `path`; as a `Measurement` it may have details."""
