"""The ledger's part for other hosts: the energy that each has counted, may still spend unnoticed, and has in doubt.

    charged + open allowances + doubt + Σ over hosts (highest power × lease time) + reserve for the end ≤ budget

A host's counters are cumulative, and the charge is the difference to the last committed statement: a repeated statement
adds nothing, the next statement makes up for a lost one, and a late one is ignored.

Charged energy is converted to CO2e with the driver's grid, at the intensity of the time of the charge: within a beat of
the time it was spent, or later if a host was out of reach. Hosts on other grids are counted with this one as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from ecoml.energy import Energy, EnergyByDomain, Provenance, Purpose, co2e_g, weakest
from ecoml.ledger.accounts.attribution import Step
from ecoml.ledger.accounts.sharing import Activity
from ecoml.ledger.gram_counter import GramCounter
from ecoml.ledger.open_steps import OpenSteps
from ecoml.ledger.running_sum import RunningSum
from ecoml.ledger.statement import Statement, difference
from ecoml.run.storage.store import Store

_OF_STEP = (Purpose.TRAINING, Purpose.EVALUATION)
_NO_TRIAL = -1


@dataclass(frozen=True, slots=True)
class Told:
    """A host's report on a completed step.

    Attributes:
        step: Energy of the step, by the host's own account: more precise than the sum of the charges.
        kind: The host's class.
        floor_j: The least energy of the trial's arithmetic up to this step, on that host; None if unknown.
    """

    step: Step
    kind: str = ""
    floor_j: float | None = None


@dataclass(slots=True)
class _Spool:
    """The state of one host's account.

    Attributes:
        host: The host's name.
        order: Order of the last statement that was charged.
        power_w: The highest power so far.
        unwatched_j: The largest energy between two checks.
        open_j: Open allowances, or those that were open when it was lost.
        enrolled: Whether it may spend more than was charged.
        lost: Whether the use of its open allowances is unknown.
        counted: The last charged value of every counter.
    """

    host: str
    order: tuple[int, int] = (0, 0)
    power_w: float = 0.0
    unwatched_j: float = 0.0
    open_j: float = 0.0
    enrolled: bool = True
    lost: bool = False
    counted: dict[tuple[Activity, str], Energy] = field(default_factory=dict)

    def unseen_j(self, lease_s: float) -> float:
        """Joules that it may spend unnoticed in addition to open allowances: until it stops, and what is in doubt."""
        if not self.enrolled:
            return 0.0
        return self.power_w * lease_s + (self.open_j if self.lost else 0.0)


class HostAccounts:
    """Charges the joules that the agents of other hosts count; without other hosts everything is zero.

    Args:
        store: Where joules are entered.
        lease_s: Seconds without a message from the driver after which an agent stops.
        co2e: Converts joules to CO2e, together with the driver's; None: no CO2e is computed.

    Attributes:
        spent_j: Joules of all hosts since the search started.
        steps: Joules of each trial's step under way.
    """

    def __init__(self, store: Store, lease_s: float = 0.0, co2e: GramCounter | None = None) -> None:
        self.spent_j = 0.0
        self._store = store
        self._lease_s = lease_s
        self._co2e = co2e or GramCounter()
        self._spools: dict[str, _Spool] = {}  # by its id
        self.steps = OpenSteps()
        self._since: dict[int, EnergyByDomain] = {}  # charged to a trial since its last step ended
        self._since_g: dict[int, float] = {}  # and what that stands for
        self._ended: dict[int, Told] = {}
        self._sources: set[Provenance] = set()
        self._longest_s = 0.0
        self._told: set[tuple[str, str]] = set()
        self._unseen_j = RunningSum()  # by spool
        self._take_up()

    def _take_up(self) -> None:
        """Restore the state of an earlier session: hosts that may have spent unreported joules are in doubt."""
        rows = self._store.rows(
            "SELECT id, host, incarnation, sequence, power_w, unwatched_j, open_j, enrolled FROM spool"
        )
        for spool, host, incarnation, sequence, power_w, unwatched_j, open_j, enrolled in rows:
            order, held = (incarnation, sequence), bool(enrolled)
            self._spools[spool] = _Spool(host, order, power_w, unwatched_j, open_j, held, held)
            self._unseen_j.set(spool, self._spools[spool].unseen_j(self._lease_s))
        for spool, purpose, trial, domain, *figures in self._store.rows(
            "SELECT spool, purpose, trial, domain, energy_j, uncertainty_j, provenance, edge_j FROM reading"
        ):
            activity = Purpose(purpose), None if trial == _NO_TRIAL else trial
            joules, half_j, source, edge_j = figures
            self._spools[spool].counted[activity, domain] = Energy(joules, half_j, Provenance(source), edge_j)
            self._sources.add(Provenance(source))
        counted = [part.energy_j for spool in self._spools.values() for part in spool.counted.values()]
        self.spent_j = math.fsum(counted)

    def __contains__(self, trial: int) -> bool:
        return trial in self._since or trial in self._ended

    @property
    def unseen_j(self) -> float:
        """Joules that hosts may spend unnoticed in addition to open allowances: until they stop, and what is in
        doubt.
        """
        return self._unseen_j.total()

    @property
    def doubt_j(self) -> float:
        """Joules that lost hosts may or may not have spent."""
        lost = [spool for spool in self._spools.values() if spool.lost]
        return math.fsum(spool.unseen_j(self._lease_s) for spool in lost)

    @property
    def unwatched_j(self) -> float:
        """The most that all hosts together may spend beyond their allowances, and while the driver was busy."""
        late_s = max(0.0, self._longest_s - self._lease_s)
        return math.fsum(spool.unwatched_j + late_s * spool.power_w for spool in self._spools.values())

    def turned(self, seconds: float) -> None:
        """The driver received nothing for this many seconds, whatever the hosts spent."""
        self._longest_s = max(self._longest_s, seconds)

    @property
    def provenance(self) -> Provenance:
        """The provenance of the weakest host; `missing` if there is none."""
        return weakest(self._sources)

    @property
    def by_host_j(self) -> dict[str, float]:
        """Joules of each host."""
        found: dict[str, float] = {}
        for spool in self._spools.values():
            spent_j = math.fsum(part.energy_j for part in spool.counted.values())
            found[spool.host] = found.get(spool.host, 0.0) + spent_j
        return found

    def take(self, statement: Statement) -> bool:
        """Charge what a host has counted since its last statement; False for a late or repeated one."""
        if statement.spool not in self._spools and (unreported := _unreported(statement.host)) in self._spools:
            self.release(unreported)
        spool = self._spools.setdefault(statement.spool, _Spool(statement.host))
        if statement.order <= spool.order:
            return False
        gained: dict[Activity, dict[str, Energy]] = {}
        rows = []
        for activity, energy in statement.counters.items():
            for domain, part in energy.domains.items():
                key = activity, domain
                before = spool.counted.get(key)
                if before == part:
                    continue
                spool.counted[key] = part
                self._sources.add(part.provenance)
                gained.setdefault(activity, {})[f"{statement.host}/{domain}"] = difference(part, before)
                number = _NO_TRIAL if activity[1] is None else activity[1]
                figures = part.energy_j, part.uncertainty_j, part.provenance.value, part.edge_j
                rows.append((statement.spool, activity[0].value, number, domain, *figures))
        charged = {activity: EnergyByDomain(domains) for activity, domains in gained.items()}
        g_per_kwh = self._co2e.add(math.fsum(energy.energy_j for energy in charged.values()))
        grams = {activity: co2e_g(energy.energy_j, g_per_kwh) for activity, energy in charged.items()}
        with self._store.transaction():
            self._store.add_entries(charged, self._co2e.of(grams))
            if rows:
                self._store.execute("INSERT OR REPLACE INTO reading VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
            for (session, domain), (seconds, window) in statement.seen.items():
                name = f"{statement.host}/{domain}"
                self._store.set_host(session, {name: seconds}, EnergyByDomain({name: window}))
            spool.order, spool.host = statement.order, statement.host
            spool.power_w = max(spool.power_w, statement.power_w)
            spool.unwatched_j = max(spool.unwatched_j, statement.unwatched_j)
            for gap in statement.gaps:
                if (statement.host, gap) not in self._told:
                    self._told.add((statement.host, gap))
                    self._store.add_gap(f"{statement.host}: {gap}")
            self._keep(statement.spool)
        self._add(charged, grams)
        return True

    def _add(self, charged: Mapping[Activity, EnergyByDomain], grams: Mapping[Activity, float]) -> None:
        for (purpose, trial), energy in charged.items():
            joules = energy.energy_j
            self.spent_j += joules
            if trial is not None and purpose in _OF_STEP:
                self._since[trial] = self._since[trial] + energy if trial in self._since else energy
                self.steps.charge(trial, joules)
                self._since_g[trial] = self._since_g.get(trial, 0.0) + grams[purpose, trial]

    def opened(self, spool: str, open_j: float) -> None:
        """This many joules in allowances are open at a host. Called before its leases are sent."""
        if self._spools[spool].open_j != open_j:
            self._spools[spool].open_j = open_j
            self._keep(spool)

    def enrol(self, spool: str) -> None:
        """All energy of the host so far is charged, and it takes part."""
        if self._spools[spool].lost:
            self._spools[spool].open_j = 0.0
        self._change(spool, enrolled=True, lost=False)

    def lose(self, spool: str) -> None:
        """The host is lost: the rest of its open allowances is in doubt."""
        self._change(spool, enrolled=True, lost=True)

    def lose_unreported(self, host: str) -> None:
        """The host is lost before its first report: until it reports, it may have spent what the host with the highest
        power spends in a lease time.
        """
        power_w = max((spool.power_w for spool in self._spools.values()), default=0.0)
        self._spools[_unreported(host)] = _Spool(host, power_w=power_w, lost=True)
        self._keep(_unreported(host))

    def release(self, spool: str) -> None:
        """The host has closed its account, and all its energy is charged."""
        self._spools[spool].open_j = 0.0
        self._change(spool, enrolled=False, lost=False)

    def _change(self, spool: str, *, enrolled: bool, lost: bool) -> None:
        found = self._spools[spool]
        if (found.enrolled, found.lost) != (enrolled, lost):
            found.enrolled, found.lost = enrolled, lost
            self._keep(spool)

    def step_ended(self, trial: int, told: Told) -> None:
        """Store a host's report on the step of a trial that has ended."""
        self._ended[trial] = told

    def told(self, trial: int) -> Told | None:
        """The host's report on the step that has ended; None if it was made here, or if its host is lost."""
        return self._ended.get(trial)

    @contextmanager
    def end_of_step(self, trial: int) -> Iterator[Step]:
        """Settle a trial's step, whose joules are already charged, together with what is written inside."""
        since = self._since.get(trial, EnergyByDomain())
        with self._store.transaction():
            step = self._ended[trial].step if trial in self._ended else Step(since)
            yield replace(step, co2e_g=self._since_g.get(trial, 0.0))
        self._since.pop(trial, None)
        self.steps.settle(trial)
        self._since_g.pop(trial, None)
        self._ended.pop(trial, None)

    def _keep(self, spool: str) -> None:
        found = self._spools[spool]
        self._store.execute(
            "INSERT OR REPLACE INTO spool VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    *(spool, found.host, *found.order, found.power_w, found.unwatched_j, found.open_j),
                    *(int(found.enrolled), self.provenance.value),
                )
            ],
        )
        self._unseen_j.set(spool, found.unseen_j(self._lease_s))


def _unreported(host: str) -> str:
    """The id under which a host's spool is kept before its first report."""
    return f"unreported {host}"
