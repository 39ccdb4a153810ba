"""Effects of a run folder, and running a factorial: an ordinary search that can be continued."""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecoml.errors import RunFolderError
from ecoml.experiments.effects.effects import Effects, effects_of
from ecoml.run.result import Result
from ecoml.searcher.setup.settings import STRATEGY_FILE
from ecoml.space import Space
from ecoml.space.shipped import shipped
from ecoml.training.base import Executor

if TYPE_CHECKING:
    from ecoml.metric import Metric
    from ecoml.searcher.searcher import Show
    from ecoml.searcher.setup.settings import EnergySource

DESIGNS = ("factorial", "grid", "random")
"""Strategies that lay out or draw configurations independently of earlier results."""


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
    file = _strategy_file(result)
    if file.get("strategy") == "factorial":
        factors = factors or file["settings"]["factors"]
    kind = file.get("strategy", result.strategy)
    chosen_by = None if kind in DESIGNS else result.strategy
    return effects_of(result.trials, factors, metric=result.metric, chosen_by=chosen_by)


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
    import tomli_w

    from ecoml.searcher.searcher import Searcher
    from ecoml.strategies.factorial import Factorial

    Factorial(space, seed, factors, draws, times)  # so that a mistake is told before anything is written
    settings = {"factors": list(factors), "draws": draws, "times": times}
    content = tomli_w.dumps({"strategy": "factorial", "settings": settings})
    kept = out / STRATEGY_FILE
    if kept.is_file():
        before = Result.load(out)
        alike = before.settings["space"] == space.to_dict() and before.seed == seed
        if not alike or kept.read_text(encoding="utf-8") != content:
            raise RunFolderError(f"{out}: holds another run; choose another --out")
        larger_j = budget_j if budget_j > before.energy.budget_j else None
        if larger_j is not None or not before.complete:
            Searcher.resume(out, executor, budget_j=larger_j, show=show).run()
    else:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "factorial.toml"
            file.write_text(content, encoding="utf-8")
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


def _strategy_file(result: Result) -> dict[str, Any]:
    """The content of a run's strategy file, its own or a shipped one; empty for `bayes` and strategies from Python."""
    own, ours = result.directory / STRATEGY_FILE, shipped("baselines") / f"{result.strategy}.toml"
    file = own if own.is_file() else ours
    return tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
