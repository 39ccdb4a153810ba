"""Searches on clusters that are not there, of 1 to 1,000 workers: what they take, and what it costs to drive them.

    python benchmarks/cluster.py --lcbench lcbench.npz --out figures

Hosts replay the curves of LCBench on a virtual clock (see `simulated_cluster.py`); the driver is the search's own code.
A row a search: joules and wall time to the target, the driver's CPU time a step without the strategy's, messages a
second of virtual time, steps a second of CPU time, and the size of the ledger.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from simulated_cluster import Conditions, SimulatedHosts, no_training
from strategy_problems import TrainingTask, lcbench_tasks, open_problem

import ecoml
from ecoml.run.result import Result

WORKERS = (1, 2, 4, 10, 30, 100, 300, 1000)

SHARE_OF_BEST = 0.97
"""The target: so much of the best accuracy in the table."""


@dataclass(frozen=True)
class Row:
    """One search."""

    task: str
    strategy: str
    workers: int
    seed: int
    lost: float
    life_s: float
    reached: bool
    spent_j: float
    wall_s: float
    steps: int
    trials: int
    driver_ms_a_step: float
    steps_a_cpu_s: float
    messages_a_s: float
    ledger_mb: float
    over_j: float
    bound_j: float
    doubt_j: float
    accounted: float


def search(problem: TrainingTask, task: str, strategy: str, conditions: Conditions, **options: Any) -> Row:
    """One search on a cluster that is not there."""
    hosts = SimulatedHosts(problem, conditions)
    with tempfile.TemporaryDirectory(prefix="ecoml-cluster-") as folder:
        searcher = ecoml.Searcher(
            problem.space,
            no_training,
            strategy=strategy,
            seed=conditions.seed,
            energy="reported",
            directory=Path(folder) / "run",
            workers=hosts,
            **options,
        )
        began_s = time.process_time()
        result: Result = searcher.run()
        took_s = time.process_time() - began_s
        size_mb = sum(path.stat().st_size for path in (Path(folder) / "run").glob("ledger.sqlite*")) / 1e6
    steps = len(result.progress)
    driver_s = took_s - hosts.own_s - result.energy.thinking_cpu_s
    energy = result.energy
    return Row(
        *(task, strategy, conditions.workers, conditions.seed, conditions.lost, conditions.life_s),
        result.ended is not None and result.ended.reason == "target-reached",
        *(energy.total_j, hosts.now_s, steps, len(result.trials)),
        1000 * driver_s / steps,
        steps / driver_s,
        hosts.messages / hosts.now_s,
        size_mb,
        max(0.0, energy.total_j - energy.budget_j),
        energy.overshoot_bound_j,
        energy.doubt_j,
        energy.total_j / hosts.spent_j,
    )


def target_of(problem: TrainingTask, task: str, path: Path) -> float:
    """A share of the best accuracy of the table."""
    import numpy as np

    del problem
    with np.load(path) as data:
        return SHARE_OF_BEST * float(data[f"{task}_accuracy"].max())


def main() -> None:
    """All searches, a line each, and a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--lcbench", type=Path, required=True)
    parser.add_argument("--tasks", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--strategies", default="random,mo-asha")
    parser.add_argument("--workers", default=",".join(map(str, WORKERS)))
    parser.add_argument("--steps", type=int, default=0, help="Instead of to a target: so many trials a worker.")
    parser.add_argument("--lost", type=float, default=0.0)
    parser.add_argument("--straggling", type=float, default=0.0)
    parser.add_argument("--life-s", type=float, default=float("inf"))
    parser.add_argument("--out", type=Path, default=None, help="A CSV file.")
    given = parser.parse_args()
    rows = []
    for task in lcbench_tasks(given.lcbench)[: given.tasks]:
        problem = open_problem("nearest", task, given.lcbench, Path(tempfile.gettempdir()))
        target = target_of(problem, task, given.lcbench)
        for strategy in given.strategies.split(","):
            for workers in map(int, given.workers.split(",")):
                for seed in range(given.seeds):
                    conditions = Conditions(
                        workers, lost=given.lost, straggling=given.straggling, life_s=given.life_s, seed=seed
                    )
                    limits = {"max_trials": given.steps * workers} if given.steps else {"target": target}
                    row = search(problem, task, strategy, conditions, budget_j=1e9, spend_all=True, **limits)
                    rows.append(row)
                    print(row, file=sys.stderr, flush=True)
    print(_table(rows))
    if given.out is not None:
        with given.out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(asdict(rows[0])))
            writer.writeheader()
            writer.writerows(map(asdict, rows))


def _table(rows: list[Row]) -> str:
    """Medians by strategy and workers; joules and time as multiples of one worker's, of the same task and seed."""
    one = {(row.task, row.strategy, row.seed): row for row in rows if row.workers == 1}
    lines = [
        "| strategy | workers | joules × one's | time × one's | driver ms/step | messages/s | ledger MB |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for strategy, workers in sorted({(row.strategy, row.workers) for row in rows}):
        group = [row for row in rows if (row.strategy, row.workers) == (strategy, workers)]
        base = [one.get((row.task, row.strategy, row.seed)) for row in group]
        joules = [row.spent_j / other.spent_j for row, other in zip(group, base, strict=True) if other is not None]
        times = [row.wall_s / other.wall_s for row, other in zip(group, base, strict=True) if other is not None]
        lines.append(
            f"| {strategy} | {workers} | {_median(joules)} | {_median(times)}"
            f" | {_median([row.driver_ms_a_step for row in group])} | {_median([row.messages_a_s for row in group])}"
            f" | {_median([row.ledger_mb for row in group])} |"
        )
    return "\n".join(lines)


def _median(values: list[float]) -> str:
    return f"{statistics.median(values):.3g}" if values else "–"


if __name__ == "__main__":
    main()
