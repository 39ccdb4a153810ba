"""Searches on simulated clusters of 1 to 1,000 workers: their energy, and the cost of driving them.

    python benchmarks/cluster.py --lcbench lcbench.npz --out figures.csv

Simulated hosts replay the learning curves of LCBench on a virtual clock (see `simulated_cluster.py`). The driver is the
search's own code. The CSV has a row for each search: joules and wall time to the target, the driver's CPU time per step
without the strategy's, messages per second of virtual time, steps per second of CPU time, and the size of the ledger.
The target is a score that few configurations of the table ever reach. The printed table has two figures for each
strategy and number of workers: the energy of a search with one worker in trainings (median), and the ratio of the
energy with several workers to that with one (geometric mean, with an interval of 90 %).
"""

from __future__ import annotations

import argparse
import csv
import math
import statistics
import sys
import tempfile
import time
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from simulated_cluster import Conditions, SimulatedHosts, no_training
from strategy_problems import TrainingTask, lcbench_tasks, open_problem

import ecoml
from ecoml.run.result import Result

WORKERS = (1, 2, 4, 10, 30, 100, 300, 1000)

RARE = 0.01
"""The target is the score that this share of the table's configurations reach at some step."""


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
    training_j: float
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


def search(
    problem: TrainingTask, task: str, strategy: str, conditions: Conditions, training_j: float, **options: Any
) -> Row:
    """One search on a simulated cluster; `training_j`: the energy of a typical training."""
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
        *(energy.total_j, training_j, hosts.now_s, steps, len(result.trials)),
        1000 * driver_s / steps,
        steps / driver_s,
        hosts.messages / hosts.now_s,
        size_mb,
        max(0.0, energy.total_j - energy.budget_j),
        energy.overshoot_bound_j,
        energy.doubt_j,
        energy.total_j / hosts.spent_j,
    )


def target_of(task: str, path: Path, rare: float) -> tuple[float, float]:
    """The score that a share of the table's configurations reach, and the median joules of a training."""
    with np.load(path) as data:
        best, joules = data[f"{task}_accuracy"].max(1), data[f"{task}_energy_j"][:, -1]
        return float(np.quantile(best, 1 - rare)), float(np.median(joules))


def main() -> None:
    """Make all searches, print a line for each, and the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--lcbench", type=Path, required=True)
    parser.add_argument("--tasks", default="126025,189862,189905", help="Names of the table's tasks, or `all`.")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--strategies", default="random,mo-asha")
    parser.add_argument("--workers", default=",".join(map(str, WORKERS)))
    parser.add_argument("--rare", type=float, default=RARE, help="Share of the configurations that reach the target.")
    parser.add_argument("--steps", type=int, default=0, help="Instead of a target: the number of trials per worker.")
    parser.add_argument("--lost", type=float, default=0.0)
    parser.add_argument("--straggling", type=float, default=0.0)
    parser.add_argument("--life-s", type=float, default=float("inf"))
    parser.add_argument("--out", type=Path, default=None, help="A CSV file.")
    given = parser.parse_args()
    rows: list[Row] = []
    if given.out is not None:
        given.out.write_text(",".join(field.name for field in fields(Row)) + "\n", encoding="utf-8")
    known = lcbench_tasks(given.lcbench)
    for task in known if given.tasks == "all" else given.tasks.split(","):
        problem = open_problem("nearest", task, given.lcbench, Path(tempfile.gettempdir()))
        target, training_j = target_of(task, given.lcbench, given.rare)
        for strategy in given.strategies.split(","):
            for workers in map(int, given.workers.split(",")):
                for seed in range(given.seeds):
                    conditions = Conditions(
                        workers, lost=given.lost, straggling=given.straggling, life_s=given.life_s, seed=seed
                    )
                    limits = {"max_trials": given.steps * workers} if given.steps else {"target": target}
                    row = search(
                        problem, task, strategy, conditions, training_j, budget_j=1e9, spend_all=True, **limits
                    )
                    rows.append(row)
                    print(row, file=sys.stderr, flush=True)
                    if given.out is not None:
                        with given.out.open("a", newline="", encoding="utf-8") as file:
                            csv.writer(file).writerow(astuple(row))
    print(_table(rows))


def _table(rows: list[Row]) -> str:
    """The rows of the printed table: each strategy and number of workers, over tasks and seeds."""
    one = {(row.task, row.strategy, row.seed): row for row in rows if row.workers == 1}
    lines = [
        "| strategy | workers | n | trainings | joules × one's | time × one's | driver ms/step | messages/s | MB |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for strategy, workers in sorted({(row.strategy, row.workers) for row in rows}):
        group = [row for row in rows if (row.strategy, row.workers) == (strategy, workers)]
        pairs = [(row, one[key]) for row in group if (key := (row.task, row.strategy, row.seed)) in one]
        lines.append(
            f"| {strategy} | {workers} | {len(group)} | {_median([row.spent_j / row.training_j for row in group])}"
            f" | {_mean([row.spent_j / other.spent_j for row, other in pairs])}"
            f" | {_mean([row.wall_s / other.wall_s for row, other in pairs])}"
            f" | {_median([row.driver_ms_a_step for row in group])} | {_median([row.messages_a_s for row in group])}"
            f" | {_median([row.ledger_mb for row in group])} |"
        )
    return "\n".join(lines)


def _mean(ratios: list[float]) -> str:
    """The geometric mean, with an interval of 90 % if there are several values."""
    if not ratios:
        return "–"
    logs = np.log(ratios)
    middle = float(logs.mean())
    if len(logs) < 4:
        return f"{math.exp(middle):.3g}"
    half = 1.645 * float(logs.std(ddof=1)) / math.sqrt(len(logs))
    return f"{math.exp(middle):.3g} ({math.exp(middle - half):.2g} to {math.exp(middle + half):.2g})"


def _median(values: list[float]) -> str:
    return f"{statistics.median(values):.3g}" if values else "–"


if __name__ == "__main__":
    main()
