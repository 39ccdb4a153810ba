"""Effects of a run folder, and running a factorial: an ordinary search that can be continued."""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecoml.endings import StopReason
from ecoml.errors import RunFolderError
from ecoml.experiments.effects.effects import Effects, effects_of
from ecoml.format import describe_search_end, plural
from ecoml.run.folder import check_free
from ecoml.run.result import Result
from ecoml.searcher.setup.settings import STRATEGY_FILE
from ecoml.space import Space
from ecoml.space.shipped import shipped
from ecoml.strategies.factorial import Factorial
from ecoml.training.base import Executor

if TYPE_CHECKING:
    from ecoml.metric import Metric
    from ecoml.searcher.searcher import Show
    from ecoml.searcher.setup.settings import EnergySource

DESIGNS = ("factorial", "grid", "random")
"""Strategies that lay out or draw configurations independently of earlier results."""

_OF_HOST = ("device", "threads", "patience_s", "data_dir", "seed")  # the seed is compared by itself


def effects_of_run(run: str | Path, factors: Sequence[str] = ()) -> Effects:
    """The effects of factors in a run folder.

    Args:
        run: The run folder.
        factors: Names of parameters; none: those of its factorial, else as in `effects_of`.

    Raises:
        RunFolderError: Not a run folder.
        UsageError: As in `effects_of`.
    """
    result = Result.load(run)
    file, unfinished = _strategy_file(result), None
    if file.get("strategy") == "factorial":
        factors = factors or file["settings"]["factors"]
        unfinished = _unfinished(result, file["settings"])
    kind = file.get("strategy", result.strategy)
    chosen_by = None if kind in DESIGNS else result.strategy
    return effects_of(result.trials, factors, metric=result.metric, chosen_by=chosen_by, unfinished=unfinished)


def run_factorial(
    space: Space,
    executor: Executor,
    factors: Sequence[str],
    *,
    out: Path,
    budget_j: float,
    draws: int,
    times: int = 1,
    seed: int = 0,
    metric: Metric | None = None,
    energy: EnergySource = "metered",
    show: Show | None = None,
) -> Effects:
    """Train every combination of the factors' levels with the same draws, and compute their effects.

    Args:
        space: The factors and all other parameters.
        executor: The executor of the trainings.
        factors: Names of parameters; the levels of a Choice are its options, those of a number its two bounds.
        out: The run folder; the same call continues after a stop, or with a larger budget.
        budget_j: Energy budget of the factorial in joules.
        draws: Number of draws of the other parameters.
        times: Repetitions of each configuration.
        seed: Random seed of the draws, the data split and the initial weights.
        metric: The metric, as in `Searcher`.
        energy: Whether energy is metered or reported, as in `Searcher`.
        show: Shows the progress, as in `Searcher`.

    Raises:
        UsageError: An argument cannot be used, or too few trainings were completed for any effect.
        RunFolderError: The folder holds another run.
        KeyboardInterrupt: Ctrl-C was pressed; all measurements are saved.
    """
    from ecoml.searcher.searcher import Searcher

    before = kept_factorial(space, executor, factors, out=out, draws=draws, times=times, seed=seed)
    if before is not None:
        larger_j = budget_j if budget_j > before.energy.budget_j else None
        if larger_j is not None or not before.complete:
            Searcher.resume(out, executor, budget_j=larger_j, show=show).run()
    else:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "factorial.toml"
            file.write_text(_strategy(factors, draws, times), encoding="utf-8")
            Searcher(
                space,
                executor,
                budget_j=budget_j,
                strategy=file,
                seed=seed,
                directory=out,
                metric=metric,
                energy=energy,
                show=show,
                spend_all=True,
            ).run()
    return effects_of_run(out, factors)


def kept_factorial(
    space: Space, executor: Executor, factors: Sequence[str], *, out: Path, draws: int, times: int = 1, seed: int = 0
) -> Result | None:
    """What a folder holds of a factorial; None if the folder is free. The arguments are those of `run_factorial`.

    Raises:
        UsageError: An argument cannot be used.
        RunFolderError: The folder holds something else.
    """
    Factorial(space, seed, factors, draws, times)
    kept = out / STRATEGY_FILE
    if not kept.is_file():
        check_free(out)
        return None
    before = Result.load(out)
    parts = {
        "space": (before.settings["space"], space.to_dict()),
        "seed": (before.seed, seed),
        "design": (kept.read_text(encoding="utf-8"), _strategy(factors, draws, times)),
        "training": (_of_training(before.settings.get("executor", {})), _of_training(executor.describe())),
    }
    for name, (there, here) in parts.items():
        if there != here:
            raise RunFolderError(f"{out}: holds another run (its {name} is different); choose another --out")
    return before


def _of_training(description: Mapping[str, Any]) -> dict[str, Any]:
    """What of an executor's description decides its scores; the host and the folder of its named data do not."""
    return {key: value for key, value in description.items() if value is not None and key not in _OF_HOST}


def _strategy(factors: Sequence[str], draws: int, times: int) -> str:
    """The strategy file of a factorial."""
    import tomli_w

    settings = {"factors": list(dict.fromkeys(factors)), "draws": draws, "times": times}
    return tomli_w.dumps({"strategy": "factorial", "settings": settings})


def _unfinished(result: Result, settings: Mapping[str, Any]) -> str | None:
    """How many draws of a factorial were made, and how to continue it; None if all were made."""
    from ecoml.space.schema import space_of  # pydantic costs a fifth of a second

    plan = Factorial(space_of(result.settings["space"], where=str(result.directory)), result.seed, **settings)
    made = plan.complete_draws(result.trials)
    if made == plan.draws or (result.ended is not None and result.ended.reason is StopReason.STRATEGY):
        return None
    told = f"{made} of {plural(plan.draws, 'draw')}: "
    if result.ended is None or not result.complete:
        return f"{told}the experiment has not come to its end; the command that began it continues it"
    told += describe_search_end(result.ended, result.metric)
    if result.ended.reason is StopReason.BUDGET_SPENT:
        told += "; the command that began the experiment continues it with a larger --budget-kwh"
    return told


def _strategy_file(result: Result) -> dict[str, Any]:
    """The content of a run's strategy file, its own or a shipped one; empty for `bayes` and strategies from Python."""
    own, ours = result.directory / STRATEGY_FILE, shipped("baselines") / f"{result.strategy}.toml"
    file = own if own.is_file() else ours
    return tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
