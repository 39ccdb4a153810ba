"""Hosts as workers of the loop: sends leases, receives reports; no host is told anything before it is on disk."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from ecoml.energy import comparable
from ecoml.errors import HostLost, SearchFailed, UsageError
from ecoml.ledger import Ledger
from ecoml.ledger.hosts import Told
from ecoml.searcher.hosts.closing import settle
from ecoml.searcher.hosts.host import Host, RemoteAccount, RemoteRun, RemoteWorker, raising, seat_for
from ecoml.searcher.hosts.messages import BEAT_S, Lease, Report, Setup
from ecoml.searcher.hosts.transport import Event, Transport
from ecoml.searcher.search import Outcome
from ecoml.searcher.workers import Seat
from ecoml.training.base import Run

GRACE = 1.5
"""A host counts as lost after this many lease times without a message; its agent has then stopped."""

START_S = 60.0
"""Longest time until an agent's first message."""

MOST_RESTARTS = 3
"""How often an agent is restarted if it ends before any of its steps has ended."""


class HostStepper:
    """Advances runs on hosts; implements `ecoml.searcher.workers.Stepper`.

    Args:
        transport: Reaches their agents.
        setup: The setup with which each starts.
        ledger: Charges the joules that they count.
        spools: Folder for the accounts of agents on this host.
        interruptible: A context in which Ctrl-C may interrupt a wait.

    Attributes:
        seats: The workers of all current hosts.
    """

    def __init__(
        self,
        transport: Transport,
        setup: Setup,
        ledger: Ledger,
        spools: Path,
        interruptible: AbstractContextManager[None],
    ) -> None:
        self.seats: list[Seat] = []
        self._transport = transport
        self._setup = setup
        self._ledger = ledger
        self._spools = spools
        self._interruptible = interruptible
        self._clock = transport.clock
        self._hosts: dict[str, Host] = {}
        self._due: dict[str, None] = {}  # hosts that need a message before the next beat
        self._leases = itertools.count(1)
        self._ended: deque[tuple[Seat, Outcome]] = deque()
        self._joined = self._left = self._recalled = False
        self._kinds: set[str] = set()  # classes of hosts that have made a step
        self._refused: list[str] = []
        self._beat_s = self._turned_s = transport.clock()

    @contextmanager
    def open(self) -> Iterator[None]:
        """Start the agents, and wait until the first is ready; end them all on exit."""
        self._ledger.commit_together()
        self._transport.open(self._setup, self._spools)
        self._beat_s = self._turned_s = self._clock()
        try:
            while not self.seats:
                self._turn()
            yield
        finally:
            try:
                settle(self._hosts, self._transport, self._ledger, self._setup.lease_s)
            finally:
                self._transport.close()

    def advance(self, seat: Seat, run: Run) -> None:
        """Lease a run's next step to its host."""
        assert isinstance(run, RemoteRun), "workers are given their own runs"
        assert isinstance(seat.worker, RemoteWorker), "these are all of that kind"
        trial, host = run.trial, seat.worker.host
        try:
            if seat.gone:
                raise HostLost(host.name)
            checkpoint = run.checkpoint()
        except HostLost as lost:
            self._ended.append((seat, raising(lost)))
            return
        if run.host is not None and run.host is not host:
            run.host.drop(trial.number)
        run.host = host
        number, allowance_j = next(self._leases), self._ledger.budget.steps.held_j[trial.number]
        place = number, seat.worker.number, trial.number
        lease = Lease(*place, trial.config, trial.step, allowance_j, checkpoint=checkpoint)
        host.keeps.discard(trial.number)
        host.leases[number] = lease, seat
        host.has_news()

    def ended(self) -> Iterator[tuple[Seat, Outcome]]:
        """Wait until at least one step ends or one host joins; yields the outcomes of the steps that have ended."""
        self._joined = False
        while not self._ended and not self._joined:
            self._turn()
        while self._ended:
            yield self._ended.popleft()

    def seat_for(self, run: Run | None, idle: Sequence[Seat]) -> Seat | None:
        """See `ecoml.searcher.hosts.host.seat_for`."""
        return seat_for(run, idle, self._kinds)

    def rest(self, idle: Sequence[Seat]) -> None:
        """Release hosts on which no further step will start, because their idle energy counts as well."""
        resting = {id(seat) for seat in idle}
        for host in dict.fromkeys(seat.worker.host for seat in idle if isinstance(seat.worker, RemoteWorker)):
            if not host.keeps and all(id(seat) in resting for seat in host.seats):
                host.release()
                self._take_seats(host)

    def _turn(self) -> None:
        """Commit, send the hosts their news, and process what they send."""
        now_s = self._clock()
        self._ledger.hosts.turned(now_s - self._turned_s)
        self._turned_s = now_s
        if not self._recalled and self.seats and self.seats[0].account.recalled:
            self._recall()
        if now_s - self._beat_s >= BEAT_S:
            self._beat_s = now_s
            self._look_for_silence(now_s)
            self._due.update(dict.fromkeys(self._hosts))
        due = [host for host in map(self._hosts.__getitem__, self._due) if not host.lost]
        self._due.clear()
        for host in due:
            if host.spool:
                open_j = sum(self._ledger.budget.steps.open_j(lease.trial) for lease, _ in host.leases.values())
                self._ledger.hosts.opened(host.spool, open_j)
        if due:
            self._ledger.commit()
        else:
            self._ledger.check()
        for host in due:
            self._transport.send(host.name, host.orders())
        if self._ended:
            return
        if self._left:
            self._left, self.seats = False, [seat for seat in self.seats if not seat.gone]
        with self._interruptible:
            events = self._wait(max(0.0, self._beat_s + BEAT_S - self._clock()))
        for name, report in events:
            host = self._hosts.get(name) or self._new_host(name)
            if report is None:
                self._gone(host)
            else:
                self._hear(host, report)

    def _wait(self, timeout_s: float) -> Sequence[Event]:
        try:
            return self._transport.wait(timeout_s)
        except SearchFailed:  # nothing more is heard of any host
            for host in [host for host in self._hosts.values() if not host.released]:
                self._lose(host)
            raise

    def _new_host(self, name: str, spool: str = "", restarts: int = 0) -> Host:
        host = self._hosts[name] = Host(name, self._due, spool, heard_s=self._clock(), restarts=restarts)
        host.has_news()
        return host

    def _recall(self) -> None:
        self._recalled = True
        for host in self._hosts.values():
            for number in host.leases:
                host.change(number, recalled=True)

    def _hear(self, host: Host, report: Report) -> None:
        """Charge the joules that a host has counted, and process the outcomes of its leases."""
        statement = report.statement
        host.heard_s = self._clock()
        if not self._ledger.hosts.take(statement):
            return
        if host.released and host.lost and statement.incarnation > host.incarnation:  # it has come back
            host = self._new_host(host.name)
        host.spool, host.incarnation, host.acknowledged = statement.spool, *statement.order
        if not host.lost or not report.running:
            self._ledger.hosts.enrol(statement.spool)
        for outcome in report.outcomes:
            if outcome.lease in host.leases:
                host.restarts = 0
                told = Told(outcome.step, host.kind, outcome.floor_j)
                self._kinds |= {host.kind} if outcome.measurement is not None else set()
                self._ledger.hosts.step_ended(outcome.trial, told)
                self._ended.append((host.end(outcome.lease), outcome))
        if report.closed or report.refused:
            self._leave(host, report)
            return
        if report.about is not None and not host.seats and not host.released:
            self._join(host, report)
        for number in report.short:
            self._allow_more(host, number)

    def _allow_more(self, host: Host, number: int) -> None:
        if number not in host.leases:
            return
        lease, _ = host.leases[number]
        allowance_j = self._ledger.budget.allow_more(lease.trial)
        more = allowance_j > lease.allowance_j
        host.change(number, allowance_j=allowance_j, final=not more)

    def _join(self, host: Host, report: Report) -> None:
        about = report.about
        assert about is not None
        others = [other.about for other in self._hosts.values() if other.about is not None and other.seats]
        strange = next((other for other in others if not comparable(other.provenance, about.provenance)), None)
        if strange is not None:
            told = f"host {host.name}: its energy is {about.provenance}, and that of others {strange.provenance}"
            self._refuse(host, f"{told}; leave it out, or make its counters readable (`ecoml meters`)")
            return
        host.about = about
        host.seats = [
            Seat(RemoteWorker(host, number, self._transport.call), RemoteAccount()) for number in range(about.workers)
        ]
        self._ledger.know_host(host.name, about.idle, about.unmeasured)
        self.seats += host.seats
        self._joined = True

    def _leave(self, host: Host, report: Report) -> None:
        """A host has closed its account: it was released, cannot take part, or got no message for too long."""
        self._ledger.hosts.release(report.statement.spool)
        if report.refused:
            self._refuse(host, report.refused)
            return
        self._lose_steps(host)
        if not host.released:
            self._restart(host)

    def _refuse(self, host: Host, why: str) -> None:
        host.release()
        if why not in self._refused:
            self._refused.append(why)
            self._ledger.note(why)
        if all(other.released for other in self._hosts.values()) and len(self._hosts) >= self._transport.expected:
            raise UsageError(why)

    def _gone(self, host: Host) -> None:
        """A host's agent is lost: its open allowances are in doubt until its spool is back."""
        if not host.released:
            self._lose(host)
            self._restart(host)

    def _lose(self, host: Host) -> None:
        if host.spool:
            self._ledger.hosts.lose(host.spool)
        else:
            self._ledger.hosts.lose_unreported(host.name)
        self._lose_steps(host)

    def _lose_steps(self, host: Host) -> None:
        for number in list(host.leases):
            self._ended.append((host.end(number), raising(HostLost(host.name))))
        host.lost = True
        self._take_seats(host)

    def _take_seats(self, host: Host) -> None:
        for seat in host.seats:
            seat.gone = True
        host.seats = []
        self._joined = self._left = True

    def _restart(self, host: Host) -> None:
        host.restarts += 1
        if host.restarts <= MOST_RESTARTS and self._transport.restart(host.name):
            self._new_host(host.name, host.spool, host.restarts)
            return
        host.released = True
        if not any(not other.released for other in self._hosts.values()):
            raise SearchFailed(
                f"host {host.name} is lost, and it was the last one; all measurements are saved:"
                " continue with `ecoml resume`",
                spent_j=self._ledger.spent_j,
            )

    def _look_for_silence(self, now_s: float) -> None:
        for host in list(self._hosts.values()):
            limit_s = GRACE * self._setup.lease_s if host.incarnation else START_S
            if not host.released and now_s - host.heard_s > limit_s:
                self._gone(host)
