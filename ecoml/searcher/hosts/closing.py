"""The end of a search on many hosts: each settles its account."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ecoml.ledger import Ledger
from ecoml.searcher.hosts.host import Host
from ecoml.searcher.hosts.messages import BEAT_S
from ecoml.searcher.hosts.transport import Transport


def settle(hosts: Mapping[str, Host], transport: Transport, ledger: Ledger, lease_s: float) -> None:
    """Let hosts settle their accounts, and wait for this at most as long as a lease lasts."""
    until_s, told_s = transport.clock() + lease_s, -math.inf
    waiting = {name: host for name, host in hosts.items() if not host.lost and host.spool}
    for host in hosts.values():
        host.release()
    while waiting and (now_s := transport.clock()) < until_s:
        if now_s - told_s >= BEAT_S:
            told_s = now_s
            for name, host in waiting.items():
                transport.send(name, host.orders())
        for name, report in transport.wait(min(told_s + BEAT_S, until_s) - now_s):
            if report is not None and ledger.hosts.take(report.reading) and report.closed:
                ledger.hosts.release(report.reading.spool)
            if report is None or report.closed:
                waiting.pop(name, None)
    ledger.commit()
