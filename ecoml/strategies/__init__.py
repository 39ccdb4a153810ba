"""Search strategies: objects that propose configurations, behind one protocol."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ecoml.errors import UsageError, did_you_mean
from ecoml.space import Space
from ecoml.space.shipped import or_shipped, shipped
from ecoml.strategies.base import Continue, Decision, End, Start, Strategy

if TYPE_CHECKING:
    from ecoml.strategies.registry import StrategyFile

__all__ = ["Continue", "Decision", "End", "Start", "Strategy", "available_strategies", "create_strategy"]

_BAYES = ("bayes", "multi-objective Bayesian optimisation of score and energy (the default)")


def create_strategy(name_or_path: str | Path, space: Space, seed: int) -> Strategy:
    """The strategy of a name or of a strategy file.

    Args:
        name_or_path: `bayes`, the name of a shipped baseline, or the path of a TOML file.
        space: The space to search.
        seed: ≥ 0; the same seed gives the same decisions.

    Raises:
        UsageError: There is no strategy of this name, the file cannot be used, or the seed is negative.
    """
    if seed < 0:
        raise UsageError(f"the seed must not be negative, and {seed} is")
    if str(name_or_path) == _BAYES[0]:
        from ecoml.strategies.bayes import Bayes

        return Bayes(space, seed)
    from ecoml.strategies.registry import read_strategy

    return read_strategy(_find(name_or_path)).create(space, seed)


def available_strategies() -> list[tuple[str, str]]:
    """Name and description of every named strategy, including those whose package is not installed."""
    from ecoml.strategies.registry import read_strategy

    return [_BAYES, *((path.stem, _described(read_strategy(path))) for path in _baselines())]


def _described(file: StrategyFile) -> str:
    from ecoml.strategies.peers import missing, remedy

    if file.package is not None and missing(file.package):
        return f"{file.description}; {file.package} is not installed: {remedy(file.package)}"
    return file.description


def _baselines() -> list[Path]:
    return sorted(shipped("baselines").glob("*.toml"))


def _find(name_or_path: str | Path) -> Path:
    for path in _baselines():
        if path.stem == str(name_or_path):
            return path
    path = Path(name_or_path)
    if path.suffix == ".toml" or len(path.parts) > 1:
        return or_shipped(path)
    known = [_BAYES[0], *(baseline.stem for baseline in _baselines())]
    hint = did_you_mean(str(name_or_path), known)
    raise UsageError(f"no strategy is called {str(name_or_path)!r}; {hint}; or give the path of a .toml file")
