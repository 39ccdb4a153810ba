"""The results of `make demo` with several seeds: the spread of its figures, and the output of the middle run.

    python benchmarks/demo.py [--seeds 10] [--budget-kwh 0.0002] [--out runs/demos]

Each run has a folder OUT/seed-N and is made once; a second call continues. The middle run is the one with the median
energy (of an even number of runs, the lower of the two in the middle).

It prints the table of docs/start/first-search.md, the sentence below the figure of README.md, and the commands that
copy the middle run's output and figure into the documents.
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
from ecoml.endings import StopReason
from ecoml.run.result import Result

COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def searched(directory: Path, seed: int, budget_kwh: float) -> Result:
    """The search of `make demo` with this seed, as a user runs it; an interrupted one is continued."""
    if not (directory / "printed.txt").is_file():
        new = ["search", "--budget-kwh", str(budget_kwh), "--seed", str(seed), "--out", str(directory)]
        words = ["resume", str(directory)] if directory.exists() else new
        done = subprocess.run([sys.executable, "-m", "ecoml", *words], capture_output=True, text=True, check=True)
        (directory / "printed.txt").write_text(done.stdout, encoding="utf-8")
    return ecoml.Result.load(directory)


def row(result: Result) -> dict[str, float]:
    """The figures of one run, by the name of their row; shares and accuracies in percent, energies in joules."""
    figures = {
        "share of the budget that was spent": 100 * result.energy.total_j / result.energy.budget_j,
        "trials": float(len(result.trials)),
    }
    for name, trial in (("recommended", result.recommended), ("frugal", result.frugal)):
        assert trial is not None
        assert trial.score is not None
        if name == "recommended":
            figures[f"{name}: validation accuracy"] = 100 * trial.score
        figures[f"{name}: test accuracy"] = math.nan if trial.test_score is None else 100 * trial.test_score
        figures[f"{name}: energy of its training"] = trial.energy.energy_j
    return figures


def shown(name: str, value: float) -> str:
    """A figure as the table shows it."""
    if name.endswith("accuracy"):
        return f"{value:.4g} %" if value == 100 else f"{value:.1f} %"
    if name.endswith("training"):
        return f"{value:.1f} J"
    return f"{value:.0f} %" if name.startswith("share") else f"{value:.0f}"


def told(results: Sequence[Result]) -> str:
    """The table, the sentence for README.md, and the commands that update the documents."""
    rows = [row(result) for result in results]
    many = COUNTS[len(results)] if len(results) < len(COUNTS) else str(len(results))
    lines = [f"| of the {many} runs | median | least | most |", "|---|---|---|---|"]
    columns = {name: [each[name] for each in rows] for name in rows[0]}
    for name, values in columns.items():
        figures = (statistics.median(values), min(values), max(values))
        lines.append(f"| {name} | {' | '.join(shown(name, figure) for figure in figures)} |")
    early = sum(result.ended is not None and result.ended.reason is StopReason.NOT_WORTH_IT for result in results)
    test, spent = columns["recommended: test accuracy"], columns["share of the budget that was spent"]
    middle = sorted(results, key=lambda result: result.energy.total_j)[(len(results) - 1) // 2].directory
    return "\n".join(
        [
            *lines,
            "",
            f"{early} of {len(results)} ended before their budget was spent, because more energy was not worth it.",
            "",
            f"README.md: the middle one of {many} runs of `make demo`, which recommended networks of {min(test):.1f} to"
            f" {max(test):.1f} % test accuracy and spent {min(spent):.0f} to {max(spent):.0f} % of their budget.",
            "",
            f"The middle run: {middle} (its output: {middle}/printed.txt)",
            f"    ecoml report {middle} --figures && cp {middle}/figures/front.png docs/figures/demo-front.png",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the missing searches and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--budget-kwh", type=float, default=0.0002)
    parser.add_argument("--out", type=Path, default=Path("runs/demos"))
    options = parser.parse_args(arguments)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    print(told([searched(options.out / f"seed-{seed}", seed, options.budget_kwh) for seed in range(options.seeds)]))


if __name__ == "__main__":
    main()
