"""The expected true scores, at the end of a search, of the trials that may be its best."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ecoml.metric import Metric
from ecoml.space import Space
from ecoml.trial import Trial


def believe(
    space: Space, trials: Sequence[Trial], ties: Sequence[Trial], metric: Metric
) -> list[tuple[int, int, float]]:
    """Number, step and expected utility of near ties; empty if one is clearly the best."""
    if len(ties) < 2 or not space.dimension:
        return []
    from ecoml.strategies.bayes.front import believed
    from ecoml.strategies.bayes.observations import is_usable
    from ecoml.strategies.quiet import one_thread

    if not any(is_usable(trial) for trial in trials):  # all have failed, be it after a measurement
        return []
    try:
        with one_thread():
            found = believed(space, trials, ties, metric)
    except np.linalg.LinAlgError:  # scores that no surrogate can be fitted to: what was measured counts
        return []
    return [(trial.number, trial.step, utility) for trial, utility in zip(ties, found, strict=True)]
