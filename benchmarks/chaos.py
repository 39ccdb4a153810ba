"""A search on agents that are killed and stopped at random moments, and so is its driver; what its accounts say then.

    nice python benchmarks/chaos.py --runs 100 --log chaos.log

A log keeps a line a run; started again, only the runs that it lacks are made. Each run is a search of its own on two agents of this host, with leases of a second. Every 0.2 to 1.2 s an agent or the
driver is killed (SIGKILL), or stopped for 0.5 to 3 s (SIGSTOP); a driver that was killed is resumed. In the end:

    all that was spent ≤ budget + stated bound
    Σ spools = Σ of the hosts' joules in the ledger (± what it says is in doubt)
    every measurement that was ever in the ledger is there still, and every joule entered
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
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecoml.run.result import Result

SEARCH = """
import sys, time
import ecoml
from ecoml.searcher.hosts.choosing import RemoteWorkers

RemoteWorkers.__init__.__defaults__ = (LEASE_S,)
space = ecoml.Space({"rate": ecoml.Float(1e-4, 1e-1, log=True), "width": ecoml.Int(8, 64)})

def train(config):
    for step in range(5):
        until = time.process_time() + config["width"] / 1000
        while time.process_time() < until:
            pass
        yield 0.2 * step * (1 - config["rate"])

folder, budget_j = sys.argv[1], float(sys.argv[2])
if sys.argv[3] == "new":
    searcher = ecoml.Searcher(space, train, budget_j=budget_j, strategy="random", directory=folder, workers="local:2")
else:
    searcher = ecoml.Searcher.resume(folder, train)
searcher.run()
"""
LEASE_S = 1.0

AS_IT_SHOULD_BE = "as it should be"
"""Of a run without faults."""

LONGEST_S = 15.0
"""After so long nothing more happens to a run."""

QUIET_S = 120.0
"""So long it may then take to its end."""


@dataclass
class Account:
    """What is left of a run on disk.

    Attributes:
        spent_j: All joules.
        budget_j: The ceiling.
        bound_j: By how much it may have been overshot, as the run says.
        spooled_j: Joules of all spools.
        charged_j: Joules of the hosts in the ledger.
        doubt_j: Of which nobody knows whether they were spent: of hosts that have not closed their accounts.
        blows: What happened.
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
        """What does not hold."""
        found = []
        if self.spent_j > self.budget_j + self.bound_j:
            found.append(f"{self.spent_j:.2f} J spent of {self.budget_j:.2f} J, bound {self.bound_j:.2f} J")
        if abs(self.spooled_j - self.charged_j) > self.doubt_j + 1e-6 * self.spooled_j:
            told = f"spools {self.spooled_j:.4f} J, ledger {self.charged_j:.4f} J, doubt {self.doubt_j:.2f} J"
            found.append(told)
        return found


def chaos(folder: Path, seed: int, longest_s: float = LONGEST_S) -> Account:
    """One run; after so many seconds nothing more happens to it.

    Raises:
        AssertionError: A measurement or an entry was lost.
    """
    chance = random.Random(seed)  # noqa: S311 - no secret
    script, run = folder / "search.py", folder / "run"
    script.write_text(SEARCH.replace("LEASE_S", str(LEASE_S)), encoding="utf-8")
    budget_j, blows = chance.uniform(40, 80), list[str]()
    started_s = time.monotonic()
    driver = _start(script, run, budget_j)
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
            if driver.returncode != -signal.SIGKILL and "go on with `ecoml resume`" not in said:
                break
            driver = _start(script, run, budget_j)
            continue
        if quiet:
            continue
        agents = _children(driver.pid)
        who = chance.choice([driver.pid, *agents, *agents])
        name = "driver" if who == driver.pid else "agent"
        with suppress(ProcessLookupError):
            if chance.random() < 0.5:
                blows.append(f"kill {name}")
                os.kill(who, signal.SIGKILL)
            else:
                blows.append(f"stop {name}")
                os.kill(who, signal.SIGSTOP)
                time.sleep(chance.uniform(0.5, 3.0))
                os.kill(who, signal.SIGCONT)
    assert driver.returncode == 0 or "BudgetError" in said, said
    return _account(run, blows)


def _account(run: Path, blows: list[str]) -> Account:
    energy = Result.load(run).energy
    ledger = run / "ledger.sqlite"
    spools = [_rows(path, "SELECT TOTAL(energy_j) FROM (SELECT energy_j FROM entry UNION ALL SELECT energy_j FROM"
                          " in_flight)")[0][0] for path in (run / "spools").glob("*.sqlite")]  # fmt: skip
    charged_j = _rows(ledger, "SELECT TOTAL(energy_j) FROM entry WHERE domain LIKE '%/%'")[0][0]
    doubt_j = _rows(ledger, f"SELECT TOTAL(open_j + power_w * {LEASE_S}) FROM spool WHERE enrolled")[0][0]  # noqa: S608 - a number
    return Account(
        *(energy.total_j, energy.budget_j, energy.overshoot_bound_j, sum(spools), charged_j, doubt_j),
        blows,
    )


def _start(script: Path, run: Path, budget_j: float) -> subprocess.Popen[bytes]:
    how = "resume" if (run / "ledger.sqlite").is_file() else "new"
    return subprocess.Popen([sys.executable, script, str(run), str(budget_j), how], stderr=subprocess.PIPE)


def _children(pid: int) -> list[int]:
    """The agents of a driver."""
    with suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()


def main() -> None:
    """Runs of chaos, a line each, and what did not hold."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--log", type=Path, default=Path(os.devnull), help="Keeps the lines; what it has is not run again."
    )
    given = parser.parse_args()
    kept = given.log.read_text(encoding="utf-8") if given.log.is_file() else ""
    lines = {line.partition(":")[0]: line for line in kept.splitlines()}
    seeds = [str(seed) for seed in range(given.seed, given.seed + given.runs)]
    for seed in (seed for seed in seeds if seed not in lines):
        lines[seed] = f"{seed}: {_run(int(seed))}"
        with given.log.open("a", encoding="utf-8") as log:
            print(lines[seed], file=log)
        print(lines[seed], flush=True)
    good = sum(lines[seed].endswith(AS_IT_SHOULD_BE) for seed in seeds)
    blows = sum(int(lines[seed].split()[1]) for seed in seeds)
    print(f"{good} of {given.runs} runs as they should be, {blows} blows")


def _run(seed: int) -> str:
    """What one run amounts to."""
    with tempfile.TemporaryDirectory(prefix="ecoml-chaos-") as folder:
        try:
            account = chaos(Path(folder), seed)
        except AssertionError as error:
            return f"0 blows, {' '.join(str(error).split())}"
    return (
        f"{len(account.blows)} blows, {account.spent_j:.1f} of {account.budget_j:.1f} J"
        f" (bound {account.bound_j:.1f} J), spools {account.spooled_j:.2f} J, ledger {account.charged_j:.2f} J,"
        f" doubt {account.doubt_j:.2f} J, {'; '.join(account.faults) or AS_IT_SHOULD_BE}"
    )


if __name__ == "__main__":
    main()
