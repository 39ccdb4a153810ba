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
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray

from ecoml.endings import StopReason
from ecoml.errors import UsageError
from ecoml.space import Space
from ecoml.strategies.base import Continue, Decision, End, Goal, Start
from ecoml.strategies.bayes.candidates import Candidates, Options, Pool
from ecoml.strategies.bayes.energy_model import EnergyModel
from ecoml.strategies.bayes.energy_noise import log_energy_variance
from ecoml.strategies.bayes.front import front_of
from ecoml.strategies.bayes.observations import Observations, duplicates, evenly, milestones, observations_of
from ecoml.strategies.bayes.step_schedule import StepSchedule
from ecoml.strategies.bayes.stopping import end_of
from ecoml.strategies.enumeration import Key, key
from ecoml.strategies.one_thread import one_thread
from ecoml.strategies.random import RandomSearch
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
_LAST = 10.0  # R of `acquisition.py`
_MARGIN = 0.03  # in standard deviations of utilities: by less than this nothing is improved, or copies of the best win
_NEAR = 0.03  # of the cube's diagonal: nearer than that to a configuration that was tried none is started
_WHOLE = 4  # trainings to their end after which, too, a decision is reasoned: an initial design is to be cheap
_DRAWN = 8  # points for each of those that follow the first, where a training is one point: the cheapest is taken
_FAR_LESS = 0.5  # than the mean of these, or there is little to save
_PATIENCE = 10_000  # points of the initial design that may be infeasible in a row

Array = NDArray[np.float64]


class Bayes:
    """Goes on with what promises the most hypervolume of utility and log energy for each joule.

    Args:
        space: What to search.
        seed: ≥ 0; same seed and same trials, same decisions.
        initial: Configurations that are started before the first that is reasoned; None: 4 to 8, by the dimension,
            but no further ones when 4 have been trained to their end.

    Raises:
        UsageError: Fewer than two initial configurations.
    """

    def __init__(self, space: Space, seed: int, initial: Annotated[int, Ge(2)] | None = None) -> None:
        if initial is not None and initial < 2:
            raise UsageError(f"a Bayesian search needs at least 2 initial proposals, not {initial}")
        self._space = space
        self._seed = seed
        self._initial = initial or min(max(space.dimension + 1, 4), 8)
        self._whole = initial or _WHOLE
        self._design = RandomSearch(space, seed, "sobol")
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
        if observations is None or not self._design_is_done(trials, observations.length):
            config = self._first() if observations is None or observations.length != 1 else self._cheap(observations)
            return self._rest() if config is None else self._started(config, schedule.first())
        with one_thread():
            return self._best(observations, distinct, known, apart, schedule)

    def _design_is_done(self, trials: Sequence[Trial], length: int | None) -> bool:
        """Whether the initial design has been asked for in full, or enough of it trained to its end."""
        if len(self._learnt) + len(trials) + len(self._asked) >= self._initial:
            return True
        return length is not None and sum(trial.step >= length for trial in trials) >= self._whole

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

    def _first(self) -> Config | None:
        """The next feasible configuration of the initial design."""
        for _ in range(_PATIENCE):
            config = self._design.peek()
            if config is None or self._goal.feasible(config):
                return config
            self._design.leave_out(config)
        return None

    def _cheap(self, observations: Observations) -> Config | None:
        """Of a few feasible configurations at random the one that is predicted to take least, if that is far less.

        For an initial design of trainings that cannot be left early: one dear one may take more than all the rest.
        Where they take about the same, the design goes on.
        """
        points = np.random.default_rng(self._seed_now()).random((_DRAWN, self._space.dimension))
        drawn = [self._space.decode(point) for point in points]
        seen = set(self._design.seen) | set(self._asked)
        new = [config for config in drawn if key(config) not in seen and self._goal.feasible(config)]
        if not new:
            return self._first()
        step_j = self._energy_model(observations)(self._candidates.pool(new).x)
        return new[int(np.argmin(step_j))] if step_j.min() < _FAR_LESS * step_j.mean() else self._first()

    def _started(self, config: Config, steps: int) -> Start:
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
        """The candidate worth most per joule."""
        from ecoml.strategies.bayes.surrogate import Surrogate  # imports scipy, hence not before it is needed

        tried, measured = self._x(observations.trials), observations.measured
        surrogate = Surrogate(self._hyperparameters(trials), self._curve_data(tried, observations))
        ends = surrogate.mean(tried, np.arange(len(tried)), np.full(len(tried), math.log(observations.horizon)))
        top = np.argsort(-ends[: len(measured)], kind="stable")[:_INCUMBENTS]
        best = [measured[i] for i in top]
        new = self._new(self._u(best), known, apart, [trial.config for trial in best if trial.number < 0])
        suspended = observations.suspended
        candidates = Options(
            np.concatenate([new.x, tried[suspended]]),
            np.r_[np.full(len(new.x), -1), suspended].astype(int),
            np.r_[np.zeros(len(new.x)), [measured[i].step for i in suspended]],
            np.r_[self._energy_model(observations)(new.x), observations.step_j[suspended]],
        )
        if not len(candidates.x):
            config = self._first()
            return self._rest() if config is None else self._started(config, schedule.first())
        score, end = self._scores(candidates, surrogate, observations, tried)
        if end is not None:
            return end
        choice = int(np.argmax(score))
        if choice < len(new.x):
            return self._started(new.configs[choice], schedule.first(candidates.step_j[choice]))
        trial = measured[suspended[choice - len(new.x)]]
        return Continue(trial.number, schedule.further(trial.step, candidates.step_j[choice]))

    def _new(self, centres: Array, known: Array, apart: float, again: list[Config]) -> Pool:
        """Configurations that may be started: a pool, and the best ones of an earlier run."""
        seen = set(self._design.seen) | set(self._asked)
        apart = max(apart, _NEAR * math.sqrt(self._space.dimension))
        pool = self._candidates.spread(centres, known, seen, _POOL, apart, self._seed_now())
        pool += self._candidates.pool([config for config in again if key(config) not in seen])
        return pool.take(np.flatnonzero([self._goal.feasible(config) for config in pool.configs]))

    def _scores(
        self, candidates: Options, surrogate: Surrogate, observations: Observations, tried: Array
    ) -> tuple[Array, End | None]:
        """What each candidate is worth per joule, as a logarithm, and why the search should end, if it should.

        `tried`: features of the trials observed (m, D).
        """
        from ecoml.strategies.bayes.acquisition import log_improvement, log_probability

        steps = np.full(len(candidates.x), float(observations.horizon))
        if (most_j := self._goal.limits.max_energy_per_training_j) is not None:
            steps = np.clip(np.floor(most_j / candidates.step_j), candidates.done + 1, steps)
        mean, deviation = surrogate(candidates.x, candidates.owner, np.log(steps))
        deviation *= _CAUTION_AT_ONCE if observations.length == 1 else _CAUTION
        spent_j = sum(trial.energy_j for trial in self._trials.values())
        whole_j = candidates.step_j * steps + _SURCHARGE * spent_j
        log_to_go_j = np.log(whole_j * (1.0 - candidates.done / steps))
        if self._goal.target is not None:
            return log_probability(mean, deviation, observations.scaled(self._goal.target)) - log_to_go_j, None
        front = front_of(observations, tried, surrogate)
        ceiling = observations.scaled(self._goal.metric.ceiling) - _MARGIN
        log_energy = np.log(candidates.step_j * steps)
        improvement = log_improvement(mean - _MARGIN, deviation, log_energy, front, _LAST, ceiling)
        score = improvement - _COST_WEIGHT * log_to_go_j
        if self._goal.limits.spend_all or observations.length is None:
            return score, None
        rate = math.exp(float((improvement - log_to_go_j).max())) * observations.bend
        average_j = float(np.mean(candidates.step_j)) * observations.length
        trials, metric = list(self._trials.values()), self._goal.metric
        return score, end_of(trials, metric, front, rate, average_j, _LAST, observations.unit)

    def _hyperparameters(self, trials: Sequence[Trial]) -> Array:
        """Those of the surrogate, learnt from some of the first so many trials and few points of each curve.

        What they are learnt from changes only now and then, and does not depend on when it was asked for: a search that
        was interrupted finds the same ones.
        """
        count, least = self._initial, self._initial
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
        return observations_of(trials, steps, most, self._goal.metric.span)

    def _energy_model(self, observations: Observations) -> EnergyModel:
        measured = observations.measured
        hosts = [trial.curve[-1].host for trial in measured]
        return EnergyModel(self._x(measured), observations.step_j, log_energy_variance(measured), hosts)

    def _curve_data(self, x: Array, observations: Observations) -> CurveData:
        from ecoml.strategies.bayes.surrogate import CurveData

        return CurveData(x, self._candidates.groups, observations.owner, np.log(observations.step), observations.y)

    def _seed_now(self) -> int:
        told = sum(1 + trial.step for trial in self._trials.values()) + len(self._asked)
        return int(np.random.SeedSequence([self._seed, told]).generate_state(1)[0])
