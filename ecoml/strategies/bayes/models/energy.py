"""The energy of a configuration's step, predicted before it is trained.

    log e(x) = w·(1, x − ½) + o(host) + r(x)

e: joules of a step; w: ridge regression; r: a Gaussian process on the residual, with a fixed lengthscale. Energy is
nearly proportional to steps, and nearly a product of powers of width, depth and batch size, which is linear on their
logarithmic scales: few observations suffice to predict it. o: the difference between a class of hosts and the class
with most observations, for which predictions are made; one ridge slope for each class. The first step of a new class
gives the first value of its offset. It is most precise if it continues a training of another class, because the joules
of both are then for the same training.

If the size of a training is known by its arithmetic a, ½ log a is subtracted before the fit and added afterwards, and
log a is one of the features: energy grows less than proportionally with arithmetic, and the exponent is learnt.

r has variance s², of which 5 % belong to each configuration alone. Less certain joules have less weight: an observation
of variance v (`ecoml.strategies.energy_noise`) has v + s² about the line, and v about r.

As a BoTorch model it predicts −log e(x) − τ at (x, τ), the negative log joules up to a step with logarithm τ, because
BoTorch maximises.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from gpytorch.kernels import Kernel
from numpy.typing import NDArray
from torch import Tensor

from ecoml.strategies.base import BY_ARITHMETIC
from ecoml.strategies.bayes.models.gaussian_process import GaussianProcess, distance, expected, same_configuration
from ecoml.trial import Trial

Array = NDArray[np.float64]
LogSize = Callable[[Array], Array]
"""Logarithms (n,) of the arithmetic of a step, in any unit, at features (n, D)."""

_RIDGE = 0.3  # of the slopes, in observations
_LENGTHSCALE = 0.5
_OWN = 0.05  # of the variance of r is each configuration's own
_SPREAD = 0.3  # s: the line leaves about a third of the joules
_JITTER = 1e-7  # for a configuration that was measured twice


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


class EnergyModel(GaussianProcess):
    """Predicts joules; its one output is −log joules up to a step.

    Args:
        x: Features (m, D) of configurations with a known cost, m ≥ 1.
        step_j: Mean joules of their steps (m,).
        variance: Variance of the logarithms of these joules (m,).
        log_size: Log arithmetic of any configuration; None: unknown.
        hosts: Class of the host of each (m,); None: all of one class.
    """

    def __init__(
        self,
        x: Array,
        step_j: Array,
        variance: Array,
        log_size: LogSize | None = None,
        hosts: Sequence[str] | None = None,
    ) -> None:
        size = None if log_size is None else log_size(x)
        line = columns = _columns(x, size, centre := 0.0 if size is None else float(size.mean()))
        if hosts is not None and len(set(hosts)) > 1:
            columns = np.column_stack([line, _others(hosts)])
        penalty = np.diag(np.r_[1e-9, np.full(columns.shape[1] - 1, _RIDGE)])
        log_j = np.log(step_j) - (0.0 if size is None else BY_ARITHMETIC * size)
        weight = 1.0 / np.sqrt(1.0 + variance / _SPREAD**2)
        weighted = weight[:, None] * columns
        fitted = np.linalg.solve(weighted.T @ weighted + penalty, weighted.T @ (weight * log_j))
        slopes, offset = np.split(fitted, [line.shape[1]])
        log_j = np.log(step_j) - columns[:, len(slopes) :] @ offset

        def mean(X: Tensor) -> Tensor:
            features = X[..., :-1]
            at: Tensor = slopes[0] + (features - 0.5) @ torch.from_numpy(slopes[1 : x.shape[1] + 1]) + X[..., -1]
            if log_size is not None:
                known = torch.from_numpy(log_size(features.detach().reshape(-1, x.shape[1]).numpy()))
                at = at + (BY_ARITHMETIC * known + slopes[-1] * (known - centre)).reshape(at.shape)
            return -at.unsqueeze(-1)

        X = torch.from_numpy(np.column_stack([x, np.zeros(len(x))]))
        noise = torch.from_numpy(variance + _JITTER)
        super().__init__(X, -torch.from_numpy(log_j)[:, None], noise, EnergyKernel(), mean, later_noise=_JITTER)

    def step_j(self, x: Array) -> Array:
        """Expected joules of a step (q,) at features (q, D)."""
        X = torch.from_numpy(np.column_stack([x, np.zeros(len(x))]))
        return np.asarray(torch.exp(-expected(self, X.unsqueeze(-2))[:, 0]).numpy())


class EnergyKernel(Kernel):  # type: ignore[misc]  # GPyTorch ships no types
    """The covariance of r, for rows (…, n, D+1) of features and log steps."""

    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **_: Any) -> Tensor:
        """Covariances (…, n, m) of rows x1 with rows x2; (…, n) of each with its own if `diag`."""
        apart = distance(x1[..., :-1], x2[..., :-1], diag=diag)
        near = apart.square().mul_(-0.5 / _LENGTHSCALE**2).exp_()
        return near.add(same_configuration(x1, x2, apart, diag=diag), alpha=_OWN).mul_(_SPREAD**2)


def _columns(x: Array, size: Array | None, centre: float) -> Array:
    return np.column_stack([np.ones(len(x)), x - 0.5, *([] if size is None else [size - centre])])


def _others(hosts: Sequence[str]) -> Array:
    """Indicators (m, k − 1) of all classes except the most frequent one."""
    (_, _), *others = Counter(hosts).most_common()
    return np.array([[float(host == other) for other, _ in others] for host in hosts])
