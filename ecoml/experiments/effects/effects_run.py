"""Running a factorial: an ordinary search whose strategy is `factorial`, and that goes on where it stopped."""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

from ecoml.errors import RunFolderError
from ecoml.experiments.effects.effects import Effects, effects_of
from ecoml.run.result import Result
from ecoml.searcher.settings import STRATEGY_FILE
from ecoml.space import Space
from ecoml.training.base import Executor


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
    progress: bool = True,
) -> Effects:
    """Train every combination of the factors' levels with the same draws, and tell their effects.

    Args:
        space: Factors and all other parameters.
        executor: What trains.
        factors: Names of parameters; a Choice has its options as levels, a number its two ends.
        out: The run folder; the same call goes on with it after a stop, or with a larger budget.
        budget_j: Ceiling on the joules of all of it.
        draws: How often the other parameters are drawn.
        times: Repetitions of each configuration.
        seed: Of the draws, the data split and the initial weights.
        progress: Show what happens.

    Raises:
        UsageError: Something cannot be used, or too little was trained for any effect.
        RunFolderError: The folder holds another run.
        KeyboardInterrupt: After all that was measured is safe.
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
        alike = before.settings["space"] == space.to_dict() and before.settings["run"]["seed"] == seed
        if not alike or kept.read_text(encoding="utf-8") != content:
            raise RunFolderError(f"{out}: holds another run; choose another --out")
        larger_j = budget_j if budget_j > before.energy.budget_j else None
        if larger_j is not None or not before.ended or before.ended.startswith("interrupted"):
            Searcher.resume(out, executor, budget_j=larger_j, progress=progress).run()
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
                spend_all=True,
                progress=progress,
            ).run()
    return effects_of(Result.load(out).trials, factors)


def factors_of(run: Path) -> list[str]:
    """The factors of a run folder's factorial; none if it is another run."""
    kept = run / STRATEGY_FILE
    content = tomllib.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
    return list(content["settings"]["factors"]) if content.get("strategy") == "factorial" else []
