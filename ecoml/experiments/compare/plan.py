"""The plan of a comparison: which strategy searches with which seed, in which order, with which energy.

OUT/compare.toml                 the plan; another plan in the same folder is refused
OUT/<strategy>/seed-<n>/         one ordinary run folder per search
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path
from typing import Any

from ecoml.errors import RunFolderError, UsageError
from ecoml.format import describe_limits, duration, format_energy, format_kwh, plural
from ecoml.limits import Limits
from ecoml.metric import ACCURACY, Metric
from ecoml.searcher.hosts.choosing import RemoteWorkers
from ecoml.searcher.setup.settings import EnergySource, SearchSettings
from ecoml.space import Space
from ecoml.space.shipped import or_shipped
from ecoml.training.base import Declares, Executor

PLAN_FILE = "compare.toml"

_DEFAULT = "bayes"
_FORMAT = 2


@dataclass(frozen=True, slots=True)
class Task:
    """What all searches of a comparison have in common.

    Attributes:
        space: The space to search.
        executor: The executor of the trainings.
        budget_j: Joules of each search.
        limits: The limits of each search.
        metric: The metric, if the executor does not declare it; None: an accuracy.
        energy: Whether energy is metered or reported.
        workers: The workers, as for a `Searcher`; None: one training at a time, in this process.

    Raises:
        UsageError: The budget, a limit or the workers are not valid.
    """

    space: Space
    executor: Executor
    budget_j: float
    limits: Limits = field(default_factory=Limits)
    metric: Metric | None = None
    energy: EnergySource = "metered"
    workers: str | None = None

    def __post_init__(self) -> None:
        if not 0 < self.budget_j < math.inf:
            raise UsageError(f"the energy budget is {self.budget_j} J; give a positive, finite number")
        # It refuses what no search could be given.
        settings = SearchSettings(self.space, "random", 0, self.measures, self.energy, self.limits)
        if self.workers is not None:
            RemoteWorkers(self.workers).refuse(settings)

    @property
    def measures(self) -> Metric:
        """The metric of the scores."""
        return self.executor.metric if isinstance(self.executor, Declares) else self.metric or ACCURACY


@dataclass(frozen=True, slots=True)
class PlannedSearch:
    """One search of a comparison.

    Attributes:
        strategy: The name under which it is compared.
        file: A strategy file, or the name of a built-in strategy.
        seed: The seed of the search.
        directory: Its run folder.
    """

    strategy: str
    file: Path | str
    seed: int
    directory: Path


@dataclass(frozen=True, slots=True)
class ComparisonPlan:
    """All searches to run: every strategy with every seed, on one task.

    Attributes:
        out: The comparison's folder.
        strategies: Strategy name → its file, or the name of a built-in one.
        seeds: Number of seeds; they are 0 … seeds − 1, the same for each strategy.
        task: What all searches have in common.
    """

    out: Path
    strategies: Mapping[str, Path | str]
    seeds: int
    task: Task

    @property
    def cells(self) -> list[PlannedSearch]:
        """All searches, seed by seed; each seed starts with the next strategy.

        The strategies therefore advance side by side, and each is first, second, … equally often: a machine that grows
        warmer or busier during the comparison affects all of them equally.
        """
        names = list(self.strategies)
        return [
            PlannedSearch(name, self.strategies[name], seed, self.out / name / f"seed-{seed}")
            for seed in range(self.seeds)
            for name in names[seed % len(names) :] + names[: seed % len(names)]
        ]

    @property
    def total_j(self) -> float:
        """The budgets of all searches together, in joules."""
        return self.task.budget_j * (self.seeds * len(self.strategies))

    def in_words(self, left_j: float, power_w: float | None = None) -> str:
        """What will run, and its energy, in words.

        Args:
            left_j: The part of `total_j` that is not yet spent; less after a stop.
            power_w: The power of a search, from which the duration follows; None: no duration is stated.
        """
        problem = dict(self.task.executor.describe())
        name = problem.get("data") or problem.get("name") or problem["kind"]
        before = "" if left_j >= self.total_j else f", of which {format_energy(left_j)} are still to be spent"
        lasting = "" if power_w is None or self.task.workers else f", about {duration(left_j / power_w)}"
        places = f", each on the workers {self.task.workers}" if self.task.workers else ""
        return (
            f"{plural(len(self.strategies), 'strategy')} ({', '.join(self.strategies)}) × {plural(self.seeds, 'seed')}"
            f" on {name}: {plural(self.seeds * len(self.strategies), 'search')} of"
            f" {format_energy(self.task.budget_j)} each, at most {format_energy(self.total_j)}"
            f" ({format_kwh(self.total_j)}) in all{before}{lasting}{places}"
            + "".join(f". {line}" for line in describe_limits(self.task.limits, self.task.measures))
        )

    def to_dict(self) -> dict[str, Any]:
        """The parts of the plan that decide the outcome, for `compare.toml`."""
        task = self.task
        limits = task.limits.to_dict()
        return {
            "format": _FORMAT,
            "seeds": self.seeds,
            "budget_j": float(task.budget_j),
            "energy": task.energy,
            "strategies": {name: _content(file) for name, file in self.strategies.items()},
            "space": task.space.to_dict(),
            # The search sets the executor's own seed, cell by cell.
            "executor": {k: v for k, v in task.executor.describe().items() if k != "seed" and v is not None},
            "metric": task.measures.to_dict(),
            **({"limits": limits} if limits else {}),
            **({"workers": task.workers} if task.workers else {}),
        }

    @property
    def kept(self) -> bool:
        """Whether the folder holds this plan; nothing is written.

        Raises:
            RunFolderError: The folder holds another comparison, or something else.
        """
        if (before := kept_plan(self.out)) is not None:
            if before != (plan := self.to_dict()):
                raise RunFolderError(
                    f"{self.out}: holds another comparison ({_difference(before, plan)}); choose another --out"
                )
            return True
        check_folder(self.out)
        return False

    def keep(self) -> None:
        """Write `compare.toml`, unless the folder holds this plan already.

        Raises:
            RunFolderError: The folder holds another comparison, or something else, or cannot be written.
        """
        if self.kept:
            return
        import tomli_w

        try:
            self.out.mkdir(parents=True, exist_ok=True)
            (self.out / PLAN_FILE).write_text(tomli_w.dumps(self.to_dict()), encoding="utf-8")
        except OSError as error:
            raise RunFolderError(f"{self.out}: cannot be written ({error.strerror}); choose another --out") from None

    def forget(self) -> None:
        """Remove `compare.toml` and the empty folders around it, unless a search has started."""
        if any(cell.directory.exists() for cell in self.cells):
            return
        (self.out / PLAN_FILE).unlink()
        with suppress(OSError):  # a folder with something in it stays
            for folder in (*(self.out / name for name in self.strategies), self.out):
                if folder.is_dir():
                    folder.rmdir()


def check_folder(out: Path) -> None:
    """Check that a folder holds a comparison, or nothing.

    Raises:
        RunFolderError: It holds something else.
    """
    if (out / PLAN_FILE).is_file():
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunFolderError(f"{out}: already there, and not a comparison; choose another --out")


def kept_plan(out: Path) -> dict[str, Any] | None:
    """The plan in a comparison's folder, as from `ComparisonPlan.to_dict`; None if there is none.

    Raises:
        RunFolderError: It cannot be read.
    """
    path = out / PLAN_FILE
    if not path.is_file():
        return None
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RunFolderError(f"{path}: cannot be read ({error}); choose another --out") from None


def plan_comparison(
    strategies: str | Path | Sequence[str | Path],
    task: Task,
    *,
    seeds: int,
    out: str | Path,
    say: Callable[[str], None] = lambda _line: None,
) -> ComparisonPlan:
    """The plan for every strategy file, and for `bayes` if it is not among them.

    Strategies of a folder whose package is not installed are left out, with a message; a strategy that is named is not
    left out.

    Args:
        strategies: A folder of strategy files, one such file, or several of either.
        task: What all searches have in common.
        seeds: Number of seeds, from 0 on.
        out: The comparison's folder.
        say: Receives a message for each strategy that is left out.

    Raises:
        UsageError: There is no strategy, two have one name, a file cannot be used, or there is no seed.
    """
    if isinstance(seeds, bool) or not isinstance(seeds, Integral) or seeds < 1:
        raise UsageError(f"the number of seeds is {seeds!r}; give 1 or more, 5 to conclude anything")
    named: dict[str, Path | str] = {}
    for given in [strategies] if isinstance(strategies, str | Path) else strategies:
        for file in _files(or_shipped(Path(given)), say):
            if named.setdefault(file.stem, file) != file:
                raise UsageError(f"{file}: another strategy is called {file.stem} too; rename one of the files")
    if not any(_content(file)["strategy"] == _DEFAULT for file in named.values()):
        if _DEFAULT in named:
            raise UsageError(f"{named[_DEFAULT]}: a file of this name must hold the strategy {_DEFAULT}; rename it")
        named[_DEFAULT] = _DEFAULT
    return ComparisonPlan(Path(out), named, seeds, task)


def _files(path: Path, say: Callable[[str], None]) -> list[Path]:
    """The usable strategy files at a path."""
    from ecoml.strategies.peers import missing, remedy, require
    from ecoml.strategies.registry import read_strategy

    files = sorted(path.glob("*.toml")) if path.is_dir() else [path]
    if not files:
        raise UsageError(f"{path}: there is no strategy file (*.toml) in it; name a folder such as baselines/")
    packages = {file: read_strategy(file).package for file in files}
    if not path.is_dir() and missing(packages[path]):
        require(str(packages[path]))
    absent = [file for file in files if missing(packages[file])]
    for file in absent:
        package = str(packages[file])
        say(f"{file.stem}: left out, as {package} is not installed; {remedy(package)}")
    return [file for file in files if file not in absent]


def _content(file: Path | str) -> dict[str, Any]:
    """The parts of a strategy file that decide the search; its description does not."""
    if isinstance(file, str):
        return {"strategy": file}
    content = tomllib.loads(file.read_text(encoding="utf-8"))
    return {key: value for key, value in content.items() if key != "description"}


def _difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    if before.get("format") != now["format"]:
        return "begun by another version of ecoml"
    if before.get("budget_j") != now["budget_j"] and isinstance(before.get("budget_j"), int | float):
        return f"of {format_energy(before['budget_j'])} a search, not {format_energy(now['budget_j'])}"
    if before.get("seeds") != now["seeds"]:
        return f"with {before.get('seeds')} seeds, not {now['seeds']}"
    changed = [key for key in {**now, **before} if before.get(key) != now.get(key)]
    return f"its {changed[0]} {'are' if changed[0].endswith('s') else 'is'} different"
