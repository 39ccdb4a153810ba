"""Kill and stop the agents and the driver of a search at random moments, and check its accounts afterwards.

    nice python benchmarks/chaos.py --runs 100 --log chaos.log
    nice python benchmarks/chaos.py --runs 20 --nodes 4 --log chaos-ray.log      # on Ray: see `chaos_ray.py`

The log has one line per run; a new start makes only the runs that the log does not have. Each run is a search of its
own on two agents of this machine, with leases of one second. Every 0.2 to 1.2 s the program kills the driver or an
agent (SIGKILL), or stops it for 0.5 to 3 s (SIGSTOP). It resumes a killed driver. At the end it checks:

    all spent energy ≤ budget + stated bound
    Σ spools = Σ of the hosts' joules in the ledger (± the energy that the ledger calls in doubt)
    every measurement and every joule that was ever in the ledger is still in it
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from chaos_processes import children

from ecoml.run.result import Result

SEARCH = """
import sys, time
import ecoml
import ecoml.searcher.ray.agents
from ecoml.errors import SearchFailed
from ecoml.searcher.hosts.choosing import RemoteWorkers

ecoml.searcher.ray.agents.HEAD_S = 5.0
folder, budget_j, workers, digits = sys.argv[1], float(sys.argv[2]), sys.argv[4], sys.argv[6] == "True"
RemoteWorkers.__init__.__defaults__ = (float(sys.argv[5]),)
space = ecoml.Space({"rate": ecoml.Float(1e-4, 1e-1, log=True), "width": ecoml.Int(8, 64)})

def train(config):
    for step in range(5):
        until = time.process_time() + config["width"] / 1000
        while time.process_time() < until:
            pass
        yield 0.2 * step * (1 - config["rate"])

if digits:
    space, train = ecoml.load_space("cnn-small"), ecoml.CnnTraining("digits")
if sys.argv[3] == "new":
    searcher = ecoml.Searcher(space, train, budget_j=budget_j, strategy="random", directory=folder, workers=workers)
else:
    searcher = ecoml.Searcher.resume(folder, train, workers=workers)
try:
    searcher.run()
except SearchFailed as error:
    print(error, file=sys.stderr)
    sys.exit(%d if type(error) is SearchFailed else 1)
"""

HOSTS_LOST = 75
"""Exit code of a driver whose last host was lost: the search can be resumed."""

CLUSTER_ENDED = "no Ray cluster answers", "Failed to register worker to Raylet"
"""What a driver, or Ray in its place, says when it starts while the head is killed."""

AS_IT_SHOULD_BE = "as it should be"
"""The end of the line of a run that passed all checks."""

QUIET_S = 120.0
"""Seconds that a run may still take after its last fault."""


class Place(Protocol):
    """Where a search runs, and what can be killed and stopped there.

    Attributes:
        workers: As `ecoml search --workers` takes them.
        lease_s: Seconds without a message from the driver after which an agent stops.
        budget_j: The smallest and the largest budget of a search.
        longest_s: After this time the run has no more faults.
        digits: Whether the built-in training trains on digits, instead of a function that keeps a processor busy.
    """

    workers: str
    lease_s: float
    budget_j: tuple[float, float]
    longest_s: float
    digits: bool

    def targets(self, driver: int) -> list[tuple[str, list[int]]]:
        """The processes that may be killed or stopped, by name."""

    def killed(self, name: str, processes: list[int]) -> None:
        """Called after something was killed."""

    def spools(self, run: Path) -> list[Path]:
        """The accounts of a run's hosts."""


class ThisHost:
    """Two agents over plain connections."""

    workers = "local:2"
    lease_s = 1.0
    budget_j = 40.0, 80.0
    longest_s = 15.0
    digits = False

    def targets(self, driver: int) -> list[tuple[str, list[int]]]:
        agents = [("agent", [process]) for process in children(driver)]
        return [("driver", [driver]), *agents, *agents]

    def killed(self, name: str, processes: list[int]) -> None:
        """Nothing to do: the driver starts another agent."""

    def spools(self, run: Path) -> list[Path]:
        return list((run / "spools").glob("*.sqlite"))


@dataclass
class Account:
    """What a run left on disk.

    Attributes:
        spent_j: All joules.
        budget_j: The budget.
        bound_j: The overshoot bound, as the run states it.
        spooled_j: Joules of all spools.
        charged_j: Joules of the hosts in the ledger.
        doubt_j: The part that hosts may or may not have spent, because they have not closed their accounts.
        blows: The faults.
    """

    spent_j: float
    budget_j: float
    bound_j: float
    spooled_j: float
    charged_j: float
    doubt_j: float
    blows: list[str]

    @property
    def faults(self) -> list[str]:
        """The conditions that do not hold."""
        found = []
        if self.spent_j > self.budget_j + self.bound_j:
            found.append(f"{self.spent_j:.2f} J spent of {self.budget_j:.2f} J, bound {self.bound_j:.2f} J")
        if abs(self.spooled_j - self.charged_j) > self.doubt_j + 1e-6 * self.spooled_j:
            told = f"spools {self.spooled_j:.4f} J, ledger {self.charged_j:.4f} J, doubt {self.doubt_j:.2f} J"
            found.append(told)
        return found


def chaos(folder: Path, seed: int, place: Place | None = None, longest_s: float | None = None) -> Account:
    """One run. `place` may be given with another time after which there are no more faults.

    Raises:
        AssertionError: A measurement or an entry was lost.
    """
    place = place or ThisHost()
    longest_s = longest_s or place.longest_s
    chance = random.Random(seed)  # noqa: S311 - no secret
    script, run = folder / "search.py", folder / "run"
    script.write_text(SEARCH % HOSTS_LOST, encoding="utf-8")
    budget_j, blows = chance.uniform(*place.budget_j), list[str]()
    started_s = time.monotonic()
    driver = _start(script, run, budget_j, place)
    kept: list[list[tuple[Any, ...]]] = [[], []]
    while True:
        quiet = time.monotonic() - started_s > longest_s
        with suppress(subprocess.TimeoutExpired):
            driver.wait(QUIET_S if quiet else chance.uniform(0.2, 1.2))
        if (run / "ledger.sqlite").is_file():
            for table, before in zip(("measurement", "entry"), kept, strict=True):
                now = _rows(run / "ledger.sqlite", f"SELECT * FROM {table} ORDER BY id")  # noqa: S608 - one of two names above
                assert now[: len(before)] == before, f"{table}s were lost"
                before[:] = now
        if driver.poll() is not None:
            assert driver.stderr is not None
            with driver.stderr:
                said = driver.stderr.read().decode()
            if driver.returncode not in (-signal.SIGKILL, HOSTS_LOST) and not any(map(said.count, CLUSTER_ENDED)):
                break
            driver = _start(script, run, budget_j, place)
            continue
        if not quiet:
            blows.append(_strike(place, driver.pid, chance))
    assert driver.returncode == 0 or "BudgetError" in said, said
    return _account(run, blows, place)


def _strike(place: Place, driver: int, chance: random.Random) -> str:
    """Kill something, or stop it for a while; returns what was done."""
    name, processes = chance.choice(place.targets(driver))
    if chance.random() < 0.5:
        _signal(processes, signal.SIGKILL)
        place.killed(name, processes)
        return f"kill {name}"
    _signal(processes, signal.SIGSTOP)
    time.sleep(chance.uniform(0.5, 3.0))
    _signal(processes, signal.SIGCONT)
    return f"stop {name}"


def _signal(processes: list[int], number: signal.Signals) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, number)


def _account(run: Path, blows: list[str], place: Place) -> Account:
    energy = Result.load(run).energy
    ledger = run / "ledger.sqlite"
    counted = "SELECT TOTAL(energy_j) FROM (SELECT energy_j FROM entry UNION ALL SELECT energy_j FROM in_flight)"
    spooled_j = sum(_rows(path, counted)[0][0] for path in place.spools(run))
    charged_j = _rows(ledger, "SELECT TOTAL(energy_j) FROM entry WHERE domain LIKE '%/%'")[0][0]
    open_j = f"SELECT TOTAL(open_j + power_w * {place.lease_s}) FROM spool WHERE enrolled"  # noqa: S608 - a number
    return Account(
        *(energy.total_j, energy.budget_j, energy.overshoot_bound_j, spooled_j, charged_j),
        *(_rows(ledger, open_j)[0][0], blows),
    )


def _start(script: Path, run: Path, budget_j: float, place: Place) -> subprocess.Popen[bytes]:
    how = "resume" if (run / "ledger.sqlite").is_file() else "new"
    arguments = [run, budget_j, how, place.workers, place.lease_s, place.digits]
    return subprocess.Popen([sys.executable, script, *map(str, arguments)], stderr=subprocess.PIPE)


def _rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()


def main() -> None:
    """Make the runs, print a line for each, and at the end what did not hold."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--nodes", type=int, default=0, help="Use a Ray cluster of this many local nodes.")
    parser.add_argument("--digits", action="store_true", help="Train networks on digits (with --nodes).")
    parser.add_argument(
        "--log", type=Path, default=Path(os.devnull), help="A file with a line for each run, which is not repeated."
    )
    given = parser.parse_args()
    if given.nodes:
        from chaos_ray import cluster
    kept = given.log.read_text(encoding="utf-8") if given.log.is_file() else ""
    with ExitStack() as stack:
        place = stack.enter_context(cluster(given.nodes, digits=given.digits)) if given.nodes else ThisHost()
        lines = {line.partition(":")[0]: line for line in kept.splitlines()}
        seeds = [str(seed) for seed in range(given.seed, given.seed + given.runs)]
        for seed in (seed for seed in seeds if seed not in lines):
            lines[seed] = f"{seed}: {_run(int(seed), place)}"
            with given.log.open("a", encoding="utf-8") as log:
                print(lines[seed], file=log)
            print(lines[seed], flush=True)
    good = sum(lines[seed].endswith(AS_IT_SHOULD_BE) for seed in seeds)
    blows = sum(int(lines[seed].split()[1]) for seed in seeds)
    print(f"{good} of {given.runs} runs as they should be, {blows} blows")


def _run(seed: int, place: Place) -> str:
    """The line of one run."""
    with tempfile.TemporaryDirectory(prefix="ecoml-chaos-") as folder:
        try:
            account = chaos(Path(folder), seed, place)
        except AssertionError as error:
            return f"0 blows, {' '.join(str(error).split())}"
    return (
        f"{len(account.blows)} blows, {account.spent_j:.1f} of {account.budget_j:.1f} J"
        f" (bound {account.bound_j:.1f} J), spools {account.spooled_j:.2f} J, ledger {account.charged_j:.2f} J,"
        f" doubt {account.doubt_j:.2f} J, {'; '.join(account.faults) or AS_IT_SHOULD_BE}"
    )


if __name__ == "__main__":
    main()
