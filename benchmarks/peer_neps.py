"""NePS in an environment of its own; needs the package neural-pipeline-search, and nothing of ecoml.

    ENVIRONMENT/bin/python benchmarks/peer_neps.py priorband|mo_hyperband

NePS requests a configuration at a rung's step, and later at the next rung's if it was promoted. Its defaults apply; the
defaults of the space are its priors, and sampled first, at the lowest rung. PriorBand is told the negative utility,
multi-objective Hyperband the joules so far as well. NePS draws from global random numbers, which are seeded here for
each request.
"""

from __future__ import annotations

import logging
import random
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from peer_process import serve

_STEP = "step of the training"


class Neps:
    """An optimiser of NePS.

    Args:
        name: Its name in `neps.algorithms`.
        message: The content of `connect`, see `peer_process`.
    """

    def __init__(self, name: str, message: Mapping[str, Any]) -> None:
        import neps
        from neps.space import HPOInteger, SearchSpace

        self._both = name.startswith("mo_")
        self._seed = int(message["seed"])
        elements = {parameter["name"]: _parameter(parameter) for parameter in message["space"]}
        elements[_STEP] = HPOInteger(1, max(message["length"] or 0, 2), is_fidelity=True)
        first = message["first"] is not None
        optimizer = getattr(neps.algorithms, name)(SearchSpace(elements), sample_prior_first=first)
        self._neps = neps.AskAndTell(optimizer)
        self._trials: list[Any] = []

    def suggest(self) -> tuple[Mapping[str, Any], int]:
        """The next configuration, and its rung's step."""
        import numpy as np
        import torch

        seed = int(np.random.SeedSequence([self._seed, len(self._trials)]).generate_state(1)[0])
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        trial = self._neps.ask()
        self._trials.append(trial)
        values = {name: value.item() if hasattr(value, "item") else value for name, value in trial.config.items()}
        return values, int(values.pop(_STEP))

    def report(self, number: int, curve: Sequence[tuple[float, float]], state: str | None) -> None:
        """Tell NePS the last point of a request."""
        if state == "failed" or not curve:
            # Multi-objective Hyperband cannot rank a failure.
            self._neps.tell(self._trials[number], [1e30, 1e30] if self._both else RuntimeError("the training failed"))
            return
        utility, energy_j = curve[-1]
        self._neps.tell(self._trials[number], [-utility, energy_j] if self._both else -utility)


def _parameter(told: Mapping[str, Any]) -> Any:
    from neps.space import HPOCategorical, HPOFloat, HPOInteger

    if told["kind"] == "Choice":
        return HPOCategorical(told["options"], prior=told["default"])
    kind = HPOFloat if told["kind"] == "Float" else HPOInteger
    return kind(told["low"], told["high"], log=told["log"], prior=told["default"])


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    serve(lambda message: Neps(sys.argv[1], message))
