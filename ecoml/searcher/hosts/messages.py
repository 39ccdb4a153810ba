"""What driver and agents tell each other.

Each message says all that holds at present, not what has changed: `Orders` name every lease that is open, a `Report`
every outcome that is not acknowledged yet and joules as counters that only grow. So a message that is lost, repeated or
late does no harm: the next one says it again, and one with an older number is ignored.
"""

from __future__ import annotations

import pickle
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ecoml.energy import Energy, Provenance
from ecoml.errors import UsageError
from ecoml.ledger.accounts.attribution import Step
from ecoml.ledger.readings import Reading
from ecoml.trial import Config, Measurement

BEAT_S = 1.0
"""So often at least driver and agents send word."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What an agent is started with.

    Attributes:
        run: The run's own id, the same after it was resumed.
        executor: What trains, pickled by value.
        space: The search space, pickled likewise.
        reported: Whether the training brings its own joules, so that no meter is opened.
        require_measured: Refuse a host whose energy can only be estimated.
        lease_s: Seconds without word from the driver after which an agent stops by itself.
        budget_j: The ceiling of the whole search.
        versions: The driver's, by package.
    """

    run: str
    executor: bytes
    space: bytes
    reported: bool
    require_measured: bool
    lease_s: float
    budget_j: float
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Lease:
    """One step of a trial, to be made by one worker of a host.

    Attributes:
        number: Greater than that of every lease before.
        worker: The host's worker, from 0.
        trial: The trial's number.
        config: Its configuration.
        step: Measurements it has had.
        allowance_j: Joules that the step may take; at that the agent waits for more, and then ends it.
        final: Whether no more than that will be given.
        recalled: Whether it is to end at its next check of the budget.
        checkpoint: What to go on from, if the trial was left on another host.
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
    """What holds for a host from here on.

    Attributes:
        number: Greater than that of all orders before.
        leases: All that are open; an outcome of one that is not is acknowledged.
        keeps: Trials that were left on the host, and may be gone on with there.
        acknowledged: The sequence number of the last report that is on the driver's disk.
        released: Whether the host is needed no longer: it settles its account, and ends.
    """

    number: int
    leases: tuple[Lease, ...] = ()
    keeps: frozenset[int] = frozenset()
    acknowledged: int = 0
    released: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a lease came to.

    Attributes:
        lease: Its number.
        trial: The trial's number.
        measurement: What was measured; None if nothing was.
        error: What was raised otherwise, pickled; None if it cannot be.
        line: The error in one line.
        trace: Its traceback.
        step: What the step took, by the host's own account.
        floor_j: The least energy of the trial's arithmetic up to here on that host; None if it is not known.
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
            Exception: What was raised instead.
        """
        if self.measurement is not None:
            return self.measurement
        raise _error(self.error, self.line, self.trace)


@dataclass(frozen=True, slots=True)
class About:
    """What a host is.

    Attributes:
        workers: How many trials it trains at a time.
        kind: Its class: hosts of one class take about the same joules for the same training.
        provenance: What its joules are worth.
        movable: Whether its trials can go on elsewhere.
        idle: Joules of an idle second by domain.
        unmeasured: What keeps its energy from being measured, one sentence with its remedy each.
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
    """How a host stands; what it reads is on the host's own disk when it is sent.

    Attributes:
        reading: Its joules.
        heard: The number of the last orders.
        running: Leases under way.
        outcomes: Of leases that are not acknowledged yet.
        short: Leases whose allowance is used up, and that wait for more.
        about: What the host is; None until it is ready.
        refused: Why it cannot take part; empty if it can.
        closed: Whether its account is closed, and nothing more will come of this incarnation.
    """

    reading: Reading
    heard: int = 0
    running: tuple[int, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    short: tuple[int, ...] = ()
    about: About | None = None
    refused: str = ""
    closed: bool = False


def pickled(error: BaseException) -> bytes | None:
    """An error for another process; None if it cannot be handed over whole."""
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
    """What has to be the same on all hosts, by name."""
    found = {"python": ".".join(platform.python_version_tuple()[:2])}
    for package in ("ecoml", "torch"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def refuse_other_versions(host: str, driver: Mapping[str, Any]) -> None:
    """Refuse a host on which a package is of another version than on the driver's.

    Raises:
        UsageError: So it is; the line names it.
    """
    here = versions()
    for name, theirs in driver.items():
        if here.get(name) != theirs:
            mine = here.get(name, "not installed")
            raise UsageError(f"host {host}: {name} is {mine} there and {theirs} here; install the same on both")
