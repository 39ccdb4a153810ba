"""Agents of this host that can be killed and stopped, messages that get lost, and what is left of it on disk."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from contextlib import closing

import ecoml
from ecoml.searcher.hosts.transport import Event, LocalAgents

SPACE = ecoml.Space({"rate": ecoml.Float(1e-4, 1e-1, log=True), "width": ecoml.Int(8, 64)})


def replay(config):
    """Four measurements that bring their joules along."""
    for step in range(1, 5):
        yield ecoml.Measurement(0.2 * step * (1 - config["rate"]), energy_j=config["width"] * (1 + step / 10))


def work(config):
    """Four measurements, each of about ten milliseconds of work."""
    for step in range(1, 5):
        until_s = time.process_time() + 0.01
        while time.process_time() < until_s:
            pass
        yield 0.2 * step * (1 - config["rate"])


class Unsteady(LocalAgents):
    """Agents of this host to whom things happen.

    Args:
        count: How many.
        lost: Share of the messages that get lost, are repeated, or come late, each.
        blows: Signals, one after the other: each strikes an agent that has just spoken, once the one that was struck
            before has been started anew and `between` more reports of agents that are ready have come.
        between: See there.

    Attributes:
        blows: Those that are still to come.
        down: The host that was struck, until its agent is started anew.
        restarted: Hosts whose agents were started anew.
        faults: How many messages something has happened to.
    """

    def __init__(self, count, lost=0.0, seed=0, blows=(), between=10):
        super().__init__(count)
        self._chance = random.Random(seed)
        self._lost = lost
        self._between = self._quiet = between
        self._held_back = []
        self.blows = list(blows)
        self.down = None
        self.restarted = []
        self.faults = 0

    def send(self, host, orders):
        for _ in range(self._times()):
            super().send(host, orders)

    def wait(self, timeout_s):
        events: list[Event] = []
        for host, report in super().wait(min(timeout_s, 0.05)):
            if report is None:
                events.append((host, report))
                continue
            events += [(host, report)] * self._times()
            if self._chance.random() < self._lost:
                self.faults += 1
                self._held_back.append((host, report))
        if self._held_back and self._chance.random() < 0.3:
            events.append(self._held_back.pop(self._chance.randrange(len(self._held_back))))
        for host, report in events:
            if report is not None and report.about is not None:
                self._strike(host)
        return events

    def _strike(self, host):
        if self.down is None and self.blows:
            self._quiet -= 1
            if self._quiet == 0:
                self._quiet, self.down = self._between, host
                self.signal(host, self.blows.pop(0))

    def _times(self):
        chance = self._chance.random()
        self.faults += chance < 2 * self._lost
        return 0 if chance < self._lost else 2 if chance < 2 * self._lost else 1

    def signal(self, host, number):
        os.kill(self._agents[host]._process.pid, number)

    def restart(self, host):
        self.restarted.append(host)
        self.down = None if host == self.down else self.down
        return super().restart(host)

    def close(self):
        for host in self._agents:  # one that is stopped would be waited for
            if self._agents[host]._process.poll() is None:
                self.signal(host, signal.SIGCONT)
        super().close()


def spooled_j(folder):
    """Joules of all spools by host."""
    return {path.stem: _total(path, "entry") for path in (folder / "spools").glob("*.sqlite")}


def charged_j(folder):
    """Joules of other hosts in the ledger, by host."""
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as ledger:
        rows = ledger.execute("SELECT domain, energy_j FROM entry WHERE domain LIKE '%/%'").fetchall()
    found: dict[str, float] = {}
    for domain, joules in rows:
        host = domain.partition("/")[0]
        found[host] = found.get(host, 0.0) + joules
    return found


def _total(path, table):
    with closing(sqlite3.connect(path)) as file:
        return file.execute(f"SELECT TOTAL(energy_j) FROM {table}").fetchone()[0]  # noqa: S608
