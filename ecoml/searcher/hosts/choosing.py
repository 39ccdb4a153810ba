"""Which workers a search has, by what the user says of them."""

from __future__ import annotations

import re
import uuid
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from ecoml.errors import UsageError
from ecoml.ledger import Ledger
from ecoml.run.folder import RunFolder
from ecoml.searcher.setup.settings import SearchSettings
from ecoml.training.base import Executor

if TYPE_CHECKING:
    from ecoml.searcher.hosts.transport import Transport
    from ecoml.searcher.workers import Stepper

    Workers = str | Transport
    """`local:4`, `ray://HEAD:PORT`, or what reaches agents in a way of one's own."""

LEASE_S = 10.0
"""Seconds without word from the driver after which an agent stops by itself."""

FOLDER = "spools"
"""In the run folder: the accounts of agents on this host."""


class RemoteWorkers:
    """The workers of a search that are not this process.

    Args:
        workers: What the user says of them.
        lease_s: Seconds without word from the driver after which an agent stops by itself.

    Raises:
        UsageError: They cannot be understood, or need a package that is not installed.
    """

    def __init__(self, workers: str | Transport, lease_s: float = LEASE_S) -> None:
        self.lease_s = lease_s
        self._given = workers if isinstance(workers, str) else ""
        self._transport = _transport(workers) if isinstance(workers, str) else workers

    def refuse(self, settings: SearchSettings) -> None:
        """Refuse what holds for the driver alone.

        Raises:
            UsageError: It is asked for.
        """
        if settings.limits.when_clean_g_per_kwh is not None:
            raise UsageError(
                "a search that pauses lets its agents go, and training on workers needs them: leave --when-clean"
                " (when_clean_g_per_kwh=) or --workers out"
            )
        if settings.sources:
            raise UsageError(
                "each worker reads the counters of its own host, and what --meter names would be counted beside them:"
                " leave --meter and --powercap-root, or --workers out"
            )

    def to_dict(self) -> dict[str, Any]:
        """For `run.toml`; the run's id names its spools on other hosts."""
        return {"given": self._given, "run": uuid.uuid4().hex}

    def stepper(
        self,
        executor: Executor,
        settings: SearchSettings,
        ledger: Ledger,
        folder: RunFolder,
        interruptible: AbstractContextManager[None],
    ) -> Stepper:
        """What advances runs on them.

        Raises:
            UsageError: The training cannot be handed over to another process.
        """
        from ecoml.searcher.hosts.messages import Setup, versions
        from ecoml.searcher.hosts.stepper import HostStepper

        setup = Setup(
            run=folder.settings["workers"]["run"],
            executor=_pickled(executor, "the training"),
            space=_pickled(settings.space, "the search space"),
            reported=settings.energy == "reported",
            require_measured=settings.limits.require_measured,
            lease_s=self.lease_s,
            budget_j=ledger.budget_j,
            versions=versions(),
        )
        return HostStepper(self._transport, setup, ledger, folder.path / FOLDER, interruptible)


def _transport(workers: str) -> Transport:
    if match := re.fullmatch(r"local:(\d+)", workers):
        from ecoml.searcher.hosts.transport import LocalAgents

        if int(match[1]) < 1:
            raise UsageError(f"workers {workers!r}: give at least one, as in local:4")
        return LocalAgents(int(match[1]))
    if match := re.fullmatch(r"ray://([^/\s]+:\d+)/?", workers):
        from ecoml.searcher.ray.agents import RayAgents

        return RayAgents(match[1])
    raise UsageError(f"workers {workers!r} cannot be understood; give local:4, or ray://HEAD:PORT")


def _pickled(value: object, what: str) -> bytes:
    import cloudpickle

    try:
        pickled: bytes = cloudpickle.dumps(value)
    except Exception as error:
        raise UsageError(
            f"{what} cannot be handed to another process ({error!s:.120}); let it build there what it needs"
        ) from None
    return pickled
