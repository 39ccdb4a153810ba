"""A host's own account: opened for a training, limited by leases, and read for reports to the driver."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from ecoml.energy import Energy
from ecoml.errors import BudgetExhausted, EcomlError
from ecoml.ledger.accounts.metered import MeteredAccount
from ecoml.ledger.accounts.reported import ReportedAccount
from ecoml.ledger.statement import Statement
from ecoml.meter.required import refuse_unmeasured, what_is_unmeasured
from ecoml.searcher.energy.metering import meter_for, open_metering
from ecoml.searcher.hosts.messages import Lease, Setup
from ecoml.searcher.hosts.spool import Spool
from ecoml.training.base import Executor, Pooled

if TYPE_CHECKING:
    from ecoml.meter.base import Meter


class HostAccount:
    """The account of a host, stored in a spool. Before it is open, statements show what is on disk.

    Args:
        spool: The file for the joules.
        host: The host's name.
        meter: Your own meter; default: this host's.

    Attributes:
        joules: Charges the host's energy; None before `open`.
        idle: Joules of an idle second, by domain.
        unmeasured: Why the energy is not measured.
    """

    def __init__(self, spool: Spool, host: str, meter: Meter | None) -> None:
        self.joules: MeteredAccount | ReportedAccount | None = None
        self.idle: Mapping[str, Energy] = {}
        self.unmeasured: tuple[str, ...] = ()
        self._spool = spool
        self._host = host
        self._meter = meter
        self._sequence = itertools.count(1)
        self._versions: dict[int, int] = {}  # of the spool's counters, by the report that told them
        self._acknowledged = 0  # of them

    def open(self, setup: Setup, executor: Executor, until_s: float) -> list[str]:
        """Open the account; returns the meter's domain of each worker if there are several.

        Raises:
            MeterError: The energy is not measured here, but this is required.
        """
        if setup.reported:
            self.joules = ReportedAccount(self._spool)
            return []
        self._meter = meter = self._meter or meter_for(executor)
        self.unmeasured = what_is_unmeasured(meter)
        if setup.require_measured:
            refuse_unmeasured(meter)
        metering = open_metering(meter, setup.budget_j, None)
        account = MeteredAccount(self._spool, metering.window)
        account.until_s = until_s
        self.joules, self.idle = account, metering.idle.by_domain
        gpus = executor.gpus() if isinstance(executor, Pooled) else ()
        if len(gpus) < 2:
            return []
        from ecoml.meter.counters.ordinals import domains_of

        return list(domains_of(gpus, meter))

    @property
    def opened(self) -> MeteredAccount | ReportedAccount:
        """The open account, which charges energy."""
        assert self.joules is not None, "it is open while leases are under way"
        return self.joules

    def begin(self, workers: int, domains: list[str]) -> None:
        """End the preparation, which does not count as a time between two checks."""
        account = self.opened
        if workers > 1:
            account.share_among(domains)
        account.settle()
        account.unwatched_j = 0.0

    def last_until(self, until_s: float) -> None:
        """Exclude all later energy from this account."""
        if isinstance(self.joules, MeteredAccount):
            self.joules.until_s = until_s

    def limit_to(self, leases: Iterable[Lease]) -> None:
        """Limit the host to the allowances of its leases."""
        account = self.joules
        if isinstance(account, MeteredAccount):
            left = [max(0.0, lease.allowance_j - account.step_j(lease.trial)) for lease in leases]
            account.limit(account.spent_j + sum(left))

    def acknowledge(self, sequence: int) -> None:
        """Note that the driver has stored all reports up to this one."""
        for known in [number for number in self._versions if number <= sequence]:
            self._acknowledged = max(self._acknowledged, self._versions.pop(known))

    def statement(self, *, at_rest: bool) -> Statement:
        """The energy so far; while no step runs, each statement counts as a check of the budget."""
        account = self.joules
        if account is not None and at_rest:
            with suppress(BudgetExhausted):
                account.check_budget()
        version, counters = self._spool.counters(self._acknowledged)
        sequence = next(self._sequence)
        self._versions[sequence] = version
        return Statement(
            *(self._host, self._spool.id, self._spool.incarnation, sequence, counters, self._spool.seen()),
            power_w=account.power_w if account is not None else 0.0,
            unwatched_j=account.unwatched_j if account is not None else 0.0,
            gaps=self._spool.gaps(),
        )

    def settle(self) -> None:
        """Enter all energy so far; no more will follow."""
        with suppress(EcomlError):
            if self.joules is not None:
                self.joules.close()

    def close(self) -> None:
        """Close meter and spool."""
        self.settle()
        if self._meter is not None:
            self._meter.close()
        self._spool.close()
