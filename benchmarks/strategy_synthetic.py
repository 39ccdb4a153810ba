"""Synthetic learning curves with properties that make a training hard to judge early, each alone and all together.

    Notation
        u   configuration in the unit cube
        z   its quality: a bowl and a random field, about N(0, 1) over the space
        a   its final score: chance + (top − chance) · sigmoid(1.5 z)
        t   completed share of the training, in (0, 1]
        p   length of the plateau, during which the score is that of chance;   τ   how slowly it rises then

    score(t) = chance + (a − chance) · r(t) / r(1),   r(t) = 1 − exp(−max(t − p, 0) / τ)

plateaus: p is up to 0.45, and larger for better configurations. crossings: τ is 0.03 to 0.9, and larger for better
ones. divergence: three in ten fall back to chance and stay there, most of them at high learning rates. noise:
accuracies are measured on 200 images. costs: the most expensive step takes a hundred times the energy of the cheapest,
and four times in the other tasks. The number of a landscape is the seed of its random fields.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from strategy_problems import Noisy, TrainingTask

from ecoml import Choice, Float, Int, Space
from ecoml.errors import UsageError

Array = NDArray[np.float64]

TRAITS = ("plateaus", "crossings", "divergence", "noise", "costs")
SYNTHETIC = (*TRAITS, "everything")
"""Names of the tasks, before the number."""

SPACE: dict[str, Float | Int | Choice] = {
    "learning_rate": Float(1e-4, 1.0, log=True),
    "momentum": Float(0.0, 0.99),
    "width": Int(8, 512, log=True),
    "depth": Int(1, 8),
    "dropout": Float(0.0, 0.6),
    "weight_decay": Float(1e-6, 1e-1, log=True),
    "optimizer": Choice(["sgd", "adam", "lion"]),
}

_STEPS = 40
_CHANCE = 0.1
_IMAGES = 200
_WAVES = 64  # of a random field
_STEP_J = 10.0  # of a configuration of middling cost
_STABLE = 0.5  # instability from which a training diverges: three in ten
_POINTS = 500  # that say what is usual in a landscape


Function = Callable[[Array], float]


def random_field(rng: np.random.Generator, dimension: int) -> Function:
    """A smooth function of the unit cube: a draw from a Gaussian process, by random Fourier features."""
    frequencies = rng.normal(size=(_WAVES, dimension)) / rng.uniform(0.4, 1.5, dimension)
    phases = rng.uniform(0.0, 2.0 * math.pi, _WAVES)
    return lambda u: float(np.cos(frequencies @ u + phases).sum())


def standardised(function: Function, points: Array) -> Function:
    """The function with mean 0 and variance 1 over `points` (n, d)."""
    values = [function(u) for u in points]
    mean, deviation = float(np.mean(values)), float(np.std(values))
    return lambda u: (function(u) - mean) / deviation


@dataclass
class Landscape:
    """The curves of one landscape.

    Attributes:
        space: Its parameters.
        number: Of the landscape.
        traits: Which of `TRAITS` its curves have.
    """

    space: Space
    number: int
    traits: frozenset[str]
    _of: Mapping[str, Function] = field(init=False, repr=False)  # each about N(0, 1) over the space

    def __post_init__(self) -> None:
        rng = np.random.default_rng([2303, self.number])
        d, names = self.space.dimension, self.space.names
        self._top = rng.uniform(0.75, 0.97)
        points = rng.random((_POINTS, d))
        best, weights = rng.uniform(0.15, 0.85, d), rng.dirichlet(np.ones(d))
        rate, width = names.index("learning_rate"), names.index("width")

        def draw(share: float, trend: Function) -> Function:
            trend, rest = (standardised(part, points) for part in (trend, random_field(rng, d)))
            return standardised(lambda u: share * trend(u) + (1.0 - share) * rest(u), points)

        quality = draw(0.6, lambda u: -float(weights @ (u - best) ** 2))
        self._of = {
            "quality": quality,
            "plateau": draw(0.5, quality),
            "pace": draw(0.6, quality),
            "instability": draw(0.7, lambda u: float(u[rate])),
            "cost": draw(0.7, lambda u: float(u[width])),
        }

    def curve(self, config: Mapping[str, Any]) -> tuple[Array, Array]:
        """Accuracies (40,) and joules (40,) of each step."""
        u = self.space.encode(config)
        of = {name: function(u) for name, function in self._of.items()}
        end = _CHANCE + (self._top - _CHANCE) * _sigmoid(1.5 * of["quality"])
        plateau = 0.45 * _sigmoid(2.0 * of["plateau"]) if "plateaus" in self.traits else 0.0
        slowness = 0.03 * (30.0 ** _sigmoid(2.0 * of["pace"]) if "crossings" in self.traits else 3.0)
        t = np.arange(1, _STEPS + 1) / _STEPS
        rise = -np.expm1(-np.maximum(t - plateau, 0.0) / slowness)
        score = _CHANCE + (end - _CHANCE) * rise / rise[-1]
        over = of["instability"] - _STABLE
        if "divergence" in self.traits and over > 0:
            score[t > 0.1 + 0.7 * math.exp(-2.0 * over)] = _CHANCE
        spread = 100.0 if "costs" in self.traits else 4.0
        step_j = _STEP_J * spread ** (_sigmoid(2.0 * of["cost"]) - 0.5)
        return score, np.full(_STEPS, step_j)


def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


@lru_cache
def open_synthetic(task: str) -> TrainingTask:
    """A task by name, such as `plateaus-0`.

    Raises:
        UsageError: There is none of that name.
    """
    trait, _, number = task.rpartition("-")
    if trait not in SYNTHETIC or not number.isdigit():
        raise UsageError(f"no synthetic problem is called {task!r}; use one as {SYNTHETIC[0]}-0")
    landscape = Landscape(Space(SPACE), int(number), frozenset(TRAITS if trait == "everything" else [trait]))
    return Noisy(landscape, _IMAGES) if "noise" in landscape.traits else landscape
