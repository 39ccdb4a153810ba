"""Candidates: new configurations, from which the acquisition function chooses.

Notation: U is m×d in the unit cube, X is m×D (`features.py`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecoml.space import Choice, Float, Space
from ecoml.strategies.bayes.features import Features
from ecoml.strategies.bayes.observations import Observations
from ecoml.strategies.enumeration import Enumeration, Key, all_levels, key
from ecoml.strategies.random import sobol
from ecoml.trial import Config

Array = NDArray[np.float64]

_STEPS = (0.3, 0.1)  # of moves from an incumbent, as shares of a parameter's range: half of them far, half near
_PRIOR = 0.2  # β: after n trials the prior has the weight β/n
_REMEMBERED = 4096  # configurations
_FEWEST = 20  # candidates that are left, however near


@dataclass(frozen=True, slots=True)
class Pool:
    """Candidates: m configurations, their points U (m, d) and their features X (m, D)."""

    configs: list[dict[str, Any]]
    u: Array
    x: Array

    def __add__(self, other: Pool) -> Pool:
        return Pool.of([self, other])

    @staticmethod
    def of(pools: Sequence[Pool]) -> Pool:
        """Several pools, at least one, as one."""
        configs = [config for pool in pools for config in pool.configs]
        return Pool(configs, np.concatenate([pool.u for pool in pools]), np.concatenate([pool.x for pool in pools]))

    def take(self, indices: NDArray[np.intp]) -> Pool:
        """Some of them, in this order."""
        return Pool([self.configs[i] for i in indices], self.u[indices], self.x[indices])


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a decision: q new configurations and suspended trials, one row each.

    Attributes:
        configs: The configurations, the new ones first.
        x: Features (q, D).
        owner: Index of the trial among those observed (q,); −1: a new configuration.
        done: Its completed steps (q,).
        step_j: Joules of a step (q,).
    """

    configs: list[Config]
    x: Array
    owner: NDArray[np.intp]
    done: Array
    step_j: Array

    def within(self, left_j: float, least: int) -> Options:
        """The options that fit into the joules left: suspended ones with one step, new ones with `least` steps."""
        rows = np.flatnonzero(self.step_j * np.where(self.owner < 0, least, 1) <= left_j)
        configs = [self.configs[i] for i in rows]
        return Options(configs, self.x[rows], self.owner[rows], self.done[rows], self.step_j[rows])

    def reach(self, horizon: int, left_j: float, most_j: float | None) -> Array:
        """Number of steps (q,) at which each training would end: at the horizon, or when its joules are used up.

        Args:
            horizon: Steps of a complete training.
            left_j: Joules left.
            most_j: Joules that one training may take; None: no limit.
        """
        steps = np.full(len(self.x), float(horizon))
        if math.isfinite(left_j):
            steps = np.minimum(steps, np.maximum(self.done + np.floor(left_j / self.step_j), self.done + 1))
        return steps if most_j is None else np.clip(np.floor(most_j / self.step_j), self.done + 1, steps)

    def to_go_j(self, steps: Array | int) -> Array:
        """Joules (q,) that each still needs up to this number of steps."""
        return np.asarray(self.step_j * (steps - self.done))

    def to_finish(self, steps: Array, ends: Array, best: float, horizon: int) -> int | None:
        """The suspended trial with the best expected end, if it can be finished and beats `best`.

        Args:
            steps: The result of `reach`.
            ends: Expected utility at the end of each observed trial.
            best: The best utility so far.
            horizon: Steps of a complete training.
        """
        rows = np.flatnonzero((self.owner >= 0) & (steps >= horizon) & (ends[self.owner] > best))
        return int(rows[np.argmax(ends[self.owner[rows]])]) if len(rows) else None


def options_of(new: Pool, new_j: Array, observations: Observations, x: Array) -> Options:
    """The options of a decision: new configurations with their joules per step, and suspended trials.

    `x`: features (m, D) of the observed trials.
    """
    suspended = observations.suspended
    trials = [observations.measured[i] for i in suspended]
    return Options(
        new.configs + [dict(trial.config) for trial in trials],
        np.concatenate([new.x, x[suspended]]),
        np.r_[np.full(len(new.x), -1), suspended].astype(int),
        np.r_[np.zeros(len(new.x)), [trial.step for trial in trials]],
        np.r_[new_j, observations.step_j[suspended]],
    )


class Candidates:
    """Draws pools from a space.

    Args:
        space: The space to search.
        listed: A space with at most this many configurations is listed completely instead.
    """

    def __init__(self, space: Space, listed: int) -> None:
        self._space = space
        self._features = Features(space)
        listable = space.size is not None and space.size <= listed
        self._enumeration = Enumeration(space, all_levels(space)) if listable else None
        self._by_features: dict[bytes, Config] = {}  # of the last pools: decoding again is slow
        free = space.free.values()
        self._is_choice = np.array([isinstance(p, Choice) for p in free], dtype=bool)
        # A move that leaves an Int where it is would be wasted, so the least move of one is a bin.
        self._least = np.array([0.0 if isinstance(p, Float) else 1.0 / p.count for p in free])

    @property
    def groups(self) -> NDArray[np.intp]:
        """The number of the parameter to which each column of X belongs (D,)."""
        return self._features.groups

    def config(self, x: Array) -> Config:
        """The configuration at features (D,)."""
        config = self._by_features.get(x.tobytes())
        return self._space.decode(self._features.inverse(x)) if config is None else config

    def pool(self, configs: Sequence[Config]) -> Pool:
        """A pool of exactly these configurations."""
        u = np.array([self._space.encode(config) for config in configs]).reshape(len(configs), self._space.dimension)
        pool = Pool([dict(config) for config in configs], u, self._features(configs, u))
        if len(self._by_features) > _REMEMBERED:
            self._by_features.clear()
        self._by_features.update(zip((x.tobytes() for x in pool.x), pool.configs, strict=True))
        return pool

    def log_prior(self, configs: Sequence[Config], trials: int) -> Array:
        """Logarithms of the prior's density (m,), with their weight after so many trials.

        Hvarfner et al., πBO: Augmenting Acquisition Functions with User Beliefs for Bayesian Optimization (ICLR 2022):
        the acquisition times π^(β/n).
        """
        return _PRIOR / trials * self._space.prior.log_density(configs)

    def drawn(self, count: int, seed: int) -> list[Config]:
        """Random configurations; every other one is from the prior, if there is one."""
        points = np.random.default_rng(seed).random((count, self._space.dimension))
        points[::2] = self._space.prior.place(points[::2])
        return [self._space.decode(point) for point in points]

    def spread(self, centres: Array, known: Array, seen: set[Key], count: int, apart: float, seed: int) -> Pool:
        """A pool of at most `count` configurations: half of it from the entire space, half around `centres` (k, d).
        Half of the first half is from the space's prior, if it has one.

        Configurations whose keys are in `seen` are left out, and so are those closer than `apart` to one of `known` (n,
        d), unless hardly any would be left.
        """
        if self._enumeration is not None:
            return self._unseen((self._enumeration[i] for i in range(self._enumeration.size)), seen)
        half = max(1, count // 2)
        rng = np.random.default_rng([seed, 0])
        wide = sobol(self._space.dimension, 1 << (half - 1).bit_length(), seed=seed)[:half]
        wide[: half // 2] = self._space.prior.place(wide[: half // 2])
        scale = np.where(rng.random((half, 1)) < 0.5, *_STEPS) * max(1.0, apart / _STEPS[1])
        pool = self._unseen(
            (self._space.decode(p) for p in np.concatenate([wide, self._moved(centres, scale, rng)])), seen
        )
        if apart > 0 and pool.configs and len(known):
            nearest = np.sqrt(((pool.u[:, None] - known[None]) ** 2).sum(-1)).min(1)
            kept = np.flatnonzero(nearest >= apart)
            pool = pool.take(kept if len(kept) >= _FEWEST else np.argsort(-nearest, kind="stable")[:_FEWEST])
        return pool

    def near(self, centres: Array, seen: set[Key], count: int, scale: float, seed: int) -> Pool:
        """A pool of at most `count` configurations around `centres` (k, d), moved by about `scale` of a range; `seen`
        as above.
        """
        if self._enumeration is not None:
            return self.pool([])
        rng = np.random.default_rng([seed, 1])
        moved = self._moved(centres, np.full((count, 1), scale), rng)
        return self._unseen((self._space.decode(point) for point in moved), seen)

    def _moved(self, centres: Array, scale: Array, rng: np.random.Generator) -> Array:
        """Points (m, d): centres with some of their coordinates moved by about `scale` (m, 1).

        Points outside the cube are reflected, because clipping would accumulate candidates on its faces.
        """
        count, d = len(scale), self._space.dimension
        start = centres[rng.integers(len(centres), size=count)]
        move = rng.normal(size=(count, d)) * scale
        move = np.copysign(np.maximum(np.abs(move), self._least), move)
        moved = rng.random((count, d)) < max(0.3, min(1.0, 2.0 / d))
        moved[np.arange(count), rng.integers(d, size=count)] = True
        reflected = 1.0 - np.abs(1.0 - np.abs(start + move))
        target = np.where(self._is_choice, rng.random((count, d)), np.clip(reflected, 0.0, 1.0))
        return np.where(moved, target, start)

    def _unseen(self, configs: Iterable[Config], seen: set[Key]) -> Pool:
        new: dict[Key, Config] = {}
        for config in configs:
            if (config_key := key(config)) not in seen:
                new.setdefault(config_key, config)
        return self.pool(list(new.values()))
