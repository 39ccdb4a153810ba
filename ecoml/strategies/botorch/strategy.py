"""BoTorch's multi-objective Bayesian optimisation, unchanged: complete trainings, and their final results.

It is the strategy that most users would build from the library, for comparison; `bayes` beats it on learning curves.

The first proposals are the first points of a scrambled Sobol' sequence. From then on a surrogate is fitted to the
results (`objectives.py`, `surrogate.py`), and of a pool of new configurations (`candidates.py`) the one with the
largest expected hypervolume improvement is proposed (`acquisition.py`).

Decision n is a function of the seed and of the trials told. torch is imported for the first proposal that needs it.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from annotated_types import Ge

from ecoml.errors import UsageError
from ecoml.space import Space
from ecoml.strategies.base import Decision, Start
from ecoml.strategies.bayes.candidates import Candidates
from ecoml.strategies.botorch.objectives import Objectives, most_telling, objectives_of
from ecoml.strategies.enumeration import Key, key
from ecoml.strategies.quiet import thinking
from ecoml.strategies.random import RandomSearch
from ecoml.trial import Config, Trial

__all__ = ["Nehvi"]

_POOL = 512
_REFINEMENTS = (0.1, 0.03)  # steps around the best candidates, as shares of a parameter's range
_REFINEMENT = 96  # candidates in each
_BEST = 4  # candidates to refine
_FULL_EFFORT = 64  # trials up to which the whole pool is looked at: beyond, each candidate costs more
_LEARNT_FROM = 256  # trials at most that the surrogate is fitted to, since its cost grows with their cube


class Nehvi:
    """Proposes the candidate with the largest expected gain in hypervolume of utility and log energy.

    Args:
        space: The space to search.
        seed: ≥ 0; the same seed and the same trials give the same proposals.
        initial: Proposals before the first model-based one; None: 4 to 8, by the space's dimension.
        default_first: Whether the first of them is the space's default configuration, if there is one.

    Raises:
        UsageError: There are fewer than two initial proposals.
    """

    def __init__(
        self, space: Space, seed: int, initial: Annotated[int, Ge(2)] | None = None, *, default_first: bool = True
    ) -> None:
        if initial is not None and initial < 2:
            raise UsageError(f"a Bayesian search needs at least 2 initial proposals, not {initial}")
        self._seed = seed
        self._initial = initial or min(max(space.dimension // 2 + 1, 4), 8)
        self._design = RandomSearch(space, seed, "sobol", default_first=default_first)
        self._candidates = Candidates(space, _POOL)
        self._trials: dict[int, Trial] = {}
        self._asked: dict[Key, Config] = {}  # proposals of which nothing has been told yet

    def import_libraries(self) -> None:
        """Import BoTorch."""
        self._design.import_libraries()
        with thinking(self._seed):
            import ecoml.strategies.botorch.acquisition
            import ecoml.strategies.botorch.surrogate  # noqa: F401

    def tell(self, trial: Trial) -> None:
        """Store the trial's current state."""
        self._design.tell(trial)
        self._trials[trial.number] = trial
        self._asked.pop(key(trial.config), None)

    def ask(self) -> Decision:
        """A new configuration, to be trained to its end; `End` when there is none."""
        trials = [self._trials[number] for number in sorted(self._trials)]
        known = objectives_of(trials, self._initial)
        if len(trials) + len(self._asked) < self._initial or known is None:
            return self._remembered(self._design.ask())
        config = self._best(known)
        return self._remembered(self._design.ask() if config is None else Start(config))

    def _remembered(self, decision: Decision) -> Decision:
        if isinstance(decision, Start):
            self._design.leave_out(decision.config)
            self._asked[key(decision.config)] = decision.config
        return decision

    def _best(self, known: Objectives) -> dict[str, Any] | None:
        """The candidate with the largest acquisition value; None if no candidate is left."""
        number = len(self._trials) + len(self._asked)
        seed = int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0])
        effort = min(1.0, _FULL_EFFORT / number)
        seen = set(self._design.seen)
        incumbents = self._candidates.pool([known.measured[i].config for i in known.incumbents])
        pool = self._candidates.spread(incumbents.u, incumbents.u, seen, round(_POOL * effort), 0.0, seed)
        if not pool.configs:
            return None

        learnt = most_telling(known, _LEARNT_FROM)
        ended = [trial.config for trial in (*known.measured, *known.failed)]
        pending = [*(trial.config for trial in known.pending), *self._asked.values()]
        x = self._candidates.pool([ended[i] for i in learnt]).x
        with thinking(seed):
            from ecoml.strategies.botorch.acquisition import Acquisition
            from ecoml.strategies.botorch.surrogate import fit

            model = fit(x, known.y[learnt], known.variance[learnt])
            acquisition = Acquisition(model, x, self._candidates.pool(pending).x, known.reference, seed)
            values = acquisition(pool.x)
            for scale in _REFINEMENTS:
                best = np.argsort(-values, kind="stable")[:_BEST]
                count = max(1, round(_REFINEMENT * effort))
                more = self._candidates.near(pool.u[best], seen, count, scale, seed)
                if more.configs:
                    pool, values = pool + more, np.concatenate([values, acquisition(more.x)])
        return pool.configs[int(np.argmax(values))]
