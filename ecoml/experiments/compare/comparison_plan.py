"""The plan of a comparison: which strategy searches with which seed, in which order, for how much energy.

OUT/compare.toml                 the plan; another plan in the same folder is refused
OUT/<strategy>/seed-<n>/         one ordinary run folder a cell
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ecoml.errors import RunFolderError, UsageError
from ecoml.experiments.compare.task import Task
from ecoml.format import describe_limits, format_energy, format_kwh
from ecoml.limits import Limits
from ecoml.metric import ACCURACY
from ecoml.space import Space

PLAN_FILE = "compare.toml"

_DEFAULT = "bayes"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Cell:
    """One search of a comparison.

    Attributes:
        strategy: The name under which it is compared.
        file: A strategy file, or the name of a built-in strategy.
        seed: Of the search.
        directory: Its run folder.
    """

    strategy: str
    file: Path | str
    seed: int
    directory: Path


@dataclass(frozen=True, slots=True)
class ComparisonPlan:
    """What is to be run: every strategy with every seed, on one problem, with one budget.

    Attributes:
        out: The comparison's folder.
        strategies: Strategy name → its file, or the name of a built-in one.
        seeds: Seeds 0 … seeds − 1, the same for each strategy.
        budget_j: Of each search.
        space: What is searched.
        problem: What the executor says of itself.
        limits: Those of each search, as `Task.limits` has them.
    """

    out: Path
    strategies: Mapping[str, Path | str]
    seeds: int
    budget_j: float
    space: Space
    problem: Mapping[str, Any]
    limits: Mapping[str, Any] = field(default_factory=dict)

    @property
    def cells(self) -> list[Cell]:
        """All searches, seed by seed, each seed beginning with the next strategy.

        So the strategies advance side by side, each is first, second, … as often as any other, and a machine that
        grows warmer or busier during the comparison is fair to all of them.
        """
        names = list(self.strategies)
        return [
            Cell(name, self.strategies[name], seed, self.out / name / f"seed-{seed}")
            for seed in range(self.seeds)
            for name in names[seed % len(names) :] + names[: seed % len(names)]
        ]

    @property
    def total_j(self) -> float:
        """Joules of all searches together, at most."""
        return self.budget_j * self.seeds * len(self.strategies)

    def in_words(self, left_j: float) -> str:
        """What is about to happen, and what it takes.

        Args:
            left_j: What is not yet spent of `total_j`; less after a stop.
        """
        count = self.seeds * len(self.strategies)
        problem = self.problem.get("data") or self.problem.get("name") or self.problem["kind"]
        before = "" if left_j >= self.total_j else f", of which {format_energy(left_j)} are still to be spent"
        all_j = f"{format_energy(self.total_j)} ({format_kwh(self.total_j)})"
        return (
            f"{len(self.strategies)} strategies ({', '.join(self.strategies)}) × {self.seeds}"
            f" {'seed' if self.seeds == 1 else 'seeds'} on {problem}: {count} searches of"
            f" {format_energy(self.budget_j)} each, at most {all_j} in all{before}"
            + "".join(f". {line}" for line in describe_limits(Limits.of(self.limits), ACCURACY))
        )

    def to_dict(self) -> dict[str, Any]:
        """What decides the outcome, for `compare.toml`."""
        return {
            "format": _FORMAT,
            "seeds": self.seeds,
            "budget_j": self.budget_j,
            "strategies": {name: _content(file) for name, file in self.strategies.items()},
            "space": self.space.to_dict(),
            # The search sets the executor's own seed, cell by cell.
            "executor": {key: value for key, value in self.problem.items() if key != "seed" and value is not None},
            **({"limits": dict(self.limits)} if self.limits else {}),
        }

    def keep(self) -> None:
        """Write `compare.toml`, or see that the one there says the same.

        Raises:
            RunFolderError: The folder holds another comparison, or something else.
        """
        path = self.out / PLAN_FILE
        plan = self.to_dict()
        if path.is_file():
            try:
                before = tomllib.loads(path.read_text(encoding="utf-8"))
            except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
                raise RunFolderError(f"{path}: cannot be read ({error}); choose another --out") from None
            if before != plan:
                raise RunFolderError(
                    f"{self.out}: holds another comparison ({_difference(before, plan)}); choose another --out"
                )
            return
        if self.out.exists() and (not self.out.is_dir() or any(self.out.iterdir())):
            raise RunFolderError(f"{self.out}: already there, and not a comparison; choose another --out")
        import tomli_w

        try:
            self.out.mkdir(parents=True, exist_ok=True)
            path.write_text(tomli_w.dumps(plan), encoding="utf-8")
        except OSError as error:
            raise RunFolderError(f"{self.out}: cannot be written ({error.strerror}); choose another --out") from None


def plan_comparison(
    strategies: str | Path,
    task: Task,
    *,
    seeds: int,
    out: str | Path,
    say: Callable[[str], None] = lambda _line: None,
) -> ComparisonPlan:
    """Every strategy file of a folder, and `bayes` unless one of them is that.

    Of a folder, strategies whose package is not installed are left out, and that is said; the only one is not.

    Args:
        strategies: A folder of strategy files, or one such file.
        task: What every search is given.
        seeds: How many, from 0 on.
        out: The comparison's folder.
        say: Is told of what is left out, a line each.

    Raises:
        UsageError: No strategy there, a file that cannot be used, or no seed.
    """
    from ecoml.strategies.peers import missing, require
    from ecoml.strategies.registry import read_strategy

    if isinstance(seeds, bool) or not isinstance(seeds, int) or seeds < 1:
        raise UsageError(f"the number of seeds is {seeds!r}; give 1 or more, 5 to conclude anything")
    folder = Path(strategies)
    files = sorted(folder.glob("*.toml")) if folder.is_dir() else [folder]
    if not files:
        raise UsageError(f"{folder}: there is no strategy file (*.toml) in it; name a folder such as baselines/")
    named: dict[str, Path | str] = {}
    for file in files:
        package = read_strategy(file).package
        if missing(package):
            if not folder.is_dir():
                require(str(package))
            say(f"{file.stem}: left out, as {package} is not installed; pip install 'ecoml[peers]'")
        else:
            named[file.stem] = file
    files = [file for file in files if file.stem in named]
    if not any(_content(file)["strategy"] == _DEFAULT for file in files):
        if _DEFAULT in named:
            raise UsageError(f"{named[_DEFAULT]}: a file of this name must hold the strategy {_DEFAULT}; rename it")
        named[_DEFAULT] = _DEFAULT
    problem = dict(task.executor.describe())
    return ComparisonPlan(Path(out), named, seeds, float(task.budget_j), task.space, problem, task.limits)


def _content(file: Path | str) -> dict[str, Any]:
    """What a strategy file decides; its description decides nothing."""
    if isinstance(file, str):
        return {"strategy": file}
    content = tomllib.loads(file.read_text(encoding="utf-8"))
    return {key: value for key, value in content.items() if key != "description"}


def _difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    if before.get("budget_j") != now["budget_j"] and isinstance(before.get("budget_j"), int | float):
        return f"of {format_energy(before['budget_j'])} a search, not {format_energy(now['budget_j'])}"
    if before.get("seeds") != now["seeds"]:
        return f"with {before.get('seeds')} seeds, not {now['seeds']}"
    changed = [key for key in {**now, **before} if before.get(key) != now.get(key)]
    return f"its {changed[0]} {'are' if changed[0].endswith('s') else 'is'} different"
