"""What a step of a configuration costs, before it was ever trained.

    log e(x) = w·(1, x − ½) + o(host) + r(x)

e: joules of a step; w: ridge regression; r: a Gaussian process on what it leaves, with a fixed lengthscale. Energy is
nearly proportional to steps, and nearly a product of powers of width, depth and batch size, which on their logarithmic
scales is a line: few observations predict it. o: what a class of hosts takes more or less than the class that most were
observed on, for which predictions are made; one ridge slope for each class. The first step that a new class makes seeds
its offset, and best where it goes on with a training that another class has begun: what both took is told apart.

Where the size of a training is known, its arithmetic a, ½ log a is taken off before and added again after, and log a
is one of the features: energy grows with arithmetic, less than in proportion, by how much is learnt.

Joules that are known less well than others count less: an observation of variance v
(`ecoml.strategies.energy_noise`) has v + s² about the line, and v + 0.05 s² in r, whose variance is taken for s².
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ecoml.strategies.base import BY_ARITHMETIC
from ecoml.trial import Trial

Array = NDArray[np.float64]

_RIDGE = 0.3  # of the slopes, in observations
_LENGTHSCALE = 0.5
_NOISE = 0.05  # variance of chance, as a share of that of r
_SPREAD = 0.3  # s: the line leaves about a third of the joules


def steps_by_class(trials: Sequence[Trial]) -> tuple[NDArray[np.intp], Array, list[str]]:
    """A row a trial and class of hosts that made steps of it: its index, mean joules of those, the class."""
    rows: list[tuple[int, float, str]] = []
    for index, trial in enumerate(trials):
        if len({point.host for point in trial.curve}) == 1:
            rows.append((index, trial.curve[-1].energy_j / trial.step, trial.curve[-1].host))
            continue
        took_j: dict[str, list[float]] = {}
        for point, before in zip(trial.curve, [None, *trial.curve], strict=False):
            took_j.setdefault(point.host, []).append(point.energy_j - (before.energy_j if before else 0.0))
        rows += [(index, sum(joules) / len(joules), host) for host, joules in took_j.items() if sum(joules) > 0]
    indices, step_j, hosts = zip(*rows, strict=True)
    return np.array(indices, dtype=np.intp), np.array(step_j), list(hosts)


class EnergyModel:
    """Predicts joules of a step.

    Args:
        x: Features (m, D) of configurations with a known cost, m ≥ 1.
        step_j: Mean joules of their steps (m,).
        variance: Of their logarithms, by how well they are known (m,).
        log_size: Logarithms of the arithmetic of their steps, in any unit (m,); None: not known.
        hosts: Class of the host of each (m,); None: all of one.
    """

    def __init__(
        self,
        x: Array,
        step_j: Array,
        variance: Array,
        log_size: Array | None = None,
        hosts: Sequence[str] | None = None,
    ) -> None:
        self._centre = 0.0 if log_size is None else float(log_size.mean())
        lines = self._lines(x, log_size)
        slopes = lines.shape[1]
        if hosts is not None and len(set(hosts)) > 1:
            lines = np.column_stack([lines, _others(hosts)])
        penalty = np.diag(np.r_[1e-9, np.full(lines.shape[1] - 1, _RIDGE)])
        log_j = np.log(step_j) - self._known(log_size)
        noise = variance / _SPREAD**2
        weight = 1.0 / np.sqrt(1.0 + noise)
        weighted = weight[:, None] * lines
        fitted = np.linalg.solve(weighted.T @ weighted + penalty, weighted.T @ (weight * log_j))
        self._slopes = fitted[:slopes]
        self._x = x
        covariance = _covariance(x, x) + np.diag(_NOISE + noise)
        self._weights = np.linalg.solve(covariance, log_j - lines @ fitted)

    def __call__(self, x: Array, log_size: Array | None = None) -> Array:
        """Joules of a step (q,) at features (q, D); `log_size` (q,) as those learnt from."""
        line = self._lines(x, log_size) @ self._slopes + self._known(log_size)
        return np.asarray(np.exp(line + _covariance(x, self._x) @ self._weights))

    def _known(self, log_size: Array | None) -> Array | float:
        return 0.0 if log_size is None else BY_ARITHMETIC * log_size

    def _lines(self, x: Array, log_size: Array | None) -> Array:
        size = [] if log_size is None else [log_size - self._centre]
        return np.column_stack([np.ones(len(x)), x - 0.5, *size])


def _others(hosts: Sequence[str]) -> Array:
    """Indicators (m, k − 1) of all classes but the one of which there are most."""
    (_, _), *others = Counter(hosts).most_common()
    return np.array([[float(host == other) for other, _ in others] for host in hosts])


def _covariance(one: Array, other: Array) -> Array:
    squared = (((one[:, None] - other[None]) / _LENGTHSCALE) ** 2).sum(-1)
    return np.asarray(np.exp(-0.5 * squared))
