"""A host's own account: opened for a training, limited by leases, and read for reports to the driver."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from ecoml.energy import Energy, Provenance
from ecoml.errors import BudgetExhausted, EcomlError
from ecoml.ledger.accounts.metered import MeteredAccount
from ecoml.ledger.accounts.reported import ReportedAccount
from ecoml.ledger.readings import Reading
from ecoml.meter.required import refuse_unmeasured, what_is_unmeasured
from ecoml.searcher.energy.metering import meter_for, open_metering
from ecoml.searcher.hosts.messages import Lease, Setup
from ecoml.searcher.hosts.spool import Spool
from ecoml.training.base import Executor, Pooled

if TYPE_CHECKING:
    from ecoml.meter.base import Meter


class HostAccount:
    """The account on a spool. Readings may be asked for before it is open: then they say what is on disk.

    Args:
        spool: Where the joules are entered.
        host: The host's name.
        meter: A meter of one's own; by default that of this host.
        clock: Gives seconds.

    Attributes:
        joules: Charges what is spent here; None before `open`.
        idle: Joules of an idle second, by domain.
        unmeasured: What keeps the energy from being measured.
    """

    def __init__(self, spool: Spool, host: str, meter: Meter | None, clock: Callable[[], float]) -> None:
        self.joules: MeteredAccount | ReportedAccount | None = None
        self.idle: Mapping[str, Energy] = {}
        self.unmeasured: tuple[str, ...] = ()
        self._spool = spool
        self._host = host
        self._meter = meter
        self._clock = clock
        self._sequence = itertools.count(1)
        self._versions: dict[int, int] = {}  # of the spool's counters, by the report that told them
        self._acknowledged = 0  # of them

    def open(self, setup: Setup, executor: Executor, until_s: float) -> list[str]:
        """Open it; the meter's domain of each of several workers.

        Raises:
            MeterError: The energy is not measured here, and that was asked for.
        """
        if setup.reported:
            self.joules = ReportedAccount(self._spool)
            return []
        self._meter = meter = self._meter or meter_for(executor)
        self.unmeasured = what_is_unmeasured(meter)
        if setup.require_measured:
            refuse_unmeasured(meter)
        metering = open_metering(meter, setup.budget_j, None)
        account = MeteredAccount(self._spool, metering.window, clock=self._clock)
        account.until_s = until_s
        self.joules, self.idle = account, metering.idle.by_domain
        gpus = executor.gpus() if isinstance(executor, Pooled) else ()
        if len(gpus) < 2:
            return []
        from ecoml.meter.counters.ordinals import domains_of

        return list(domains_of(gpus, meter.sources))

    @property
    def opened(self) -> MeteredAccount | ReportedAccount:
        """What charges, while leases are under way."""
        assert self.joules is not None, "it is open while leases are under way"
        return self.joules

    @property
    def provenance(self) -> Provenance:
        """What its figures are worth."""
        return self.opened.provenance

    def begin(self, workers: int, domains: list[str]) -> None:
        """Getting ready is over, and was no step between two looks."""
        account = self.opened
        if workers > 1:
            account.share_among(domains)
        account.settle()
        account.unwatched_j = 0.0

    def last_until(self, until_s: float) -> None:
        """What is spent after that is no longer this account's."""
        if isinstance(self.joules, MeteredAccount):
            self.joules.until_s = until_s

    def limit_to(self, leases: Iterable[Lease]) -> None:
        """The host may spend what its leases allow, beyond what they have taken."""
        account = self.joules
        if isinstance(account, MeteredAccount):
            left = [max(0.0, lease.allowance_j - account.step_j(lease.trial)) for lease in leases]
            account.limit(account.spent_j + sum(left))

    def acknowledge(self, sequence: int) -> None:
        """The driver has on disk what reports up to this one said."""
        for known in [number for number in self._versions if number <= sequence]:
            self._acknowledged = max(self._acknowledged, self._versions.pop(known))

    def reading(self, *, at_rest: bool) -> Reading:
        """What was counted so far; while nothing is under way, each reading is a look at the budget."""
        account = self.joules
        if account is not None and at_rest:
            with suppress(BudgetExhausted):
                account.check_budget()
        version, counters = self._spool.counters(self._acknowledged)
        sequence = next(self._sequence)
        self._versions[sequence] = version
        return Reading(
            *(self._host, self._spool.id, self._spool.incarnation, sequence, counters, self._spool.seen()),
            power_w=account.power_w if account is not None else 0.0,
            unwatched_j=account.unwatched_j if account is not None else 0.0,
            gaps=self._spool.gaps(),
        )

    def settle(self) -> None:
        """No more is spent here."""
        with suppress(EcomlError):
            if self.joules is not None:
                self.joules.close()

    def close(self) -> None:
        """Let go of meter and spool."""
        self.settle()
        if self._meter is not None:
            self._meter.close()
        self._spool.close()
