"""What a search with the energy of a few trainings recommends, beside random search and the default alone.

    python benchmarks/small_budgets.py --lcbench FILE.npz [--mapping noisy] [--tasks …] [--strategies bayes,random]
        [--trainings 2,4,8,16] [--seeds 0,1,…] [--jobs 1] [--out DIR] [--without-default] [--prior-width 0.2]
        [--spend-all]
    python benchmarks/small_budgets.py --recorded fashion-mnist-2000,cifar-5000 [--mapping recorded] …
    python benchmarks/small_budgets.py --real digits,fashion-mnist-2000 [--space cnn-small] [--device cpu] …

The budget is the energy of this number of trainings of the space's default configuration. The result is the score of
the recommended network on other images.

- Recorded trainings (`strategy_recorded.py`): the score is the test accuracy.
- LCBench: with `noisy`, strategies see accuracies as if measured on 400 images, and the score is the true accuracy. The
  default of a task is, among the cheaper half of the recorded configurations, the one with the best mean rank on all
  other tasks.
- Real searches use `--space`, `--device` and the host's meter. The strategy `default` trains the default alone. The
  recommended network is tested after the search, and this energy is not charged.

`--prior-width` puts a prior of this width around the default. `--spend-all` turns the early end off; with the same
`--out`, the table shows both.

Each search is a line in OUT/small.jsonl, and is not repeated by the next call.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy and torch are imported, so that they use one thread

import argparse
import json
import shutil
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from defaults import trained
from strategy_prior import with_default, with_prior
from strategy_problems import MAPPINGS, TrainingTask, lcbench_defaults, lcbench_tasks, open_problem
from strategy_real import data_file
from strategy_recorded import RECORDED, Measured, mappings, open_recorded, recording

import ecoml
from ecoml.errors import UsageError
from ecoml.space import Space
from ecoml.strategies import create_strategy
from ecoml.trial import Config, Measurement

Row = dict[str, Any]
KEY = ("family", "task", "strategy", "trainings", "seed", "spend_all")


@dataclass(frozen=True)
class Cell:
    """One search. Its budget is the energy of `trainings` trainings of the default."""

    task: str
    strategy: str
    trainings: float
    seed: int
    family: str
    path: Path | None
    out: Path
    default: bool
    prior_width: float | None = None
    spend_all: bool = False
    space: str = "cnn-small"
    device: str = "cpu"

    @property
    def key(self) -> tuple[Any, ...]:
        return (self.family, self.task, self.strategy, self.trainings, self.seed, self.spend_all)


def run(cell: Cell) -> Row:
    """Make the search; returns its row: `test` is the recommended network's score, `default` the default's."""
    found = real(cell) if cell.family == "real" else replayed(cell)
    return dict(zip(KEY, cell.key, strict=True)) | found


@dataclass(frozen=True)
class Posed:
    """A problem of recorded trainings.

    Attributes:
        problem: The problem.
        space: Its space with its default.
        default_j: Joules of a training of the default.
        default: The score of the default alone, with the whole budget.
    """

    problem: TrainingTask
    space: Space
    default_j: float
    default: float

    @property
    def exact(self) -> TrainingTask:
        """The same problem with the scores that count."""
        return getattr(self.problem, "exact", self.problem)


def posed(cell: Cell) -> Posed:
    """The problem of a cell with recorded trainings."""
    if cell.family in RECORDED:
        of = recording(cell.task)
        problem = open_recorded(cell.family, cell.task, cell.seed, cell.out)
        space = with_prior(of.space, cell.prior_width)
        if isinstance(problem, Measured):
            return Posed(problem, space, of.default_j, of.default_alone(cell.trainings))
        assert space.default is not None, "a shipped space has a default"
        return _posed(problem, space, space.default)
    assert cell.path is not None, "LCBench is a file"
    problem, default = open_problem(cell.family, cell.task, cell.path, cell.out), lcbench_defaults(cell.path)[cell.task]
    centred = with_prior(with_default(problem.space, default), cell.prior_width)
    return _posed(problem, centred if cell.default else problem.space, default)


def _posed(problem: TrainingTask, space: Space, default: Config) -> Posed:
    score, step_j = getattr(problem, "exact", problem).curve(default)
    return Posed(problem, space, float(step_j.sum()), float(score[-1]))


def replayed(cell: Cell) -> Row:
    """A search on recorded trainings."""
    of = posed(cell)

    def train(config: Config) -> Iterator[Measurement]:
        for score, joules in zip(*of.problem.curve(config), strict=True):
            yield Measurement(float(score), energy_j=float(joules))

    directory = cell.out / "replayed" / "-".join(map(str, cell.key))
    shutil.rmtree(directory, ignore_errors=True)
    result = ecoml.Searcher(
        *(of.space, train),
        budget_j=cell.trainings * of.default_j,
        strategy=create_strategy(cell.strategy, of.space, cell.seed),
        directory=directory,
        energy="reported",
        seed=cell.seed,
        spend_all=cell.spend_all,
    ).run()
    true = [float(of.exact.curve(trial.config)[0][trial.step - 1]) for trial in result.front]
    chosen = result.recommended
    assert chosen is not None, "a search that measured something recommends something"
    shutil.rmtree(directory)
    return {
        "test": float(of.exact.curve(chosen.config)[0][chosen.step - 1]),
        "front": max(true),
        "default": of.default,
        "trials": len(result.trials),
        "steps": [trial.step for trial in result.trials],
        "spent": result.energy.total_j / result.energy.budget_j,
    }


def real(cell: Cell) -> Row:
    """A search with real trainings."""
    training = ecoml.CnnTraining(data_file(cell.task, cell.out), threads=1, seed=cell.seed, device=cell.device)
    space = with_prior(ecoml.load_space(cell.space), cell.prior_width)
    training.prepare(space)  # not charged to the strategy
    if cell.strategy == "default":
        alone = trained(training, space.default or {}, 0, cell.out)
        return {"test": alone["test"], "front": alone["test"], "default": None, "spent_j": alone["energy_j"]}
    directory = cell.out / "real" / "-".join([Path(cell.task).name, *map(str, cell.key[1:])])
    shutil.rmtree(directory, ignore_errors=True)
    result = ecoml.Searcher(
        *(space, training),
        budget_j=cell.trainings * default_j(cell, training, space.default or {}),
        strategy=cell.strategy,
        directory=directory,
        seed=cell.seed,
        spend_all=cell.spend_all,
    ).run()
    tests = {(t.number, t.step): _tested(training, directory, t) for t in result.choices}
    chosen = result.recommended
    assert chosen is not None, "a search that measured something recommends something"
    shutil.rmtree(directory)
    return {
        "test": tests[chosen.number, chosen.step],
        "front": max(tests.values()),
        "default": None,
        "validation": chosen.score,
        "trials": len(result.trials),
        "steps": [trial.step for trial in result.trials],
        "spent": result.energy.total_j / result.energy.budget_j,
        "spent_j": result.energy.total_j,
        "ended": None if result.ended is None else result.ended.reason.value,
    }


DEFAULT_J: Mapping[str, float] = {"digits": 5.0, "fashion-mnist-2000": 24.0, "cifar-5000": 60.0}
"""Joules of a training of the default of `cnn-small` on a CPU: `benchmarks/defaults.py`, 2026-11-27, 2 virtual cores of
an x86 server.
"""


def default_j(cell: Cell, training: ecoml.CnnTraining, default: Config) -> float:
    """Joules of a training of the default; on other devices, data or spaces measured once, and kept in OUT."""
    name = Path(cell.task).name
    if (cell.space, cell.device) == ("cnn-small", "cpu") and name in DEFAULT_J:
        return DEFAULT_J[name]
    file = cell.out / f"default-{name}-{cell.space}-{cell.device.replace(':', '')}.json"
    if not file.is_file():
        file.write_text(json.dumps(trained(training, default, 0, cell.out)))
    return float(json.loads(file.read_text())["energy_j"])


def _tested(training: ecoml.CnnTraining, directory: Path, trial: Any) -> float:
    from ecoml.run.models import model_path

    return float(training.test(model_path(directory, trial)).score)


def main(arguments: Sequence[str] | None = None) -> int:
    try:
        print(table(searched(_parser().parse_args(arguments))))
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def searched(options: argparse.Namespace) -> list[Row]:
    """The requested rows. Missing searches are made, and appended to the file."""
    options.out.mkdir(parents=True, exist_ok=True)
    lines = options.out / "small.jsonl"
    rows = [json.loads(line) for line in lines.read_text("utf-8").splitlines()] if lines.is_file() else []
    rows = [{"spend_all": False} | row for row in rows]
    done = {tuple(row[key] for key in KEY) for row in rows}
    of = [("real", task) for task in options.real]
    of += [(family, task) for task in options.recorded for family in options.mapping or mappings(task)]
    if options.lcbench:
        of += [(family, task) for family in options.mapping or ["noisy"] for task in lcbench_tasks(options.lcbench)]
    how = not options.without_default, options.prior_width, options.spend_all, options.space, options.device
    cells = [
        Cell(task, strategy, trainings, seed, family, options.lcbench, options.out, *how)
        for seed in options.seeds
        for trainings in options.trainings
        for family, task in of
        if not options.tasks or task in options.tasks
        for strategy in options.strategies
    ]
    wanted = [cell for cell in cells if cell.key not in done]
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool, lines.open("a") as file:
        for future in as_completed([pool.submit(run, cell) for cell in wanted]):
            rows.append(future.result())
            file.write(json.dumps(rows[-1]) + "\n")
            file.flush()
    keys = {cell.key[:-1] for cell in cells}
    return [row for row in rows if tuple(row[key] for key in KEY[:-1]) in keys]


def table(rows: Sequence[Row]) -> str:
    """Mean test score in percent of the recommended network, and of the front's best, by strategy and budget."""
    rows = [row | {"strategy": row["strategy"] + ", all spent" * row["spend_all"]} for row in rows]
    budgets, strategies = (sorted({row[key] for row in rows}) for key in ("trainings", "strategy"))
    told = ["| " + " | ".join(["", "task", "", *(f"{budget:g} trainings" for budget in budgets)]) + " |"]
    told.append("|---" * (3 + len(budgets)) + "|")
    for family in sorted({row["family"] for row in rows}):
        for task in [*sorted({row["task"] for row in rows if row["family"] == family}), "all"]:
            of = [row for row in rows if row["family"] == family and task in (row["task"], "all")]
            by = {
                name: [
                    [row for row in of if (row["strategy"], row["trainings"]) == (name, budget)] for budget in budgets
                ]
                for name in strategies
            }
            lines = {name: [_found(found) for found in cells] for name, cells in by.items()}
            if of[0]["default"] is not None:
                alone = ([row["default"] for row in of if row["trainings"] == budget] for budget in budgets)
                lines = {"default alone": [f"{100 * statistics.mean(found):.2f}" for found in alone]} | lines
            told += ["| " + " | ".join([family, Path(task).name, name, *cells]) + " |" for name, cells in lines.items()]
    return "\n".join(told)


def _found(rows: Sequence[Row]) -> str:
    """Mean and standard error of the recommended networks; in brackets the mean of the fronts' best, and the least and
    largest share of the budget that was spent.
    """
    if not rows:
        return "–"
    test, front = (100 * np.array([row[key] for row in rows]) for key in ("test", "front"))
    error = test.std(ddof=1) / len(test) ** 0.5 if len(test) > 1 else float("nan")
    shares = sorted(row["spent"] for row in rows if "spent" in row)
    spent = f"; spent {shares[0]:.0%} to {shares[-1]:.0%}" if shares else ""
    return f"{test.mean():.2f} ± {error:.2f} ({front.mean():.2f}{spent})"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--lcbench", type=Path, help="an .npz of learning curves")
    parser.add_argument("--recorded", type=_names, default=[], help="data of recorded trainings: fashion-mnist-2000")
    parser.add_argument(
        "--mapping", type=_names, default=[], help=f"how tables are read: {','.join(MAPPINGS)}; {','.join(RECORDED)}"
    )
    parser.add_argument("--tasks", type=_names, default=[], help="only these")
    parser.add_argument("--real", type=_names, default=[], help="data to train on")
    parser.add_argument("--space", default="cnn-small", help="of real searches; `cnn` on a GPU")
    parser.add_argument("--device", default="cpu", help="of real searches")
    parser.add_argument("--strategies", type=_names, default=["bayes", "random"])
    parser.add_argument(
        "--trainings", type=lambda text: [float(n) for n in _names(text)], default=[2.0, 4.0, 8.0, 16.0]
    )
    parser.add_argument("--seeds", type=lambda text: [int(n) for n in _names(text)], default=list(range(5)))
    parser.add_argument("--without-default", action="store_true", help="the space has none")
    parser.add_argument("--prior-width", type=float, help="of all parameters; choices get at most an even share")
    parser.add_argument("--spend-all", action="store_true", help="spend the whole budget")
    parser.add_argument("--jobs", type=int, default=1, help="searches at the same time; real ones one at a time")
    parser.add_argument("--out", type=Path, default=Path("runs/small"))
    return parser


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


if __name__ == "__main__":
    raise SystemExit(main())
