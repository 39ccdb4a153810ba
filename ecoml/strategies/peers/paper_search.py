"""The Bayesian search of arXiv 2303.13972 (Yarally et al., 2023), as it was described, with its faults.

A Gaussian process with fixed length scale 1 (then scikit-learn's default) on the unscaled values of the parameters, so
that a parameter with a small range does not affect its kernel (`inputs = "scaled"` uses the unit cube instead); one
random first point; then, of 10,000 random candidates, the one with the largest probability of improvement on the best
accuracy. Complete trainings, one objective, no budget. The process expects scores between 0 and 1: those of another
metric are scaled by its bounds or, without them, by the worst and the best score so far.

Candidates are uniform on each parameter's own scale (all scales of the paper were linear). A Choice is represented by
the index of its option, an inactive parameter by 0; the paper had neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ecoml.space import Choice, Space
from ecoml.strategies.base import Decision, Goal, Start, ask_feasible
from ecoml.strategies.enumeration import key
from ecoml.strategies.random import RandomSearch
from ecoml.trial import Config, Trial

_CANDIDATES = 10_000


class PaperSearch:
    """Proposes the configuration that most probably improves on the best score so far.

    Args:
        space: The space to search.
        seed: ≥ 0; the same seed and the same trials give the same proposals.
        inputs: `unscaled` as published, or `scaled` to the unit cube.
        default_first: Whether the first proposal is the space's default configuration, if there is one.
    """

    def __init__(
        self,
        space: Space,
        seed: int,
        inputs: Literal["unscaled", "scaled"] = "unscaled",
        *,
        default_first: bool = True,
    ) -> None:
        self._space = space
        self._seed = seed
        self._scaled = inputs == "scaled"
        self._design = RandomSearch(space, seed, default_first=default_first)
        self._trials: dict[int, Trial] = {}
        self._asked = 0  # proposals since the last new trial was told
        self._goal = Goal()

    def pursue(self, goal: Goal) -> None:
        """Propose only feasible configurations; the metric determines the range of the scores."""
        self._goal = goal

    def tell(self, trial: Trial) -> None:
        """Store the trial's current state."""
        self._design.tell(trial)
        self._asked = self._asked if trial.number in self._trials else 0
        self._trials[trial.number] = trial

    def ask(self) -> Decision:
        """A new configuration, to be trained to its end; `End` when there is none."""
        trials = [self._trials[number] for number in sorted(self._trials)]
        ended = [trial for trial in trials if trial.state.ended and trial.utility is not None]
        config = self._best(ended) if ended else None
        if config is None:
            return ask_feasible(self._design, self._goal.feasible)
        self._design.leave_out(config)
        self._asked += 1
        return Start(config)

    def _best(self, ended: list[Trial]) -> dict[str, Any] | None:
        """The new candidate with the largest probability of improvement; None if no candidate is feasible."""
        from scipy.stats import norm
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import RBF, ConstantKernel

        rng = np.random.default_rng([self._seed, len(self._trials), self._asked])
        drawn = (self._space.decode(u) for u in rng.random((_CANDIDATES, self._space.dimension)))
        unseen = [config for config in drawn if key(config) not in self._design.seen]
        candidates = [config for config in unseen if self._goal.feasible(config)]
        if not candidates:
            return None
        score = self._scaled_scores(np.array([trial.utility for trial in ended]))
        # What scikit-learn took for want of a kernel when the paper was written; it fits one today.
        kernel = ConstantKernel(1.0, constant_value_bounds="fixed") * RBF(1.0, length_scale_bounds="fixed")
        model = GaussianProcessRegressor(kernel).fit(self._values([trial.config for trial in ended]), score)
        mean, deviation = model.predict(self._values(candidates), return_std=True)
        probability = norm.cdf((mean - score.max()) / (deviation + 1e-9))
        return candidates[int(np.argmax(probability))]

    def _scaled_scores(self, utility: NDArray[np.float64]) -> NDArray[np.float64]:
        metric = self._goal.metric
        if metric.span is not None:
            return np.asarray((utility - (metric.ceiling - metric.span)) / metric.span)
        return np.asarray((utility - utility.min()) / (np.ptp(utility) or 1.0))

    def _values(self, configs: Sequence[Config]) -> NDArray[np.float64]:
        """Rows (n, d): the values themselves, or the points of the unit cube."""
        if self._scaled:
            return np.array([self._space.encode(config) for config in configs])
        return np.array([[self._value(config, name) for name in self._space.names] for config in configs])

    def _value(self, config: Config, name: str) -> float:
        if name not in config:
            return 0.0
        parameter = self._space.free[name]
        return float(parameter.options.index(config[name]) if isinstance(parameter, Choice) else config[name])
