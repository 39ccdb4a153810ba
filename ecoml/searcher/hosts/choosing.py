"""The workers of a search, from the user's description."""

from __future__ import annotations

import re
import uuid
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from ecoml.errors import UsageError
from ecoml.ledger import Ledger
from ecoml.run.folder import RunFolder
from ecoml.searcher.setup.network_limits import AFTERWARDS
from ecoml.searcher.setup.settings import SearchSettings
from ecoml.training.base import Executor, OnFiles

if TYPE_CHECKING:
    from ecoml.searcher.hosts.transport import Transport
    from ecoml.searcher.workers import Stepper

    Workers = str | Transport
    """`local:4`, `ray://HEAD:PORT`, or a transport of the user's own."""

LEASE_S = 10.0
"""Seconds without a message from the driver after which an agent stops."""

FOLDER = "spools"
"""Folder in the run folder for the accounts of agents on this host."""


class RemoteWorkers:
    """The workers of a search outside this process.

    Args:
        workers: The user's description.
        lease_s: Seconds without a message from the driver after which an agent stops.

    Raises:
        UsageError: The description cannot be understood, or needs a package that is not installed.
    """

    def __init__(self, workers: str | Transport, lease_s: float = LEASE_S) -> None:
        if not isinstance(workers, str) and (isinstance(workers, type) or not hasattr(workers, "send")):
            count = workers if re.fullmatch(r"[1-9]\d*", str(workers)) else 4
            raise UsageError(f'workers is {workers!r:.60}; give "local:{count}", or "ray://HEAD:PORT"')
        self.lease_s = lease_s
        self._given = workers if isinstance(workers, str) else ""
        self._transport = _transport(workers) if isinstance(workers, str) else workers

    def refuse(self, settings: SearchSettings) -> None:
        """Refuse settings that apply only to the driver.

        Raises:
            UsageError: There is such a setting.
        """
        if settings.limits.when_clean_g_per_kwh is not None:
            raise UsageError(
                "agents stop while a search pauses: leave out either --when-clean (when_clean_g_per_kwh=) or --workers"
            )
        if settings.limits.of_use:
            raise UsageError(
                "workers of one host share its processor, and other hosts are faster or slower, so that a network"
                " would be kept or dropped by where it was trained: leave out either workers=, or max_latency_s= and"
                f" max_inference_energy_j=, and choose when the search has ended: {AFTERWARDS}"
            )
        if settings.sources:
            raise UsageError(
                "each worker reads the counters of its own host, so the source of --meter would be counted"
                " twice: leave out either --meter and --powercap-root, or --workers"
            )

    def to_dict(self) -> dict[str, Any]:
        """The description for `run.toml`; the run's id names its spools on other hosts."""
        return {"given": self._given, "run": uuid.uuid4().hex}

    def stepper(
        self,
        executor: Executor,
        settings: SearchSettings,
        ledger: Ledger,
        folder: RunFolder,
        interruptible: AbstractContextManager[None],
    ) -> Stepper:
        """The stepper that advances runs on these workers.

        Raises:
            UsageError: The training cannot be sent to another process.
        """
        from ecoml.searcher.hosts.messages import Setup, versions
        from ecoml.searcher.hosts.parcels import Lends, Parcels, Shelf
        from ecoml.searcher.hosts.stepper import HostStepper

        parcels = Parcels()
        if isinstance(self._transport, Lends):
            shelf = Shelf(executor.own_data if isinstance(executor, OnFiles) else None)
            self._transport.lend(shelf)
            parcels = shelf.parcels
        setup = Setup(
            run=folder.settings["workers"]["run"],
            executor=_pickled(executor, "the training"),
            space=_pickled(settings.space, "the search space"),
            reported=settings.energy == "reported",
            require_measured=settings.limits.require_measured,
            lease_s=self.lease_s,
            budget_j=ledger.budget_j,
            versions=versions(),
            parcels=parcels,
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
            f"{what} cannot be sent to another process ({error!s:.120}); let it build there what it needs"
        ) from None
    return pickled
