"""Multi-objective Bayesian optimisation of score and energy, by freeze and thaw.

A decision is to start a configuration, to go on with a suspended one, or to end. New configurations are trained for a
few steps first (a screening). From then on a surrogate of all learning curves (`observations.py`, `surrogate.py`)
predicts where a training would end, a model of energy what that would take (`energy_model.py`), and the candidate that
promises the most hypervolume for each joule (`acquisition.py`) is trained a little further: a suspended trial by a
third of its steps, a new configuration from a pool (`candidates.py`) by a screening. What looked good and is not is
thereby left after few joules, and what looked bad and is not is come back to.

Nothing depends on the metric's scale; its bounds, where it has them, are known to be the most that there can be.

A decision is a function of the seed and of the trials told.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray

from ecoml.endings import StopReason
from ecoml.errors import UsageError
from ecoml.space import Space
from ecoml.strategies.base import Continue, Decision, End, Goal, Start
from ecoml.strategies.bayes.candidates import Candidates, Options, Pool, Scores, options_of
from ecoml.strategies.bayes.design import InitialDesign
from ecoml.strategies.bayes.energy_model import EnergyModel, steps_by_class
from ecoml.strategies.bayes.front import front_of
from ecoml.strategies.bayes.observations import Observations, duplicates, evenly, milestones, observations_of
from ecoml.strategies.bayes.step_schedule import StepSchedule
from ecoml.strategies.bayes.stopping import end_of
from ecoml.strategies.energy_noise import log_energy_variance
from ecoml.strategies.enumeration import Key, key
from ecoml.strategies.one_thread import one_thread
from ecoml.trial import Config, Trial, TrialState

if TYPE_CHECKING:
    from ecoml.strategies.bayes.surrogate import CurveData, Surrogate

_POOL = 256
_LISTED = 512  # a space with no more configurations than that is looked at in full
_INCUMBENTS = 4  # trials around which candidates are drawn
_OBSERVATIONS = 240  # at most that the surrogate is conditioned on, since its cost grows with their cube
_LEARNT_FROM = 72  # at most that its hyperparameters are fitted to
_REFIT = 1.2  # and anew whenever the trials have become more by this factor
_COST_WEIGHT = 0.5
_CAUTION = 1.4  # times the surrogate's standard deviation, which takes hyperparameters that are learnt for known ones
_CAUTION_AT_ONCE = 2.0  # instead, where a training is one point: nothing corrects a decision on the way
_SURCHARGE = 0.01  # of the energy spent is added to what each training takes, or there would be no end to cheap ones
_FORESIGHT = 1.15  # times what finishing the best training is forecast to take is kept for it
_DRAWN = 8  # points for each start of the design, where a training is one point
_LAST = 10.0  # R of `acquisition.py`
_MARGIN = 0.03  # in standard deviations of utilities: by less than this nothing is improved, or copies of the best win
_NEAR = 0.03  # of the cube's diagonal: nearer than that to a configuration that was tried none is started

Array = NDArray[np.float64]


class Bayes:
    """Goes on with what promises the most hypervolume of utility and log energy for each joule.

    Args:
        space: What to search.
        seed: ≥ 0; same seed and same trials, same decisions.
        initial: Configurations that are started before the first that is reasoned; None: 4 to 8, by the dimension,
            but no further ones when 4 have been trained to their end.
        default_first: Whether the first of them is the space's default configuration, where it has one.

    Raises:
        UsageError: Fewer than two initial configurations.
    """

    def __init__(
        self, space: Space, seed: int, initial: Annotated[int, Ge(2)] | None = None, *, default_first: bool = True
    ) -> None:
        if initial is not None and initial < 2:
            raise UsageError(f"a Bayesian search needs at least 2 initial proposals, not {initial}")
        self._space = space
        self._seed = seed
        self._design = InitialDesign(space, seed, initial, default_first=default_first)
        self._candidates = Candidates(space, _LISTED)
        self._goal = Goal()
        self._learnt: tuple[Trial, ...] = ()
        self._trials: dict[int, Trial] = {}
        self._places: dict[int, Pool] = {}  # where in the space each trial lies, encoded once
        self._asked: dict[Key, Config] = {}  # proposals of which nothing has been told yet
        self._fitted: tuple[bytes, Array] | None = None  # hyperparameters, and what they were learnt from

    def tell(self, trial: Trial) -> None:
        """Remember the trial as it is now."""
        self._design.tell(trial)
        self._trials[trial.number] = trial
        self._place(trial)
        self._asked.pop(key(trial.config), None)

    def pursue(self, goal: Goal) -> None:
        """With a target only that score counts: decisions are for the most probable way there per joule."""
        self._goal = goal

    def learn(self, trials: Sequence[Trial]) -> None:
        """The trials of an earlier run are observed like this run's own, and the best of them are tried again."""
        self._learnt = tuple(trials)
        for trial in trials:
            self._place(trial)

    def ask(self) -> Decision:
        """What to do next; `End` when nothing is left that would be worth its energy."""
        trials = [self._trials[number] for number in sorted(self._trials)]
        known = self._u(trials)
        repeats, apart = duplicates(trials, known)
        distinct = [trial for trial in trials if trial.number not in repeats]
        observations = self._observe([*self._learnt, *distinct], milestones(1.5, 10_000), _OBSERVATIONS)
        schedule = StepSchedule(observations)
        for trial in distinct:
            if trial.state is TrialState.SUSPENDED and trial.step < schedule.screening:
                return Continue(trial.number, schedule.screening - trial.step)
        left_j, known_by_now = self._goal.left_j(), len(self._learnt) + len(trials) + len(self._asked)
        length = None if observations is None else observations.length
        if observations is None or not self._design.is_done(trials, known_by_now, length, left_j):
            config = self._next(observations, left_j)
            if config is not None:
                return self._started(config, None if self._design.is_default(config) else schedule.first())
            if observations is None or math.isinf(left_j):
                return self._rest()
        with one_thread():
            return self._best(observations, distinct, known, apart, schedule)

    def _place(self, trial: Trial) -> None:
        if trial.number not in self._places:
            self._places[trial.number] = self._candidates.pool([trial.config])

    def _u(self, trials: Sequence[Trial]) -> Array:
        """Their points of the unit cube (len(trials), d)."""
        places = [self._places[trial.number].u for trial in trials]
        return np.concatenate(places) if places else np.empty((0, self._space.dimension))

    def _x(self, trials: Sequence[Trial]) -> Array:
        """Their features (len(trials), D), one trial at least."""
        return np.concatenate([self._places[trial.number].x for trial in trials])

    def _next(self, observations: Observations | None, left_j: float) -> Config | None:
        """The next configuration of the initial design."""
        feasible = self._goal.feasible
        if observations is None or (observations.length != 1 and math.isinf(left_j)):
            return self._design.next(feasible)
        energy_model = self._energy_model(observations)
        if observations.length != 1:
            return self._design.affordable(feasible, energy_model, observations.horizon, left_j)
        points = np.random.default_rng(self._seed_now()).random((_DRAWN, self._space.dimension))
        drawn = [self._space.decode(point) for point in points]
        return self._design.cheap(
            [config for config in drawn if key(config) not in self._asked], feasible, energy_model
        )

    def _started(self, config: Config, steps: int | None) -> Start:
        self._design.leave_out(config)
        self._asked[key(config)] = config
        return Start(config, steps)

    def _rest(self) -> Decision:
        """With nothing new left: what is suspended is trained to its end."""
        trial = next((trial for trial in self._trials.values() if trial.state is TrialState.SUSPENDED), None)
        return End(StopReason.EXHAUSTED) if trial is None else Continue(trial.number)

    def _best(
        self, observations: Observations, trials: Sequence[Trial], known: Array, apart: float, schedule: StepSchedule
    ) -> Decision:
        """The candidate worth most per joule, as long as the best training can still be finished after it."""
        from ecoml.strategies.bayes.surrogate import Surrogate  # imports scipy, hence not before it is needed

        tried, measured, horizon = self._x(observations.trials), observations.measured, observations.horizon
        surrogate = Surrogate(self._hyperparameters(trials), self._curve_data(tried, observations))
        ends = surrogate.mean(tried, np.arange(len(tried)), np.full(len(tried), math.log(horizon)))
        top = np.argsort(-ends[: len(measured)], kind="stable")[:_INCUMBENTS]
        best = [measured[i] for i in top]
        new = self._new(self._u(best), known, apart, [trial.config for trial in best if trial.number < 0])
        every = options_of(new, self._energy_model(observations)(new.configs), observations, tried)
        if not len(every.x):
            config = self._design.next(self._goal.feasible)
            return self._rest() if config is None else self._started(config, schedule.first())
        whole = observations.length is not None and not self._goal.limits.spend_all
        left_j, least = self._goal.left_j(), horizon if whole else schedule.screening
        candidates = every.within(left_j, least)
        if not len(candidates.x):
            return End(StopReason.BUDGET_SPENT, {"training_j": least * float(every.step_j.min()), "left_j": left_j})
        steps = candidates.reach(horizon, left_j, self._goal.limits.max_energy_per_training_j)
        found = self._scores(candidates, steps, surrogate, observations, tried)
        if found.end is not None:
            return found.end
        choice = int(np.argmax(found.score))
        step_j, done = float(candidates.step_j[choice]), int(candidates.done[choice])
        further = schedule.further(done, step_j)
        after_j = left_j - step_j * (further if done else schedule.screening)
        first = candidates.to_finish(steps, found.mean, found.best, horizon)
        if first is not None and first != choice and after_j < _FORESIGHT * candidates.to_go_j(horizon)[first]:
            return Continue(measured[candidates.owner[first]].number)
        if not done:
            return self._started(candidates.configs[choice], schedule.first(step_j))
        ends_there = observations.length is not None and done + further >= horizon
        return Continue(measured[candidates.owner[choice]].number, None if ends_there else further)

    def _new(self, centres: Array, known: Array, apart: float, again: list[Config]) -> Pool:
        """Configurations that may be started: a pool, and the best ones of an earlier run."""
        seen = set(self._design.seen) | set(self._asked)
        apart = max(apart, _NEAR * math.sqrt(self._space.dimension))
        pool = self._candidates.spread(centres, known, seen, _POOL, apart, self._seed_now())
        pool += self._candidates.pool([config for config in again if key(config) not in seen])
        return pool.take(np.flatnonzero([self._goal.feasible(config) for config in pool.configs]))

    def _scores(
        self, candidates: Options, steps: Array, surrogate: Surrogate, observations: Observations, tried: Array
    ) -> Scores:
        """What the candidates are worth, each after so many steps; `tried`: features of the trials observed (m, D)."""
        from ecoml.strategies.bayes.acquisition import log_improvement, log_probability

        mean, deviation = surrogate(candidates.x, candidates.owner, np.log(steps))
        deviation *= _CAUTION_AT_ONCE if observations.length == 1 else _CAUTION
        spent_j = sum(trial.energy_j for trial in self._trials.values())
        whole_j = candidates.step_j * steps + _SURCHARGE * spent_j
        log_to_go_j = np.log(whole_j * (1.0 - candidates.done / steps))
        front = front_of(observations, tried, surrogate)
        best = float(front[-1, 1])
        if self._goal.target is not None:
            probability = log_probability(mean, deviation, observations.scaled(self._goal.target))
            return Scores(probability - log_to_go_j, mean, best)
        ceiling = observations.scaled(self._goal.metric.ceiling) - _MARGIN
        log_energy = np.log(candidates.step_j * steps)
        improvement = log_improvement(mean - _MARGIN, deviation, log_energy, front, _LAST, ceiling)
        score = improvement - _COST_WEIGHT * log_to_go_j
        if self._goal.limits.spend_all or observations.length is None:
            return Scores(score, mean, best)
        rate = math.exp(float((improvement - log_to_go_j).max())) * observations.bend
        average_j = float(np.mean(candidates.step_j)) * observations.length
        trials, metric = list(self._trials.values()), self._goal.metric
        end = end_of(trials, metric, front, rate, average_j, _LAST, observations.unit)
        return Scores(score, mean, best, end)

    def _hyperparameters(self, trials: Sequence[Trial]) -> Array:
        """Those of the surrogate, learnt from some of the first so many trials and few points of each curve.

        What they are learnt from changes only now and then, and does not depend on when it was asked for: a search that
        was interrupted finds the same ones.
        """
        count = least = self._design.count
        while (count := max(count + 1, math.floor(count * _REFIT))) <= len(trials):
            least = count
        looked_at = milestones(3.0, 10_000)
        first = [*self._learnt, *trials[:least]]
        observations = self._observe(evenly(first, looked_at, _LEARNT_FROM), looked_at, _LEARNT_FROM)
        observations = observations or self._observe(trials, looked_at, _LEARNT_FROM)
        assert observations is not None, "something is observed, or there would be no surrogate"
        from ecoml.strategies.bayes.surrogate import fit

        data = self._curve_data(self._x(observations.trials), observations)
        learnt_from = data.x.tobytes() + data.tau.tobytes() + data.y.tobytes()
        if self._fitted is None or self._fitted[0] != learnt_from:
            self._fitted = learnt_from, fit(data)
        return self._fitted[1]

    def _observe(self, trials: Sequence[Trial], steps: Sequence[int], most: int) -> Observations | None:
        observations = observations_of(trials, steps, most, self._goal.metric.span)
        if observations is None or observations.length is not None or self._goal.steps is None:
            return observations
        return replace(observations, length=max(self._goal.steps(trial.config) for trial in observations.measured))

    def _energy_model(self, observations: Observations) -> Callable[[Sequence[Config]], Array]:
        """Predicts joules of a step (n,) of n configurations."""
        measured, steps = observations.measured, observations.horizon
        sizes = self._log_sizes([trial.config for trial in measured], steps)
        rows, mean_j, hosts = steps_by_class(measured)
        of_rows = None if sizes is None else sizes[rows]
        model = EnergyModel(self._x(measured)[rows], mean_j, log_energy_variance(measured)[rows], of_rows, hosts)

        def step_j(configs: Sequence[Config]) -> Array:
            return model(self._candidates.pool(configs).x, None if sizes is None else self._log_sizes(configs, steps))

        return step_j

    def _log_sizes(self, configs: Sequence[Config], steps: int) -> Array | None:
        """Logarithms of about what a training's step takes (n,), by its hint or its arithmetic; None: not known."""
        if self._goal.cost_hint is not None:
            return np.log([self._goal.cost_hint(config) for config in configs])
        if self._goal.floor_j is None:
            return None
        floors_j = [self._goal.floor_j(config, steps) for config in configs]
        return None if None in floors_j else np.log(np.array(floors_j, dtype=float) / steps)

    def _curve_data(self, x: Array, observations: Observations) -> CurveData:
        from ecoml.strategies.bayes.surrogate import CurveData

        return CurveData(x, self._candidates.groups, observations.owner, np.log(observations.step), observations.y)

    def _seed_now(self) -> int:
        told = sum(1 + trial.step for trial in self._trials.values()) + len(self._asked)
        return int(np.random.SeedSequence([self._seed, told]).generate_state(1)[0])
