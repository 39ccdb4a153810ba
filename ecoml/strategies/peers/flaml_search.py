"""FLAML's CFO and BlendSearch with their default settings, and joules as cost (Wang et al., 2021).

CFO is a local search from the default or a random configuration, restarted when it has converged; BlendSearch runs
several of them beside Optuna's TPE, and continues those that promise the largest improvement for their cost. A trial's
cost is its joules so far. No configuration is marked as a low-cost start.

With `over_steps`, a local search begins with one step, and goes on to more when a step is worth it (FLAML's resource);
FLAML itself restarts a training for this, here it is continued. Ray is hidden from FLAML, which would otherwise use
Ray's searchers where it is installed. A local search has no conditional parameters: it is told values of inactive ones.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from ecoml.space import Choice, Float, Parameter, Space
from ecoml.strategies.peers import alone, quiet, require
from ecoml.strategies.peers.requests import PeerSearch, Request
from ecoml.trial import Point, TrialState

Searcher = Literal["cfo", "blendsearch"]

_FAILURES = 100  # suggestions of nothing in a row, after which FLAML gives up
_STEPS = "steps of the training"


def flaml_search(
    space: Space, seed: int, searcher: Searcher = "blendsearch", *, over_steps: bool = False, default_first: bool = True
) -> PeerSearch:
    """A search by FLAML.

    Args:
        space: The space to search.
        seed: ≥ 0; the same seed and the same trials give the same decisions.
        searcher: `cfo` or `blendsearch`, which needs Optuna.
        over_steps: Whether trainings begin with few steps; otherwise all are complete.
        default_first: Whether the first trial is the space's default configuration, if there is one.

    Raises:
        UsageError: FLAML is not installed, or BlendSearch lacks Optuna.
    """
    require("flaml")
    if searcher == "blendsearch":
        require("optuna")

    def connect(length: int | None, first: Mapping[str, Any] | None) -> _Searcher:
        return _Searcher(space, seed, searcher, length if over_steps else None, first)

    return PeerSearch(space, seed, connect, partial=over_steps, default_first=default_first)


class _Searcher:
    """A searcher, driven as FLAML's `tune.run` drives it."""

    def __init__(
        self, space: Space, seed: int, searcher: Searcher, length: int | None, first: Mapping[str, Any] | None
    ) -> None:
        self._seed = seed
        self._names = list(space.free)
        self._asked = 0
        self._trials: list[tuple[str, dict[str, Any]]] = []
        with alone("flaml", [seed]), quiet("optuna"), _without_ray():
            from flaml import CFO, BlendSearch

            kind = CFO if searcher == "cfo" else BlendSearch
            resource = {"resource_attr": _STEPS, "min_resource": 1, "max_resource": length}
            self._searcher = kind(
                metric="utility",
                mode="max",
                space={name: _domain(parameter) for name, parameter in space.free.items()},
                points_to_evaluate=[dict(first)] if first is not None else None,
                seed=seed % 2**31,
                cost_attr="joules",
                **(resource if length is not None and length > 1 else {}),
            )

    def suggest(self) -> Request | None:
        """The searcher's next suggestion."""
        with alone("flaml", [self._seed, self._asked]), quiet("optuna"):
            for _ in range(_FAILURES):
                name, self._asked = str(self._asked), self._asked + 1
                if (config := self._searcher.suggest(name)) is not None:
                    self._trials.append((name, config))
                    steps = config.get(_STEPS)
                    return Request({key: config[key] for key in self._names}, None if steps is None else round(steps))
        return None

    def report(self, number: int, curve: Sequence[Point], state: TrialState | None) -> None:
        """Tell the searcher the last point of the request."""
        name, config = self._trials[number]
        with alone("flaml", [self._seed, number, len(curve)]), quiet("optuna"):
            if state is TrialState.FAILED or not curve:
                self._searcher.on_trial_complete(name, None, error=True)
                return
            result: dict[str, Any] = {"utility": curve[-1].utility, "joules": curve[-1].energy_j, "config": config}
            result |= {"training_iteration": 0} | {f"config/{key}": value for key, value in config.items()}
            self._searcher.on_trial_result(name, result)
            self._searcher.on_trial_complete(name, result)


@contextmanager
def _without_ray() -> Iterator[None]:
    """A context in which `import ray` fails."""
    missing = object()
    before = sys.modules.get("ray", missing)
    sys.modules["ray"] = None  # type: ignore[assignment]  # what makes `import ray` fail
    try:
        yield
    finally:
        del sys.modules["ray"]
        if before is not missing:
            sys.modules["ray"] = before  # type: ignore[assignment]  # a module, as it is not `missing`


def _domain(parameter: Parameter) -> Any:
    from flaml import tune

    if isinstance(parameter, Choice):
        return tune.choice(list(parameter.options))
    if isinstance(parameter, Float):
        return (tune.loguniform if parameter.log else tune.uniform)(parameter.low, parameter.high)
    return (tune.lograndint if parameter.log else tune.randint)(parameter.low, parameter.high + 1)
