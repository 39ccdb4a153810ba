"""The driver's view of a host, and the loop's view of it: workers, and runs on other hosts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ecoml.energy import Purpose
from ecoml.errors import EcomlError, HostLost
from ecoml.searcher.hosts.messages import About, Lease, Orders
from ecoml.searcher.search import Outcome
from ecoml.searcher.workers import Seat
from ecoml.training.base import Account, Run
from ecoml.trial import Measurement, Trial

Call = Callable[[str, str, int], bytes]
"""`Transport.call`."""


@dataclass(slots=True, eq=False)
class Host:
    """A host that takes part, or will do so.

    Attributes:
        name: Its name.
        spool: The id of its spool; empty before its first report.
        incarnation: Incarnation of its agent.
        about: Its description; None until it is ready.
        seats: Its workers.
        leases: Open leases by number, with the seat that waits for each.
        keeps: Suspended trials on this host.
        heard_s: Time of its last message.
        numbers: Numbers of the orders that were sent to it.
        acknowledged: The sequence number of its last report that is on disk.
        due: Names of the hosts that need a message before the next beat.
        lost: Whether it no longer answers.
        released: Whether it is no longer needed.
        restarts: How often its agent was restarted since a step of it has ended.
    """

    name: str
    due: dict[str, None] = field(default_factory=dict)
    spool: str = ""
    incarnation: int = 0
    about: About | None = None
    seats: list[Seat] = field(default_factory=list)
    leases: dict[int, tuple[Lease, Seat]] = field(default_factory=dict)
    keeps: set[int] = field(default_factory=set)
    heard_s: float = 0.0
    numbers: int = 0
    acknowledged: int = 0
    lost: bool = False
    released: bool = False
    restarts: int = 0

    @property
    def kind(self) -> str:
        """Its kind; empty until it is ready."""
        return "" if self.about is None else self.about.kind

    @property
    def movable(self) -> bool:
        """Whether its trials can continue on another host."""
        return self.about is not None and self.about.movable

    def has_news(self) -> None:
        """It needs a message before its next beat."""
        self.due[self.name] = None

    def release(self) -> None:
        """It is no longer needed."""
        self.released = True
        self.has_news()

    def orders(self) -> Orders:
        """The current orders for this host."""
        self.numbers += 1
        leases = tuple(lease for lease, _ in self.leases.values())
        return Orders(self.numbers, leases, frozenset(self.keeps), self.acknowledged, self.released)

    def change(self, lease: int, **terms: Any) -> None:
        """Change the terms of an open lease."""
        before, seat = self.leases[lease]
        self.leases[lease] = replace(before, **terms), seat
        self.has_news()

    def end(self, lease: int) -> Seat:
        """A lease has ended; its trial may stay on the host for now."""
        ended, seat = self.leases.pop(lease)
        self.keeps.add(ended.trial)
        self.has_news()
        return seat

    def drop(self, trial: int) -> None:
        """A suspended trial on this host is no longer needed."""
        self.keeps.discard(trial)
        self.has_news()


class RemoteRun:
    """A run on another host; the loop advances it by a lease, and never by `next`.

    Attributes:
        trial: Its trial.
        host: The host that holds it; None before its first step.
        place: The worker on which it continues.
    """

    def __init__(self, trial: Trial, place: RemoteWorker, call: Call) -> None:
        self.trial = trial
        self.host: Host | None = None
        self.place = place
        self._call = call

    def __next__(self) -> Measurement:
        raise AssertionError("a run on another host is advanced by a lease")

    def checkpoint(self) -> bytes | None:
        """The checkpoint from which its worker continues; None if the worker holds it, or if it has not started.

        Raises:
            HostLost: The host that has it is lost.
        """
        if self.host is None or self.host is self.place.host:
            return None
        if self.host.lost:
            raise HostLost(self.host.name)
        try:
            return self._call(self.host.name, "checkpoint", self.trial.number)
        except (ConnectionError, EcomlError):
            raise HostLost(self.host.name) from None

    def save(self, path: Path) -> None:
        """Write its current weights.

        Raises:
            ChildProcessError: Its host is lost, and the weights with it.
        """
        assert self.host is not None, "only what was measured is saved"
        try:
            weights = self._call(self.host.name, "save", self.trial.number)
        except (ConnectionError, EcomlError) as error:
            raise ChildProcessError(str(error)) from None
        path.write_bytes(weights)

    def close(self) -> None:
        """Free its resources on the host. May be called twice."""
        if self.host is not None:
            self.host.drop(self.trial.number)
            self.host = None


class RemoteWorker:
    """One worker of a host; implements `ecoml.training.base.Worker`."""

    def __init__(self, host: Host, number: int, call: Call) -> None:
        self.host = host
        self.number = number
        self._call = call

    def start(self, trial: Trial, account: Account) -> Run:  # noqa: ARG002 - the agent has an account of its own
        return RemoteRun(trial, self, self._call)

    def suspend(self, run: Run) -> None:
        """Do nothing: the run stays on its host until another one continues it."""

    def take_over(self, run: Run, account: Account) -> None:  # noqa: ARG002
        assert isinstance(run, RemoteRun), "workers are given their own runs"
        run.place = self


@dataclass(slots=True)
class RemoteAccount:
    """The loop's account for a worker on another host; that host's own account does the rest."""

    recalled: bool = False

    def check_budget(self) -> None:
        """Do nothing: the host checks its own budget."""

    def enter(self, purpose: Purpose, trial: int | None = None) -> None:
        """Do nothing: the host enters its own steps."""


def seat_for(run: Run | None, idle: Sequence[Seat], known: Collection[str]) -> Seat | None:
    """The idle worker on which to continue a run: its own host's; another's if it can move; else None for now.

    A kind of hosts without a step (not in `known`) takes a run of another kind if there is one: the energy of both for
    the same training shows best how they differ.
    """
    host = run.host if isinstance(run, RemoteRun) else None
    if host is None:
        return idle[0]
    theirs = [(seat, seat.worker.host) for seat in idle if isinstance(seat.worker, RemoteWorker)]
    strange = [seat for seat, other in theirs if other.kind not in known]
    if host.movable and known and strange:
        return strange[0]
    own = [seat for seat, other in theirs if other is host]
    return own[0] if own else idle[0] if host.movable or host.lost else None


def raising(lost: HostLost) -> Outcome:
    """The outcome of a step whose host is lost."""

    def outcome() -> Measurement:
        raise lost

    return outcome
