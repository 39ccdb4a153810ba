"""The end of a search on many hosts: each settles its account."""

from __future__ import annotations

import math
from contextlib import suppress

from ecoml.errors import SearchFailed
from ecoml.ledger import Ledger
from ecoml.searcher.hosts.host import Host
from ecoml.searcher.hosts.messages import BEAT_S
from ecoml.searcher.hosts.transport import Transport


def settle(hosts: dict[str, Host], transport: Transport, ledger: Ledger, lease_s: float) -> None:
    """Let all hosts settle their accounts, also those that are still starting, and wait for this at most as long as a
    lease lasts.
    """
    waiting = {name: hosts.setdefault(name, Host(name)) for name in transport.hosts}
    for host in waiting.values():
        host.release()
    waiting = {name: host for name, host in waiting.items() if not host.lost}
    with suppress(SearchFailed):  # nothing more is heard of any host
        _hear(waiting, transport, ledger, lease_s)
    for name, host in waiting.items():
        if host.spool:
            ledger.hosts.lose(host.spool)
        else:
            ledger.hosts.lose_unreported(name)
            ledger.note(f"host {name} was still starting when the search ended: its energy is not known")
    ledger.commit()


def _hear(waiting: dict[str, Host], transport: Transport, ledger: Ledger, lease_s: float) -> None:
    """Hear the last of these hosts; those that have closed their accounts wait no more."""
    until_s, told_s, gone = transport.clock() + lease_s, -math.inf, set[str]()
    while waiting.keys() - gone and (now_s := transport.clock()) < until_s:
        if now_s - told_s >= BEAT_S:
            told_s = now_s
            for name, host in waiting.items():
                transport.send(name, host.orders())
        for name, report in transport.wait(min(told_s + BEAT_S, until_s) - now_s):
            if report is None:
                gone.add(name)
            elif ledger.hosts.take(report.statement):
                if name in waiting:
                    waiting[name].spool = report.statement.spool
                if report.closed:
                    ledger.hosts.release(report.statement.spool)
                    waiting.pop(name, None)
