"""The workers of a search, and how their runs are advanced: one worker inline, several with one thread each.

A single thread, the loop's, makes all decisions and records all results. The order in which steps of several workers
end varies, so two searches with the same seed may differ; with one worker they do not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from ecoml.energy import Purpose
from ecoml.ledger import Ledger
from ecoml.searcher.search import Outcome
from ecoml.training.base import Account, Executor, Pooled, Run, Worker
from ecoml.trial import Measurement, Trial

SIDE_BY_SIDE = (
    "trials ran side by side, each on a GPU of its own: the energy that they shared (processor,"
    " memory) is divided equally among them, and their uncertainty covers the true division"
)


class SeatAccount(Account, Protocol):
    """The loop's account for a worker."""

    recalled: bool
    """Whether its training must end at its next check of the budget."""

    def enter(self, purpose: Purpose, trial: int | None = None) -> None:
        """Count the joules of this worker as `purpose` from now on; without a trial, for the running one."""


@dataclass(slots=True)
class Seat:
    """A worker, and what the loop stores about it.

    Attributes:
        worker: The worker.
        account: Its training's account.
        trial: The trial that is advanced on it; None while it is idle.
        left: Number of steps after which this trial is suspended; None: at its end.
        gone: Whether nothing more can be started on it.
    """

    worker: Worker
    account: SeatAccount
    trial: Trial | None = None
    left: int | None = None
    gone: bool = False


class Stepper(Protocol):
    """Advances runs, at most one per seat at a time."""

    @property
    def seats(self) -> Sequence[Seat]:
        """The current workers."""

    def seat_for(self, run: Run | None, idle: Sequence[Seat]) -> Seat | None:
        """The idle worker on which to continue a run (None: a new one); None if none is suitable."""

    def rest(self, idle: Sequence[Seat]) -> None:
        """No further step will start on these workers."""

    def advance(self, seat: Seat, run: Run) -> None:
        """Start a run's next step."""

    def ended(self) -> Iterator[tuple[Seat, Outcome]]:
        """Wait until at least one step ends; yields the outcomes of the steps that have ended."""

    def open(self) -> AbstractContextManager[object]:
        """Runs are advanced while this context is open."""


class InlineStepper:
    """Advances the run of a single seat in the loop's own thread, when its outcome is requested."""

    def __init__(self, seats: Sequence[Seat]) -> None:
        self.seats = seats
        self._steps: list[tuple[Seat, Outcome]] = []

    def seat_for(self, run: Run | None, idle: Sequence[Seat]) -> Seat | None:  # noqa: ARG002
        return idle[0]

    def rest(self, idle: Sequence[Seat]) -> None:
        """Do nothing: the worker is this process."""

    def advance(self, seat: Seat, run: Run) -> None:
        self._steps.append((seat, run.__next__))

    def ended(self) -> Iterator[tuple[Seat, Outcome]]:
        while self._steps:
            yield self._steps.pop()

    def open(self) -> AbstractContextManager[object]:
        return nullcontext()


class ThreadedStepper:
    """Advances each run in a thread.

    Args:
        seats: The seats; each has at most one run at a time.
        interruptible: A context in which Ctrl-C may interrupt a wait.
    """

    def __init__(self, seats: Sequence[Seat], interruptible: AbstractContextManager[None]) -> None:
        self.seats = seats
        self._interruptible = interruptible
        self._pool: ThreadPoolExecutor | None = None
        self._steps: dict[int, Future[Measurement]] = {}  # by seat

    def seat_for(self, run: Run | None, idle: Sequence[Seat]) -> Seat | None:  # noqa: ARG002
        return idle[0]

    def rest(self, idle: Sequence[Seat]) -> None:
        """Do nothing: the workers belong to this process."""

    def advance(self, seat: Seat, run: Run) -> None:
        assert self._pool is not None, "runs are advanced while it is open"
        self._steps[self.seats.index(seat)] = self._pool.submit(run.__next__)

    def ended(self) -> Iterator[tuple[Seat, Outcome]]:
        with self._interruptible:
            wait(list(self._steps.values()), return_when=FIRST_COMPLETED)
        for number in [number for number, step in sorted(self._steps.items()) if step.done()]:
            yield self.seats[number], self._steps.pop(number).result

    @contextmanager
    def open(self) -> Iterator[None]:
        with ThreadPoolExecutor(len(self.seats), "ecoml-worker") as self._pool:
            yield


class OnlyWorker:
    """This process as a worker, for an executor that trains one trial at a time."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def start(self, trial: Trial, account: Account) -> Run:
        return self._executor.start(trial, account)

    def suspend(self, run: Run) -> None:
        """Do nothing: the run stays where it is."""

    def take_over(self, run: Run, account: Account) -> None:
        """Do nothing: the run is already here."""


def seats_of(executor: Executor, ledger: Ledger, domains: Sequence[str]) -> list[Seat]:
    """The workers of an executor, after `prepare`.

    Args:
        executor: The executor.
        ledger: Gives each worker its account.
        domains: The meter's domain of each worker; empty if there is one worker.
    """
    workers = executor.workers() if isinstance(executor, Pooled) else ()
    if len(workers) < 2:
        return [Seat(OnlyWorker(executor), ledger.account_of(None))]
    ledger.share_among(domains)
    ledger.note(SIDE_BY_SIDE)
    return [Seat(worker, ledger.account_of(number)) for number, worker in enumerate(workers)]


def stepper_of(seats: Sequence[Seat], interruptible: AbstractContextManager[None]) -> Stepper:
    """The stepper for workers of this process."""
    return InlineStepper(seats) if len(seats) < 2 else ThreadedStepper(seats, interruptible)
