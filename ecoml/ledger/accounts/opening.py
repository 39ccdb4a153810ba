"""Opens the account of a session, for metered or reported energy."""

from __future__ import annotations

from ecoml.ledger.accounts.meter_thread import Watch
from ecoml.ledger.accounts.metered import HEARTBEAT_S, MeteredAccount
from ecoml.ledger.accounts.reported import ReportedAccount
from ecoml.ledger.gram_counter import GramCounter
from ecoml.ledger.metering import Metering
from ecoml.meter.base import pace_of
from ecoml.run.storage.store import Store

Account = MeteredAccount | ReportedAccount


def open_account(store: Store, metering: Metering | None, spent_j: float, *, trace: bool, co2e: GramCounter) -> Account:
    """The account; without `metering` the training reports its energy.

    Args:
        store: Where joules are entered.
        metering: The session's metering; None: energy is reported.
        spent_j: Joules of earlier sessions.
        trace: Whether to store power over time.
        co2e: Converts joules to CO2e.
    """
    if metering is None:
        return ReportedAccount(store, spent_j=spent_j, co2e=co2e)
    watch = Watch(metering.meter, store, metering.opened_s, trace=trace)
    pace = pace_of(metering.meter)
    account = MeteredAccount(
        *(store, metering.window),
        spent_j=spent_j,
        opened_s=metering.opened_s,
        watch=watch,
        co2e=co2e,
        clock=pace.clock,
        heartbeat_s=None if pace.sleep is None else HEARTBEAT_S,
    )
    with store.transaction():
        store.set_idle(metering.idle.by_domain)
        store.set("idle_note", metering.idle.note)
    return account
