"""The account of metered energy: every joule belongs to exactly one purpose, and the budget cannot be exceeded
unnoticed.

`MeteredAccount` cuts the metered energy where the purpose changes: each piece belongs to the purpose that ended there,
so the purposes sum to the host's total by construction. If several trials run at once (`share_among`), a piece is
divided among them (`sharing.py`). Reported joules have an account of their own (`reported.py`).
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from ecoml.energy import EnergyByDomain, Provenance, Purpose
from ecoml.errors import BudgetExhausted, StorageError, TrainingError
from ecoml.ledger.accounts.attribution import Attribution, Step
from ecoml.ledger.accounts.meter_thread import Watch
from ecoml.ledger.accounts.overshoot import Overshoot
from ecoml.ledger.accounts.sharing import AT_REST, Sharing
from ecoml.ledger.gram_counter import GramCounter
from ecoml.meter.base import Window
from ecoml.meter.idle import claimed_seconds
from ecoml.run.storage.store import Store

HEARTBEAT_S = 1.0
"""Seconds between two writes of the energy in flight to disk: a kill loses no more than this."""

LONGEST_BLIND_S = 1.0
"""Longest time between two readings of the meter by `check_budget`, however much budget is left."""

CUT_OFF = (
    "the host was stopped, or received no message of the search: its energy after the end of its lease is not counted"
)

SHORTEST_POWER_S = 0.05
"""The power over a shorter piece depends on the counter's resolution more than on the host."""


class MeteredAccount:
    """Charges the metered energy.

    Args:
        store: Where joules are entered.
        window: The meter's window, open since the session started.
        spent_j: Joules of earlier sessions.
        opened_s: When the window was opened, on `clock`; None: just now.
        watch: Observes devices at each heartbeat.
        co2e: Converts joules to CO2e.
        clock: Returns seconds.
        heartbeat_s: Seconds between two times that joules in flight are put on disk; None: never (simulated time).

    Attributes:
        limit_j: `check_budget` raises when this is spent; at most the budget.
        spent_j: Joules since the search started, earlier sessions included.
        unwatched_j: The largest energy between two checks: the overshoot bound.
        workers_j: The part of `spent_j` that belongs to trials on workers in this session.
        until_s: Energy after this time, on `clock`, does not belong to this account.
    """

    metered = True
    thinking_cpu_s = 0.0

    def __init__(
        self,
        store: Store,
        window: Window,
        *,
        spent_j: float = 0.0,
        opened_s: float | None = None,
        watch: Watch | None = None,
        co2e: GramCounter | None = None,
        clock: Callable[[], float] = time.monotonic,
        heartbeat_s: float | None = HEARTBEAT_S,
    ) -> None:
        self.limit_j = float("inf")
        self.co2e = co2e or GramCounter()
        self.spent_j = spent_j
        self.unwatched_j = 0.0
        self.workers_j = 0.0
        self.until_s = math.inf
        self._store = store
        self._window = window
        self._clock = clock
        self._heartbeat_s = heartbeat_s
        self._lock = threading.RLock()
        self._sharing = Sharing()
        self._attribution = Attribution()
        self._session = store.next_session()
        self._watch = watch
        self._read_at = self._next_read_at = clock()
        self._overshoots: dict[int | None, Overshoot] = {
            None: Overshoot(self._read_at)
        }  # of each worker; None: there are no workers
        self._power_since = self._read_at, spent_j
        self._peak_power_w = 0.0
        self._opened_s = self._read_at if opened_s is None else opened_s
        self._closed = False
        self._lap()  # what was spent before there was an account: getting ready, over a time it does not know
        if watch is not None:
            watch.keep(self._read_at, self._sharing)
        self.unwatched_j = self._peak_power_w = 0.0
        self._overshoots = {None: Overshoot(self._read_at)}
        self._power_since = self._read_at, self.spent_j
        self._heart = threading.Event()
        self._thread = threading.Thread(target=self._live, name="ecoml-heartbeat", daemon=True)
        self._thread.start()

    def refuse_other_source(self, trial: int, energy_j: float | None) -> None:
        """Refuse a training that reports joules.

        Raises:
            TrainingError: It does.
        """
        if energy_j is not None:
            raise TrainingError(
                f"trial {trial} reports energy_j, but the energy of this search is metered;"
                ' give energy="reported" to the search, or leave out energy_j',
                spent_j=self.spent_j,
            )

    @property
    def power_w(self) -> float:
        """The highest power over a piece of at least 50 ms."""
        return self._peak_power_w

    @property
    def left_j(self) -> float:
        """Joules up to the first of the two limits, at the grid's current intensity."""
        return min(self.limit_j - self.spent_j, self.co2e.left_j)

    @property
    def provenance(self) -> Provenance:
        """The provenance of the open window."""
        return self._window.provenance

    def commit_late(self) -> None:
        """Do nothing: metered steps take time, and each is written to disk as it ends."""

    def share_among(self, domains: Sequence[str]) -> None:
        """From now on several trials run at once, each on the device of one of these domains."""
        with self._lock:
            self._lap()
            self._sharing = Sharing(domains)

    def limit(self, limit_j: float) -> None:
        """Set the limit at which `check_budget` raises."""
        with self._lock:
            self.limit_j = limit_j
            self._next_read_at = self._read_at

    def step_j(self, trial: int) -> float:
        """Joules of a trial's step up to the last reading."""
        return self._attribution.step(trial).energy.energy_j

    def check_budget(self, worker: int | None = None) -> None:
        now = self._clock()
        with self._lock:
            if worker in self._overshoots:
                self._overshoots[worker].checked(now)
        if now < self._next_read_at:
            return
        self._lap()
        left_j = self.left_j
        if left_j <= 0:
            raise BudgetExhausted
        # Read again before the rest could be gone, even at four times the highest power seen so far.
        left_s = left_j / (4 * self._peak_power_w) if self._peak_power_w else 0.0
        self._next_read_at = now + min(left_s, LONGEST_BLIND_S)

    def enter(self, purpose: Purpose, trial: int | None = None, worker: int | None = None) -> None:
        with self._lock:
            before = self._sharing.host if worker is None else self._sharing.busy.get(worker, AT_REST)
            if purpose in (Purpose.TRAINING, Purpose.EVALUATION) and trial is None:
                trial = before[1]
            if (purpose, trial) == before:
                return
            self._lap()
            if worker is None:
                self._sharing.host = purpose, trial
            else:
                self._sharing.busy[worker] = purpose, trial
                self._overshoots.pop(None, None)
                self._overshoots.setdefault(worker, Overshoot(self._read_at))

    @contextmanager
    def end_of_step(self, trial: int, energy_j: float | None = None, uncertainty_j: float = 0.0) -> Iterator[Step]:
        """Settle a trial's step in one transaction, together with what is written inside; yields the energy of the
        step.

        The joules are the meter's; the arguments are for the other kind of account.
        """
        del energy_j, uncertainty_j
        with self._lock, self._store.transaction():
            self._lap()
            yield self._attribution.step(trial)
            self._end_step(trial)

    def settle(self) -> None:
        """Enter all joules so far, even in the middle of a step."""
        with self._lock:
            self._lap()
            self._enter()

    def close(self) -> None:
        """Enter the rest; later energy does not belong to this search. May be called twice."""
        self._stop_heart()
        with self._lock:  # a training that still runs must not add to what is told to be all
            if self._closed:
                return
            self._beat()
            self.settle()
            if self._watch is not None:
                self._watch.keep(self._read_at, self._sharing, last=True)
            self._closed = True

    def _stop_heart(self) -> None:
        self._heart.set()
        self._thread.join()

    def _end_step(self, trial: int) -> None:
        """Enter the last piece and all before it; from now on energy is overhead until a purpose is entered."""
        self._enter()
        self._attribution.end_step(trial)
        worker = self._sharing.of_trial(trial)
        self._overshoots.pop(worker, None)
        if worker is None:
            self._sharing.host = AT_REST
        else:
            del self._sharing.busy[worker]
        if not self._overshoots:
            self._overshoots[None] = Overshoot(self._clock())

    def _enter(self) -> None:
        with self._store.transaction():
            self._store.enter(self._attribution.pending, self.co2e.of(self._attribution.pending_g))
            for gap in self.co2e.news():
                self._store.add_gap(gap)
            self._note_host()
        self._attribution.entered()

    def _note_host(self) -> None:
        host = self._attribution.host
        if host is not None:
            seconds = claimed_seconds(self._window, host.domains, self._read_at - self._opened_s)
            self._store.set_host(self._session, seconds, host)

    def _lap(self) -> None:
        """Cut a piece; it belongs to the current purpose."""
        with self._lock:
            if self._closed:
                return
            energy = self._window.lap()
            now = self._clock()
            if now > self.until_s:  # this process was stopped: what came after its time is not the search's
                share = max(0.0, self.until_s - self._read_at) / (now - self._read_at)
                parts = {domain: part.times(share) for domain, part in energy.domains.items()}
                energy = EnergyByDomain(parts, (*energy.gaps, CUT_OFF))
            lap_s, self._read_at = now - self._read_at, now
            lap_j = energy.energy_j
            self.spent_j += lap_j
            divided = self._sharing.divide(energy)
            self.workers_j += sum(divided[activity].energy_j for activity in self._sharing.busy.values())
            self._attribution.add(energy, divided, self.co2e.add(lap_j))
            if self._watch is not None:
                self._watch.add(energy)
            since_s, since_j = self._power_since
            if now - since_s >= SHORTEST_POWER_S:
                self._peak_power_w = max(self._peak_power_w, (self.spent_j - since_j) / (now - since_s))
                self._power_since = now, self.spent_j
            for sight in self._overshoots.values():
                self.unwatched_j = max(self.unwatched_j, sight.read(now, lap_s, lap_j))

    def _live(self) -> None:
        while not self._heart.wait(self._heartbeat_s):
            with suppress(StorageError):  # the search itself meets it at its next step, and says so
                self._beat()

    def _beat(self) -> None:
        if self._watch is not None:
            self._watch.observe(self._clock())  # before the lock: asking a driver takes milliseconds
        with self._lock, self._store.transaction():
            self._lap()
            self._store.note_in_flight(self._attribution.pending, self.co2e.of(self._attribution.pending_g))
            self._note_host()
            if self._watch is not None:
                self._watch.keep(self._read_at, self._sharing)
