"""Learns from trials: observations of them, and models of utility and energy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ecoml.strategies.base import Goal
from ecoml.strategies.bayes.candidates import Candidates, Pool
from ecoml.strategies.bayes.observations import Observations, evenly, is_complete, milestones, observations_of
from ecoml.strategies.energy_noise import log_energy_variance
from ecoml.trial import Trial

if TYPE_CHECKING:
    from botorch.models.model import Model

    from ecoml.strategies.bayes.models.energy import EnergyModel, LogSize
    from ecoml.strategies.bayes.models.surrogate import CurveData

_OBSERVATIONS = 240  # at most that the surrogate is conditioned on, since its cost grows with their cube
_LEARNT_FROM = 72  # at most that its hyperparameters are fitted to
_REFIT = 1.2  # and anew whenever the trials have become more by this factor
_LEAST_SPREAD = 0.1  # of the utilities of complete trainings, in standard deviations of all
_SIZES = 4096  # of trainings that are remembered

Array = NDArray[np.float64]
CreateModel = Callable[[Any, Any], Any]
"""Fits a BoTorch model to X (n, D+1), features and log steps, and Y (n, 1), scaled utilities."""


class Learner:
    """Learns from trials.

    Args:
        candidates: The features of configurations.
        initial: Trials of the initial design: with more trials, hyperparameters are refitted from time to time.
        create: Makes the model of utilities; None: the surrogate of learning curves.

    Attributes:
        earlier: Trials of an earlier run, which are observed like this run's own.
        goal: The goal of the search.
    """

    def __init__(self, candidates: Candidates, initial: int, create: CreateModel | None) -> None:
        self.earlier: tuple[Trial, ...] = ()
        self.goal = Goal()
        self._candidates = candidates
        self._initial = initial
        self._create = create
        self._places: dict[int, Pool] = {}  # where in the space each trial lies, encoded once
        self._fitted: dict[str, tuple[bytes, Array]] = {}  # hyperparameters, and what they were fitted to
        self._size = lru_cache(_SIZES)(self._size_of)

    def place(self, trials: Iterable[Trial]) -> None:
        """Compute the features of these trials, unless they are known."""
        for trial in trials:
            if trial.number not in self._places:
                self._places[trial.number] = self._candidates.pool([trial.config])

    def places(self, trials: Sequence[Trial]) -> Pool:
        """The features of these trials."""
        return Pool.of([self._candidates.pool([]), *(self._places[trial.number] for trial in trials)])

    def observe(self, trials: Sequence[Trial]) -> Observations | None:
        """The observations of the earlier run and of these trials."""
        return self._observe([*self.earlier, *trials], milestones(1.5, 10_000), _OBSERVATIONS)

    def utility(self, observations: Observations, trials: Sequence[Trial]) -> Model:
        """A model of utilities over (configuration, step), conditioned on the observations; `trials`: this run's."""
        import torch

        from ecoml.strategies.bayes.models.curves import curve_model

        data = self._data(observations)
        if self._create is None:
            return curve_model(self._hyperparameters(trials), data)
        rows = torch.from_numpy(np.column_stack([data.x[data.owner], data.tau]))
        model: Model = self._create(rows, torch.from_numpy(data.y)[:, None])
        return model

    def ends(self, observations: Observations) -> Model | None:
        """The surrogate of utilities at the end, from complete and failed trainings alone; None if none is complete.

        Its hyperparameters are fitted to the complete ones, whose utilities are scaled among themselves.
        """
        from ecoml.strategies.bayes.models.curves import curve_model

        measured = observations.measured
        is_whole = np.array([is_complete(trial, observations.horizon) for trial in measured])
        if not is_whole.any():
            return None
        complete = [trial for trial, whole in zip(measured, is_whole, strict=True) if whole]
        owner = np.minimum(observations.owner, len(measured) - 1)
        at_end = is_whole[owner] & (observations.step == np.array([trial.step for trial in measured])[owner])
        last = np.flatnonzero(at_end | (observations.owner >= len(measured)))
        data = self._data(observations)
        ends = replace(data, owner=data.owner[last], tau=data.tau[last], y=data.y[last])
        seen = self._observe(evenly(complete[: _known_at(1, len(complete))], (), _LEARNT_FROM), (), _LEARNT_FROM)
        assert seen is not None, "a complete training has a point"
        y = ends.y[ends.owner < len(measured)]
        return curve_model(self._fit("ends", self._data(seen)), ends, y.mean(), max(y.std(), _LEAST_SPREAD))

    def energy(self, observations: Observations) -> EnergyModel:
        """A model of the joules per step."""
        from ecoml.strategies.bayes.models.energy import EnergyModel, steps_by_class

        measured = observations.measured
        x = self.places(measured).x
        rows, step_j, hosts = steps_by_class(measured)
        log_size = self._log_size(x, observations.horizon)
        return EnergyModel(x[rows], step_j, log_energy_variance(measured)[rows], log_size, hosts)

    def _hyperparameters(self, trials: Sequence[Trial]) -> Array:
        """The hyperparameters of the surrogate, fitted to a part of the trials and few points of each curve.

        The data for the fit change only from time to time, and do not depend on when the fit was requested: an
        interrupted search finds the same hyperparameters.
        """
        looked_at = milestones(3.0, 10_000)
        first = [*self.earlier, *trials[: _known_at(self._initial, len(trials))]]
        observations = self._observe(evenly(first, looked_at, _LEARNT_FROM), looked_at, _LEARNT_FROM)
        observations = observations or self._observe(trials, looked_at, _LEARNT_FROM)
        assert observations is not None, "something is observed, or there would be no surrogate"
        return self._fit("curves", self._data(observations))

    def _fit(self, of: str, data: CurveData) -> Array:
        """The hyperparameters for these data; those of the last call are remembered."""
        from ecoml.strategies.bayes.models.surrogate import fit

        fitted_to = data.x.tobytes() + data.tau.tobytes() + data.y.tobytes()
        if of not in self._fitted or self._fitted[of][0] != fitted_to:
            self._fitted[of] = fitted_to, fit(data)
        return self._fitted[of][1]

    def _data(self, observations: Observations) -> CurveData:
        from ecoml.strategies.bayes.models.surrogate import CurveData

        x = self.places(observations.trials).x
        return CurveData(x, self._candidates.groups, observations.owner, np.log(observations.step), observations.y)

    def _observe(self, trials: Sequence[Trial], steps: Sequence[int], most: int) -> Observations | None:
        observations = observations_of(trials, steps, most, self.goal.metric.span)
        if observations is None or observations.length is not None or self.goal.steps is None:
            return observations
        return replace(observations, length=max(self.goal.steps(trial.config) for trial in observations.measured))

    def _log_size(self, x: Array, steps: int) -> LogSize | None:
        """The approximate energy of a training's step, from its hint or its arithmetic; None if unknown for one of
        these (m, D).
        """
        if self.goal.cost_hint is None and self.goal.floor_j is None:
            return None
        if any(self._size(row.tobytes(), steps) is None for row in x):
            return None
        return lambda x: np.log(np.array([self._size(row.tobytes(), steps) for row in x], dtype=float))

    def _size_of(self, row: bytes, steps: int) -> float | None:
        config = self._candidates.config(np.frombuffer(row))
        if self.goal.cost_hint is not None:
            return self.goal.cost_hint(config)
        floor_j = None if self.goal.floor_j is None else self.goal.floor_j(config, steps)
        return None if floor_j is None else floor_j / steps


def _known_at(first: int, trials: int) -> int:
    """The number of trials at the last fit: it is done with `first`, and whenever they have become more by a factor."""
    count = last = first
    while (count := max(count + 1, math.floor(count * _REFIT))) <= trials:
        last = count
    return last
