"""The messages between driver and agents.

Each message states the complete current state, not a change: `Orders` name every open lease, a `Report` every outcome
that is not yet acknowledged, and joules are counters that only increase. A message that is lost, repeated or late
therefore does no harm: the next one repeats its content, and one with an older number is ignored.
"""

from __future__ import annotations

import pickle
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ecoml.energy import Energy, Provenance
from ecoml.errors import UsageError
from ecoml.ledger.accounts.attribution import Step
from ecoml.ledger.statement import Statement
from ecoml.run.folder import versions_of
from ecoml.searcher.hosts.parcels import Parcels
from ecoml.trial import Config, Measurement

BEAT_S = 1.0
"""Longest time between two messages of driver and agents."""


@dataclass(frozen=True, slots=True)
class Setup:
    """The setup with which an agent starts.

    Attributes:
        run: The run's own id; it does not change when the run is resumed.
        executor: The executor, pickled by value.
        space: The search space, pickled by value.
        reported: Whether the training reports its own joules, so that no meter is opened.
        require_measured: Refuse a host whose energy can only be estimated.
        lease_s: Seconds without a message from the driver after which an agent stops.
        budget_j: The budget of the entire search.
        versions: The driver's versions, by package.
        parcels: What else the training needs.
    """

    run: str
    executor: bytes
    space: bytes
    reported: bool
    require_measured: bool
    lease_s: float
    budget_j: float
    versions: Mapping[str, str]
    parcels: Parcels = field(default_factory=Parcels)


@dataclass(frozen=True, slots=True)
class Lease:
    """One step of a trial, for one worker of a host.

    Attributes:
        number: Greater than the numbers of all earlier leases.
        worker: The host's worker, from 0.
        trial: The trial's number.
        config: Its configuration.
        step: Number of its measurements so far.
        allowance_j: Joules that the step may take; when they are used up, the agent waits for more, and then ends the
            step.
        final: Whether there will be no larger allowance.
        recalled: Whether the step must end at its next check of the budget.
        checkpoint: The checkpoint from which to continue, if the trial was suspended on another host.
    """

    number: int
    worker: int
    trial: int
    config: Config
    step: int
    allowance_j: float
    final: bool = False
    recalled: bool = False
    checkpoint: bytes | None = None


@dataclass(frozen=True, slots=True)
class Orders:
    """The current orders for a host.

    Attributes:
        number: Greater than the numbers of all earlier orders.
        leases: All open leases; the outcome of any other lease is acknowledged.
        keeps: Suspended trials on the host that may be continued there.
        acknowledged: The sequence number of the last report that is on the driver's disk.
        released: Whether the host is no longer needed: it settles its account, and ends.
    """

    number: int
    leases: tuple[Lease, ...] = ()
    keeps: frozenset[int] = frozenset()
    acknowledged: int = 0
    released: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a lease.

    Attributes:
        lease: Its number.
        trial: The trial's number.
        measurement: The measurement; None if there was none.
        error: The error in its place, pickled; None if it cannot be pickled.
        line: The error in one line.
        trace: Its traceback.
        step: Energy of the step, by the host's own account.
        floor_j: The least energy of the trial's arithmetic up to here on that host; None if unknown.
    """

    lease: int
    trial: int
    measurement: Measurement | None
    step: Step
    error: bytes | None = None
    line: str = ""
    trace: str = ""
    floor_j: float | None = None

    def __call__(self) -> Measurement:
        """The measurement.

        Raises:
            Exception: The error in its place.
        """
        if self.measurement is not None:
            return self.measurement
        raise _error(self.error, self.line, self.trace)


@dataclass(frozen=True, slots=True)
class About:
    """The description of a host.

    Attributes:
        workers: Number of trials that it trains at the same time.
        kind: Its class: hosts of one class take about the same joules for the same training.
        provenance: Provenance of its joules.
        movable: Whether its trials can continue on another host.
        idle: Joules of one idle second by domain.
        unmeasured: Why its energy is not measured, one sentence with its remedy each.
        process: The agent's process, for people.
    """

    workers: int
    kind: str
    provenance: Provenance
    movable: bool = False
    idle: Mapping[str, Energy] = field(default_factory=dict)
    unmeasured: tuple[str, ...] = ()
    process: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """The state of a host; everything in it is on the host's own disk when it is sent.

    Attributes:
        statement: Its joules.
        heard: The number of the last orders.
        running: Leases that are running.
        outcomes: Outcomes of leases that are not yet acknowledged.
        short: Leases whose allowance is used up, and that wait for more.
        about: The host's description; None until it is ready.
        refused: Why it cannot take part; empty if it can.
        closed: Whether its account is closed, so that this incarnation sends nothing more.
    """

    statement: Statement
    heard: int = 0
    running: tuple[int, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    short: tuple[int, ...] = ()
    about: About | None = None
    refused: str = ""
    closed: bool = False


def pickled(error: BaseException) -> bytes | None:
    """An error for another process; None if it cannot be pickled completely."""
    try:
        kept = pickle.dumps(error)
        pickle.loads(kept)  # noqa: S301 - our own, of just now
    except Exception:
        return None
    return kept


def _error(kept: bytes | None, line: str, trace: str) -> BaseException:
    error: BaseException = RuntimeError(line)
    if kept is not None:
        try:
            error = pickle.loads(kept)  # noqa: S301 - from our own agent, over the engine's connection
        except Exception:
            error = RuntimeError(line)
    if trace:
        error.add_note(f"On its host:\n{trace.rstrip()}")
    return error


def versions() -> dict[str, str]:
    """The versions that must be the same on all hosts, by name."""
    return {"python": ".".join(platform.python_version_tuple()[:2]), **versions_of("ecoml", "torch")}


def refuse_other_versions(host: str, driver: Mapping[str, Any]) -> None:
    """Refuse a host with another version of a package than the driver's.

    Raises:
        UsageError: A version differs; the message names it.
    """
    here = versions()
    for name, theirs in driver.items():
        if here.get(name) != theirs:
            mine = here.get(name, "not installed")
            raise UsageError(f"host {host}: {name} is {mine} there and {theirs} here; install the same version on both")
