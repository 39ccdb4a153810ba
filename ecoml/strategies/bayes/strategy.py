"""Multi-objective Bayesian optimisation of score and energy, which suspends and resumes trainings.

A decision is to start a configuration, to continue a suspended one, or to end. New configurations are first trained for
a few steps (a screening). From then on a surrogate of all learning curves (`observations.py`, `models/curves.py`)
predicts where a training would end, a model of energy (`models/energy.py`) predicts its energy, and the candidate with
the largest hypervolume improvement per joule (`acquisition.py`) is trained further: a suspended trial for a third of
its steps, a new configuration from a pool (`candidates.py`) for a screening. A training that only looked good is
thereby suspended after few joules, and one that only looked bad is resumed. Some configurations are trained to their
end without being judged, in case good ones start slowly (`rules/slow_starters.py`).

Nothing depends on the metric's scale; its bounds, if it has them, limit the predictions. A decision is a function of
the seed and of the trials told.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray

from ecoml.endings import StopReason
from ecoml.errors import UsageError
from ecoml.space import Space
from ecoml.strategies.base import Continue, Decision, End, Goal, Start
from ecoml.strategies.bayes.candidates import Candidates, Options, Pool, options_of
from ecoml.strategies.bayes.foreign import function_of
from ecoml.strategies.bayes.front import front_of
from ecoml.strategies.bayes.learner import CreateModel, Learner
from ecoml.strategies.bayes.observations import Observations, duplicates
from ecoml.strategies.bayes.rules.design import InitialDesign
from ecoml.strategies.bayes.rules.slow_starters import is_due, screening_misleads
from ecoml.strategies.bayes.rules.step_schedule import StepSchedule
from ecoml.strategies.bayes.rules.stopping import end_of
from ecoml.strategies.enumeration import Key, key
from ecoml.strategies.quiet import thinking
from ecoml.trial import Config, Trial, TrialState

if TYPE_CHECKING:
    from botorch.models.model import Model
    from torch import Tensor

    from ecoml.strategies.bayes.acquisition import Outlook

_POOL = 128
_LISTED = 512  # a space with no more configurations than that is looked at in full
_INCUMBENTS = 4  # trials around which candidates are drawn
_CAUTION = 1.4  # times the surrogate's standard deviation, which takes hyperparameters that are learnt for known ones
_CAUTION_AT_ONCE = 2.0  # instead, where a training is one point: nothing corrects a decision on the way
_FORESIGHT = 1.15  # times what finishing the best training is forecast to take is kept for it
_DRAWN = 8  # points for each start of the design, where a training is one point
_NEAR = 0.03  # of the cube's diagonal: nearer than that to a configuration that was tried none is started

Array = NDArray[np.float64]
CreateAcquisition = Callable[[Any], Any]
"""Makes a BoTorch acquisition function, which gets X (b, 1, D+1) and is maximised."""


class Bayes:
    """Trains the candidate with the largest hypervolume improvement of utility and log energy per joule.

    Args:
        space: The space to search.
        seed: ≥ 0; the same seed and the same trials give the same decisions.
        initial: Configurations before the first model-based decision; None: 4 to 8, by the dimension, and no further
            ones after 4 complete trainings.
        default_first: Whether the first of them is the space's default configuration, if there is one.
        model: Fits the BoTorch model of utilities in place of the surrogate of learning curves: X (n, D+1), features
            and log steps, and Y (n, 1), scaled utilities → Model. Or its name, `module:function`.
        acquisition: Makes the BoTorch acquisition function in place of `WorthPerJoule`: `Outlook` →
            AcquisitionFunction, which gets X (b, 1, D+1). Or its name.

    Raises:
        UsageError: There are fewer than two initial configurations, or a name is not of a function.
    """

    def __init__(
        self,
        space: Space,
        seed: int,
        initial: Annotated[int, Ge(2)] | None = None,
        *,
        default_first: bool = True,
        model: CreateModel | str | None = None,
        acquisition: CreateAcquisition | str | None = None,
    ) -> None:
        if initial is not None and initial < 2:
            raise UsageError(f"a Bayesian search needs at least 2 initial proposals, not {initial}")
        self._space = space
        self._seed = seed
        self._design = InitialDesign(space, seed, initial, default_first=default_first)
        self._candidates = Candidates(space, _LISTED)
        create_model = function_of(model) if isinstance(model, str) else model
        self._learner = Learner(self._candidates, self._design.count, create_model)
        self._acquisition = function_of(acquisition) if isinstance(acquisition, str) else acquisition
        self._foreign = model is not None or acquisition is not None
        self._goal = Goal()
        self._trials: dict[int, Trial] = {}
        self._asked: dict[Key, Config] = {}  # proposals of which nothing has been told yet

    def import_libraries(self) -> None:
        """Import BoTorch, and what the initial design needs."""
        self._design.import_libraries()
        with thinking(self._seed):
            import ecoml.strategies.bayes.acquisition
            import ecoml.strategies.bayes.models.curves
            import ecoml.strategies.bayes.models.energy  # noqa: F401

    def tell(self, trial: Trial) -> None:
        """Store the trial's current state."""
        self._design.tell(trial)
        self._trials[trial.number] = trial
        self._learner.place([trial])
        self._asked.pop(key(trial.config), None)

    def pursue(self, goal: Goal) -> None:
        """With a target, only that score counts: decisions maximise the probability of reaching it per joule."""
        self._goal = self._learner.goal = goal

    def learn(self, trials: Sequence[Trial]) -> None:
        """Observe the trials of an earlier run like this run's own, and try the best of them again."""
        self._learner.earlier = tuple(trials)
        self._learner.place(trials)

    def ask(self) -> Decision:
        """The next decision; `End` when no further training is worth its energy."""
        trials = [self._trials[number] for number in sorted(self._trials)]
        known = self._learner.places(trials).u
        repeats, apart = duplicates(trials, known)
        distinct = [trial for trial in trials if trial.number not in repeats]
        observations = self._learner.observe(distinct)
        schedule = StepSchedule(observations)
        for trial in distinct:
            if trial.state is TrialState.SUSPENDED and trial.step < schedule.screening:
                return Continue(trial.number, schedule.screening - trial.step)
        left_j = self._goal.left_j()
        known_by_now = len(self._learner.earlier) + len(trials) + len(self._asked)
        length = None if observations is None else observations.length
        if observations is None or not self._design.is_done(trials, known_by_now, length, left_j):
            config = self._next(observations, left_j)
            if config is not None:
                return self._started(config, None if self._design.is_default(config) else schedule.first())
            if observations is None or math.isinf(left_j):
                return self._rest()
        with thinking(self._seed_now()):
            return self._best(observations, distinct, known, apart, schedule)

    def _next(self, observations: Observations | None, left_j: float) -> Config | None:
        """The next configuration of the initial design."""
        feasible = self._goal.feasible
        if observations is None or (observations.length != 1 and math.isinf(left_j)):
            return self._design.next(feasible)
        with thinking(self._seed_now()):
            energy = self._learner.energy(observations)

            def step_j(configs: Sequence[Config]) -> Array:
                return energy.step_j(self._candidates.pool(configs).x)

            if observations.length != 1:
                return self._design.affordable(feasible, step_j, observations.horizon, left_j)
            drawn = self._candidates.drawn(_DRAWN, self._seed_now())
            new = [config for config in drawn if key(config) not in self._asked]
            return self._design.cheap(new, feasible, step_j)

    def _started(self, config: Config, steps: int | None) -> Start:
        self._design.leave_out(config)
        self._asked[key(config)] = config
        return Start(config, steps)

    def _rest(self) -> Decision:
        """If nothing new is left: train the suspended trials to their end."""
        trial = next((trial for trial in self._trials.values() if trial.state is TrialState.SUSPENDED), None)
        return End(StopReason.EXHAUSTED) if trial is None else Continue(trial.number)

    def _best(
        self, observations: Observations, trials: Sequence[Trial], known: Array, apart: float, schedule: StepSchedule
    ) -> Decision:
        """The candidate with the largest worth per joule, as long as the best training can still be finished
        afterwards.
        """
        measured, horizon = observations.measured, observations.horizon
        tried = self._learner.places(observations.trials)
        utility, energy = self._learner.utility(observations, trials), self._learner.energy(observations)
        ends = _mean(utility, tried.x, np.full(len(tried.x), horizon))
        top = np.argsort(-ends[: len(measured)], kind="stable")[:_INCUMBENTS]
        again = [measured[i].config for i in top if measured[i].number < 0]
        new = self._new(tried.u[top], known, apart, again)
        every = options_of(new, energy.step_j(new.x), observations, tried.x)
        if not len(every.x):
            config = self._design.next(self._goal.feasible)
            return self._rest() if config is None else self._started(config, schedule.first())
        whole = observations.length is not None and not self._goal.limits.spend_all
        left_j, least = self._goal.left_j(), horizon if whole else schedule.screening
        candidates = every.within(left_j, least)
        if not len(candidates.x):
            return End(StopReason.BUDGET_SPENT, {"training_j": least * float(every.step_j.min()), "left_j": left_j})
        steps = candidates.reach(horizon, left_j, self._goal.limits.max_energy_per_training_j)
        front = front_of(observations, lambda trial, step: _mean(utility, tried.x[trial], step))
        outlook = self._outlook(observations, utility, energy, front, candidates, schedule)
        score, end = self._judged(candidates, steps, outlook, observations)
        if end is not None:
            return end
        unjudged = self._unjudged(candidates, steps, outlook, observations, schedule.screening)
        to_its_end = unjudged is not None
        log_prior = self._candidates.log_prior(candidates.configs, len(self._learner.earlier) + len(self._trials))
        choice = int(np.argmax((score if unjudged is None else unjudged) + log_prior))
        step_j, done = float(candidates.step_j[choice]), int(candidates.done[choice])
        further = horizon - done if to_its_end else schedule.further(done, step_j)
        after_j = left_j - step_j * (further if done or to_its_end else schedule.screening)
        first = candidates.to_finish(steps, ends, float(front[-1, 1]), horizon)
        if first is not None and first != choice and after_j < _FORESIGHT * candidates.to_go_j(horizon)[first]:
            return Continue(measured[candidates.owner[first]].number)
        if not done:
            return self._started(candidates.configs[choice], None if to_its_end else schedule.first(step_j))
        ends_there = observations.length is not None and done + further >= horizon
        return Continue(measured[candidates.owner[choice]].number, None if ends_there else further)

    def _new(self, centres: Array, known: Array, apart: float, again: list[Config]) -> Pool:
        """Configurations that may be started: a pool, and the best ones of an earlier run."""
        seen = set(self._design.seen) | set(self._asked)
        apart = max(apart, _NEAR * math.sqrt(self._space.dimension))
        pool = self._candidates.spread(centres, known, seen, _POOL, apart, self._seed_now())
        pool += self._candidates.pool([config for config in again if key(config) not in seen])
        return pool.take(np.flatnonzero([self._goal.feasible(config) for config in pool.configs]))

    def _outlook(
        self,
        observations: Observations,
        utility: Model,
        frugality: Model,
        front: Array,
        candidates: Options,
        schedule: StepSchedule,
    ) -> Outlook:
        import torch

        from ecoml.strategies.bayes.acquisition import Outlook

        suspended = candidates.owner >= 0
        running = [trial for trial in self._trials.values() if trial.state is TrialState.RUNNING]
        pending = self._learner.places(running) + self._candidates.pool(list(self._asked.values()))
        until = [max(schedule.screening, trial.step + schedule.further(trial.step, 0.0)) for trial in running]
        target = self._goal.target
        return Outlook(
            utility,
            frugality,
            torch.from_numpy(front),
            _rows(candidates.x[suspended], candidates.done[suspended]),
            _rows(pending.x, np.r_[until, np.full(len(self._asked), schedule.screening)]),
            sum(trial.energy_j for trial in self._trials.values()),
            observations.scaled(self._goal.metric.ceiling),
            None if target is None else observations.scaled(target),
            _CAUTION_AT_ONCE if observations.length == 1 else _CAUTION,
        )

    def _judged(
        self, candidates: Options, steps: Array, outlook: Outlook, observations: Observations
    ) -> tuple[Array, End | None]:
        """The worth of the candidates, each after its number of steps; and the end of the search, if it should end."""
        import torch

        from ecoml.strategies.bayes.acquisition import COST_WEIGHT, LAST, WorthPerJoule, log_to_go

        rows = _rows(candidates.x, steps).unsqueeze(-2)
        with torch.no_grad():
            worth = WorthPerJoule(outlook)(rows)
            score = worth if self._acquisition is None else self._acquisition(outlook)(rows)
        if score.shape != worth.shape or score.isnan().any():
            raise UsageError(
                f"the acquisition returned {tuple(score.shape)} for X {tuple(rows.shape)};"
                f" it must return {len(rows)} numbers"
            )
        if outlook.target is not None or self._goal.limits.spend_all or observations.length is None:
            return score.numpy(), None
        whole_j = torch.from_numpy(candidates.step_j * steps)
        to_go = log_to_go(whole_j.log(), torch.from_numpy(candidates.done), rows[:, 0, -1].exp(), outlook.spent_j)
        rate = math.exp(float((worth - (1.0 - COST_WEIGHT) * to_go).max())) * observations.bend
        average_j = float(np.mean(candidates.step_j)) * observations.length
        trials, front = list(self._trials.values()), outlook.front.numpy()
        return score.numpy(), end_of(trials, self._goal.metric, front, rate, average_j, LAST, observations.unit)

    def _unjudged(
        self, candidates: Options, steps: Array, outlook: Outlook, observations: Observations, screening: int
    ) -> Array | None:
        """The worth of the candidates by complete trainings alone, if one is to be trained to its end now.

        A model or acquisition of the user's own judges everything itself.
        """
        import torch

        from ecoml.strategies.bayes.acquisition import WorthPerJoule

        length = observations.length
        if self._foreign or length is None or length <= screening:
            return None
        trials, whole_j = list(self._trials.values()), float(np.mean(observations.step_j)) * length
        pending_j = len(outlook.pending) * whole_j
        possible = (steps >= length) & (candidates.to_go_j(length) + pending_j <= self._goal.left_j())
        if not screening_misleads(trials, screening, length, whole_j):
            if not is_due(trials, len(trials) + len(self._asked), self._design.count, length, whole_j):
                return None
            possible &= candidates.owner < 0
        ends = self._learner.ends(observations) if possible.any() else None
        if ends is None:
            return None
        pending = torch.cat([outlook.pending[:, :-1], torch.full_like(outlook.pending[:, -1:], math.log(length))], -1)
        with torch.no_grad():
            at_end = replace(outlook, utility=ends, pending=pending)
            worth = WorthPerJoule(at_end)(_rows(candidates.x, steps).unsqueeze(-2))
        return np.where(possible, worth.numpy(), -math.inf)

    def _seed_now(self) -> int:
        told = sum(1 + trial.step for trial in self._trials.values()) + len(self._asked)
        return int(np.random.SeedSequence([self._seed, told]).generate_state(1)[0])


def _rows(x: Array, steps: Array) -> Tensor:
    """X (n, D+1): features (n, D), and the logarithms of steps (n,)."""
    import torch

    return torch.from_numpy(np.column_stack([x, np.log(steps)]))


def _mean(model: Model, x: Array, steps: Array) -> Array:
    """A model's mean (n,) at features (n, D) and steps (n,)."""
    import torch

    from ecoml.strategies.bayes.models.gaussian_process import expected

    with torch.no_grad():
        return np.asarray(expected(model, _rows(x, steps).unsqueeze(-2))[:, 0].numpy())
