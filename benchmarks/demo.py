"""What `make demo` finds, run after run: the same search with other seeds, its middle run and its spread.

    python benchmarks/demo.py [--seeds 10] [--budget-kwh 0.0002] [--out runs/demos]

Each run is a folder OUT/seed-N, made once; a second call goes on. The middle run is the one that took the median energy
of all (of an even number the lower of the two in the middle).
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import ecoml
from ecoml.run.result import Result


def searched(directory: Path, seed: int, budget_kwh: float) -> Result:
    """The search of `make demo` with this seed, as a user runs it; one that was stopped goes on."""
    if not (directory / "printed.txt").is_file():
        new = ["search", "--budget-kwh", str(budget_kwh), "--seed", str(seed), "--out", str(directory)]
        words = ["resume", str(directory)] if directory.exists() else new
        done = subprocess.run([sys.executable, "-m", "ecoml", *words], capture_output=True, text=True, check=True)
        (directory / "printed.txt").write_text(done.stdout, encoding="utf-8")
    return ecoml.Result.load(directory)


def row(result: Result) -> dict[str, float]:
    """The figures of one run."""
    figures: dict[str, float] = {}
    for name, trial in (("recommended", result.recommended), ("frugal", result.frugal)):
        assert trial is not None
        assert trial.score is not None
        figures[f"{name}: validation accuracy, %"] = 100 * trial.score
        figures[f"{name}: test accuracy, %"] = math.nan if trial.test_score is None else 100 * trial.test_score
        figures[f"{name}: energy of its training, J"] = trial.energy.energy_j
    return figures | {
        "trials": len(result.trials),
        "energy of the search, J": result.energy.total_j,
        "share of the budget, %": 100 * result.energy.total_j / result.energy.budget_j,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--budget-kwh", type=float, default=0.0002)
    parser.add_argument("--out", type=Path, default=Path("runs/demos"))
    options = parser.parse_args(arguments)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    results = [searched(options.out / f"seed-{seed}", seed, options.budget_kwh) for seed in range(options.seeds)]
    rows = [row(result) for result in results]
    print("| of the runs | median | least | most |\n|---|---|---|---|")
    for name in rows[0]:
        values = [each[name] for each in rows]
        print(f"| {name} | {statistics.median(values):.4g} | {min(values):.4g} | {max(values):.4g} |")
    middle = sorted(results, key=lambda result: result.energy.total_j)[(len(results) - 1) // 2]
    print(f"\nThe middle run: {middle.directory}")


if __name__ == "__main__":
    main()
