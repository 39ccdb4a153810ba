"""The interface of a training executor.

An executor starts a trial and returns a run: an iterator of measurements. A run can be advanced, left for any time,
advanced again, and closed. A suspended run is a frozen trial.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from ecoml.energy import Purpose
from ecoml.meter.base import Window
from ecoml.metric import Metric
from ecoml.space import Space
from ecoml.trial import Config, Measurement, Trial, Usage


class Account(Protocol):
    """The part of the ledger that an executor sees."""

    def check_budget(self) -> None:
        """Call this between two batches; it takes microseconds.

        Raises:
            BudgetExhausted: The budget is spent. Do not catch it: the searcher charges and closes the trial.
        """

    def enter(self, purpose: Purpose) -> None:
        """Count joules as `purpose` from now on. Finish the device's queued work before calling this."""


class NoAccount:
    """An account that charges nothing."""

    def check_budget(self) -> None:
        """Do nothing: there is no budget."""

    def enter(self, purpose: Purpose) -> None:
        """Do nothing: purposes are not distinguished."""


class Run(Protocol):
    """One trial's training, advanced measurement by measurement."""

    def __next__(self) -> Measurement:
        """Train until the next measurement.

        Raises:
            StopIteration: The training is complete.
            BudgetExhausted: From `Account.check_budget`.
            Exception: With any other error the trial fails; its joules are charged.
        """

    def close(self) -> None:
        """Free the resources of the run. May be called at any time, and twice."""


@runtime_checkable
class Saving(Protocol):
    """A run that saves its own weights, such as a run on another host."""

    def save(self, path: Path) -> None:
        """As `Tested.save`."""


@runtime_checkable
class Executor(Protocol):
    """Trains configurations."""

    def prepare(self, space: Space) -> None:
        """Check and load what all trials need (data, device), once, before the run folder is created.

        Raises:
            UsageError: Something that the user named cannot be used: data, a device, a parameter of the space.
        """

    def start(self, trial: Trial, account: Account) -> Run:
        """A run of `trial.config` that has not been advanced."""

    def describe(self) -> Mapping[str, Any]:
        """The description for `run.toml`, sufficient to build this executor again: `{"kind": …, …}`, TOML values
        only.
        """


@runtime_checkable
class Declares(Protocol):
    """An executor that declares its metric; otherwise the metric is a validation accuracy."""

    metric: Metric
    """The metric of its scores, which also names a step."""


@runtime_checkable
class Lasting(Protocol):
    """An executor that knows the length of its trials."""

    def steps(self, config: Config) -> int:
        """The number of measurements of a complete training of `config`. Fast; called after `prepare`."""


@runtime_checkable
class Floored(Protocol):
    """An executor that knows the arithmetic of its trials."""

    def floor_j(self, config: Config, step: int) -> float | None:
        """The least joules of a trial's first `step` steps on its device; None if unknown.

        Called after `prepare`, once per step; fast.
        """


@runtime_checkable
class Hinted(Protocol):
    """An executor that can predict the cost of a configuration's step before it is trained, up to a factor."""

    @property
    def cost_hint(self) -> Callable[[Config], float] | None:
        """A function that returns a positive number, roughly proportional to a step's joules. None if the search itself
        learns better figures. Called after `prepare`; the function is fast.
        """


@runtime_checkable
class GetsReady(Protocol):
    """An executor whose `prepare` takes much energy on a GPU, at least the first time."""

    @property
    def ready(self) -> bool:
        """Whether this is done, so that `prepare` takes almost no energy."""


@runtime_checkable
class OnGpus(Protocol):
    """An executor that knows which GPUs it uses, so that the account can leave out the others."""

    def gpus(self) -> Collection[int]:
        """CUDA's numbers of these GPUs in this process; empty for the CPU. Known before `prepare`."""


@runtime_checkable
class OnData(Protocol):
    """An executor that knows its data."""

    def data_table(self) -> Mapping[str, Any]:
        """The description of the data for table [data] of `run.toml`: TOML values only. Called after `prepare`."""

    def refuse_changed(self, before: Mapping[str, Any], run: Path) -> None:
        """Refuse to continue a run whose table [data] describes other data. Called after `prepare`.

        Raises:
            DataError: The data differ; the message says in what.
        """


@runtime_checkable
class OnFiles(Protocol):
    """An executor that may read the user's own file or folder, which other hosts may not have."""

    own_data: Path | None
    """The file or folder; may be set before `prepare`. None: data that every host has or can load by name."""


@runtime_checkable
class Remarks(Protocol):
    """An executor that may add remarks on its trainings to the result."""

    def remarks(self) -> Sequence[str]:
        """Remarks on the trainings since the last call, sentences without their full stops."""


class Worker(Protocol):
    """A place that trains one trial at a time and whose energy is known: this process, a GPU, another host.

    A worker starts a run, suspends it to a checkpoint that any worker of the executor can resume, and resumes one. A
    run is advanced and closed by its own methods. One thread calls the worker's methods; the runs of several workers
    are advanced by threads of their own at the same time.
    """

    def start(self, trial: Trial, account: Account) -> Run:
        """A run of `trial.config` on this worker that has not been advanced."""

    def suspend(self, run: Run) -> None:
        """Suspend a run of this worker, so that any worker can continue it."""

    def take_over(self, run: Run, account: Account) -> None:
        """Continue a run on this worker, wherever it was suspended."""


@runtime_checkable
class Pooled(Protocol):
    """An executor that may train several trials at once, one on each of its GPUs."""

    def gpus(self) -> Sequence[int]:
        """As in `OnGpus`."""

    def workers(self) -> Sequence[Worker]:
        """One worker for each of `gpus()`, in their order, after `prepare`; none if one trial is trained at a time.

        Their runs use the account with which they were last started or resumed.
        """


@runtime_checkable
class Movable(Protocol):
    """An executor whose suspended runs can continue on another host."""

    def checkpoint(self, run: Run) -> bytes:
        """All that is needed to continue a run. The run is suspended first, if necessary.

        Raises:
            ValueError: The run was never advanced, or it is closed.
        """

    def restore(self, trial: Trial, account: Account, checkpoint: bytes, steps: int) -> Run:
        """A run that continues from a `checkpoint` after this many measurements, on this host or another."""


@runtime_checkable
class Sized(Protocol):
    """An executor that knows the size of a network before it is trained."""

    def parameters(self, config: Config) -> int:
        """Number of trainable parameters of the network that `config` describes. Fast; called after `prepare`."""


@runtime_checkable
class Used(Protocol):
    """An executor that can measure what predictions with its models cost."""

    def use(self, path: Path, seconds: float, window: Callable[[], Window]) -> Usage:
        """The cost of predictions with the model in `path`, measured for about this many seconds for each batch size.

        Args:
            path: The model's file.
            seconds: Duration of the measurement for each batch size.
            window: Opens a window on the metered energy.
        """


@dataclass(frozen=True, slots=True)
class Work:
    """What is known about the cost of a prediction before the network exists.

    Attributes:
        kind: Networks of one kind can be compared: one that does more takes longer.
        counts: Quantities that the cost increases with (layers, weights, arithmetic, …), in the same order for a kind.
        least_s: Least seconds of its arithmetic.
        least_j: Least joules of its arithmetic; 0 if unknown.
    """

    kind: str
    counts: tuple[float, ...]
    least_s: float
    least_j: float

    def no_less_than(self, other: Work) -> bool:
        """Whether it does at least as much of everything as another one."""
        return self.kind == other.kind and all(a >= b for a, b in zip(self.counts, other.counts, strict=True))


@runtime_checkable
class Foresees(Protocol):
    """An executor that knows something about the cost of predictions before training."""

    def work(self, config: Config) -> Work | None:
        """The known least cost of a prediction; None if nothing is known. Must be fast; called after `prepare`."""


@runtime_checkable
class Tested(Protocol):
    """An executor whose models can be saved, and that has a test set."""

    test_cost: float
    """Energy of one pass over the test set, in units of one validation pass."""

    def save(self, run: Run, trial: Trial, path: Path) -> None:
        """Write the run's current weights to `path` (safetensors), with the information needed to rebuild the model."""

    def test(self, path: Path) -> float | Measurement:
        """Test score of the model in `path`; a `Measurement` may have details."""
