"""A simulated cluster: a transport on a virtual clock, whose hosts replay recorded learning curves.

Messages take time, arrive late, or are lost. Hosts are slower than others for a while, die, return, and draw power when
idle. The driver's code is the search's own: it sees only a transport and a clock.
"""

from __future__ import annotations

import heapq
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from strategy_problems import TrainingTask

from ecoml.energy import Energy, EnergyByDomain, Provenance, Purpose
from ecoml.errors import BudgetExhausted
from ecoml.ledger.accounts.attribution import Step
from ecoml.ledger.statement import Statement
from ecoml.searcher.hosts.messages import About, Lease, Orders, Outcome, Report, Setup, pickled
from ecoml.searcher.hosts.transport import Event
from ecoml.trial import Measurement


@dataclass(frozen=True, slots=True)
class Conditions:
    """The properties of the cluster.

    Attributes:
        workers: Number of hosts, with one worker each.
        busy_w: Power of a host that trains.
        idle_w: Power of a host that does not train.
        latency_s: Mean time of a message.
        lost: Share of the messages that are lost.
        straggling: Share of the steps that take four times as long, at the same power.
        life_s: Mean time until a host dies; it returns after a minute.
        seed: Seed of all random events.
    """

    workers: int
    busy_w: float = 300.0
    idle_w: float = 60.0
    latency_s: float = 0.001
    lost: float = 0.0
    straggling: float = 0.0
    life_s: float = float("inf")
    seed: int = 0


@dataclass(slots=True, eq=False)
class _Host:
    """One host: its step and its counters.

    Attributes:
        idle_since: Time since which it has been idle.
        counters: Joules so far.
        changed: Counters that were not acknowledged yet.
        step: The lease of its step, the step's start, its duration and its joules.
    """

    name: str
    incarnation: int = 0
    sequence: int = 0
    orders: int = 0
    begun: int = 0
    accounted_s: float = 0.0
    counters: dict[tuple[Purpose, int | None], float] = field(default_factory=dict)
    changed: dict[tuple[Purpose, int | None], int] = field(default_factory=dict)
    step: tuple[Lease, float, float, float] | None = None
    allowed_j: float = 0.0
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    alive: bool = True
    closed: bool = False
    silent_since: float = 0.0


class SimulatedHosts:
    """A simulated cluster; fulfils `ecoml.searcher.hosts.transport.Transport`.

    Args:
        problem: The problem whose curves the trials replay.
        conditions: The properties of the cluster.

    Attributes:
        now_s: The virtual time.
        own_s: CPU seconds of the simulation itself.
        messages: Number of messages.
        spent_j: The joules that the hosts have really spent.
    """

    def __init__(self, problem: TrainingTask, conditions: Conditions) -> None:
        self.expected = conditions.workers
        self.now_s = self.own_s = self.spent_j = 0.0
        self.messages = 0
        self._problem = problem
        self._conditions = conditions
        self._chance = random.Random(conditions.seed)  # noqa: S311 - no secret
        self._hosts: dict[str, _Host] = {}
        self._queue: list[tuple[float, int, Callable[[], Event | None]]] = []
        self._count = 0
        self._curves: dict[int, list[tuple[float, float]]] = {}

    @property
    def hosts(self) -> list[str]:
        """Names of the hosts that live."""
        return [name for name, host in self._hosts.items() if host.alive]

    def clock(self) -> float:
        """The virtual time."""
        return self.now_s

    def open(self, setup: Setup, spools: Path) -> None:  # noqa: ARG002 - the contract
        for number in range(self._conditions.workers):
            host = self._hosts[f"node-{number + 1}"] = _Host(f"node-{number + 1}")
            self._begin(host)

    def _begin(self, host: _Host) -> None:
        """Start a new agent on a host."""
        host.incarnation += 1
        host.sequence = host.orders = host.begun = 0
        host.alive, host.closed, host.step = True, False, None
        host.changed = dict.fromkeys(host.counters, 1)
        host.accounted_s = host.silent_since = self.now_s
        incarnation = host.incarnation
        self._after(self._chance.random(), lambda: self._beat(host, incarnation))
        if self._conditions.life_s < float("inf"):
            self._after(self._chance.expovariate(1 / self._conditions.life_s), lambda: self._die(host, incarnation))

    def _after(self, seconds: float, event: Callable[[], Event | None]) -> None:
        self._count += 1
        heapq.heappush(self._queue, (self.now_s + seconds, self._count, event))

    def wait(self, timeout_s: float) -> Sequence[Event]:
        began_s = time.process_time()
        until_s = self.now_s + timeout_s
        events: list[Event] = []
        while self._queue and self._queue[0][0] <= (self.now_s if events else until_s):
            self.now_s, _, happen = heapq.heappop(self._queue)
            if (event := happen()) is not None:
                events.append(event)
        if not events:
            self.now_s = until_s
        self.own_s += time.process_time() - began_s
        return events

    def send(self, host: str, orders: Orders) -> None:
        began_s = time.process_time()
        self.messages += 1
        if self._chance.random() >= self._conditions.lost:
            self._after(self._latency_s(), lambda: self._take(self._hosts[host], orders))
        self.own_s += time.process_time() - began_s

    def _latency_s(self) -> float:
        return self._chance.expovariate(1 / self._conditions.latency_s)

    def _take(self, host: _Host, orders: Orders) -> None:
        if not host.alive or host.closed or orders.number <= host.orders:
            return
        host.orders, host.silent_since = orders.number, self.now_s
        host.changed = {key: at for key, at in host.changed.items() if at > orders.acknowledged}
        open_leases = {lease.number: lease for lease in orders.leases}
        host.outcomes = {number: outcome for number, outcome in host.outcomes.items() if number in open_leases}
        if orders.released:
            self._account(host)
            host.closed = True
            self._say(host)
            return
        for lease in orders.leases:
            if lease.number > host.begun:
                self._start(host, lease)
            elif host.step is not None and host.step[0].number == lease.number:
                host.allowed_j = lease.allowance_j
                if lease.recalled or (lease.final and host.step[3] > lease.allowance_j):
                    self._end(host, host.step[0], recalled=True)

    def _start(self, host: _Host, lease: Lease) -> None:
        self._account(host)
        host.begun, host.allowed_j = lease.number, lease.allowance_j
        if lease.trial not in self._curves:
            scores, joules = self._problem.curve(lease.config)
            self._curves[lease.trial] = [(float(s), max(float(j), 1e-9)) for s, j in zip(scores, joules, strict=True)]
        curve = self._curves[lease.trial]
        joules = curve[lease.step][1] if lease.step < len(curve) else 0.0
        seconds = joules / self._conditions.busy_w
        if self._chance.random() < self._conditions.straggling:
            seconds, joules = 4 * seconds, 4 * joules
        host.step = lease, self.now_s, seconds, joules
        self._after(seconds, lambda: self._end(host, lease))

    def _end(self, host: _Host, lease: Lease, *, recalled: bool = False) -> None:
        """A step has ended, or waits for a larger allowance."""
        if not host.alive or host.closed or host.step is None or host.step[0].number != lease.number:
            return
        joules = host.step[3]
        if not recalled and joules > host.allowed_j * (1 + 1e-9):
            self._say(host)
            self._after(1.0, lambda: self._end(host, lease))
            return
        self._account(host)
        host.step = None
        curve, done = self._curves[lease.trial], lease.step
        measurement, error = None, None
        if recalled:
            error = BudgetExhausted()
        elif done >= len(curve):
            error = StopIteration()
        else:
            measurement = Measurement(curve[done][0], joules)
        taken = Step(EnergyByDomain({"reported": Energy(joules, 0.0, Provenance.REPORTED)}))
        raised = None if error is None else pickled(error)
        host.outcomes[lease.number] = Outcome(lease.number, lease.trial, measurement, taken, raised)
        self._say(host)

    def _account(self, host: _Host) -> None:
        """Advance a host's counters to the current time."""
        seconds, host.accounted_s = self.now_s - host.accounted_s, self.now_s
        if host.step is None:
            self._add(host, (Purpose.OVERHEAD, None), seconds * self._conditions.idle_w)
            return
        lease, began_s, lasts_s, joules = host.step
        share = min(1.0, (self.now_s - began_s) / lasts_s) if lasts_s else 1.0
        before = min(1.0, (self.now_s - seconds - began_s) / lasts_s) if lasts_s else 0.0
        self._add(host, (Purpose.TRAINING, lease.trial), joules * max(0.0, share - before))

    def _add(self, host: _Host, activity: tuple[Purpose, int | None], joules: float) -> None:
        if joules > 0:
            host.counters[activity] = host.counters.get(activity, 0.0) + joules
            host.changed[activity] = host.sequence + 1
            self.spent_j += joules

    def _beat(self, host: _Host, incarnation: int) -> None:
        if not host.alive or host.closed or incarnation != host.incarnation:
            return
        self._account(host)
        self._say(host)
        self._after(1.0, lambda: self._beat(host, incarnation))

    def _die(self, host: _Host, incarnation: int) -> Event | None:
        if not host.alive or host.closed or incarnation != host.incarnation:
            return None
        self._account(host)
        host.alive = False
        host.outcomes.clear()
        host.step = None
        return host.name, None

    def _say(self, host: _Host) -> None:
        self.messages += 1
        host.sequence += 1
        changed = {
            activity: EnergyByDomain({"reported": Energy(host.counters[activity], 0.0, Provenance.REPORTED)})
            for activity in host.changed
        }
        host.changed = {activity: at if at < host.sequence else host.sequence for activity, at in host.changed.items()}
        statement = Statement(
            *(host.name, host.name, host.incarnation, host.sequence, changed),
            power_w=self._conditions.busy_w,
        )
        running = (host.step[0].number,) if host.step is not None else ()
        short = running if host.step is not None and host.step[3] > host.allowed_j else ()
        about = About(1, "simulated", Provenance.REPORTED, movable=True)
        said = Report(statement, host.orders, running, tuple(host.outcomes.values()), short, about, "", host.closed)
        if self._chance.random() >= self._conditions.lost:
            self._after(self._latency_s(), lambda: (host.name, said))

    def call(self, host: str, name: str, trial: int) -> bytes:
        del name, trial
        if not self._hosts[host].alive:
            raise ConnectionError(f"host {host} is gone")
        self.messages += 2
        return b"checkpoint"

    def restart(self, host: str) -> bool:
        incarnation = self._hosts[host].incarnation

        def come_back() -> None:
            if self._hosts[host].incarnation == incarnation:
                self._begin(self._hosts[host])

        self._after(60.0, come_back)
        return True

    def close(self) -> None:
        """There is nothing to end."""


def no_training(config: Mapping[str, Any]) -> Iterator[Measurement]:
    """The executor that a searcher gets. It trains nothing, because the hosts replay."""
    raise AssertionError(f"the simulated hosts train {config}")
