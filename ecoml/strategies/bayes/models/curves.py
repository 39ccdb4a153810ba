"""The surrogate of learning curves as a BoTorch model over (configuration, step); its equation is in `surrogate.py`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from gpytorch.kernels import Kernel
from numpy.typing import NDArray
from torch import Tensor

from ecoml.strategies.bayes.models.gaussian_process import GaussianProcess, distance, same_configuration, zero
from ecoml.strategies.bayes.models.surrogate import JITTER, CurveData, unpacked


class CurveKernel(Kernel):  # type: ignore[misc]  # GPyTorch ships no types
    """k of `surrogate.py`, for rows (…, n, D+1) of features and log steps.

    Much of its time goes into memory for temporary matrices, so that it works in place where it can: GPyTorch's
    Matérn-5/2 alone takes three times as long.

    Args:
        lengthscales: Lengthscales of the features and of the logarithm of a step (D+1,).
        variances: α, β, γ, ε, η (5,).
    """

    def __init__(self, lengthscales: Tensor, variances: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("lengthscales", lengthscales)
        self.variances = tuple(variances)

    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **_: Any) -> Tensor:
        """Covariances (…, n, m) of rows x1 with rows x2; (…, n) of each with its own if `diag`."""
        alpha, beta, gamma, epsilon, eta = self.variances
        one, other = x1 / self.lengthscales, x2 / self.lengthscales
        apart = distance(one[..., :-1], other[..., :-1], diag=diag)
        kx = _matern(apart)
        kt = _matern(distance(one[..., -1:], other[..., -1:], diag=diag))
        same = same_configuration(x1, x2, apart, diag=diag)
        with_time = (beta * kx).add_(same, alpha=epsilon).add_(eta)
        return with_time.mul_(kt).add_(kx, alpha=alpha).add_(same, alpha=gamma)


def _matern(distance: Tensor) -> Tensor:
    """Matérn-5/2: (1 + r + r²/3) exp(−r), r = √5 times the distance."""
    root = math.sqrt(5.0) * distance
    return (1.0 + root).addcmul_(root, root, value=1.0 / 3.0).mul_(root.neg().exp_())


def curve_model(
    hyperparameters: NDArray[np.float64], data: CurveData, centre: float = 0.0, spread: float = 1.0
) -> GaussianProcess:
    """The posterior of scaled utilities by features and log step; rows with equal features belong to one configuration.

    Args:
        hyperparameters: The result of `surrogate.fit` for utilities with `centre` subtracted, divided by `spread`.
        data: The observations, with their utilities as they are.
        centre: The prior mean.
        spread: The unit of the hyperparameters.
    """
    lengthscales, time, variances, noise = unpacked(hyperparameters)
    kernel = CurveKernel(torch.from_numpy(np.r_[lengthscales[data.groups], time]), (spread**2 * variances).tolist())
    X = torch.from_numpy(np.column_stack([data.x[data.owner], data.tau]))
    Y = torch.from_numpy(data.y)[:, None]
    later = spread**2 * noise
    noises = torch.full((len(X),), later + spread**2 * JITTER, dtype=X.dtype)
    mean = partial(_constant, centre) if centre else zero
    return GaussianProcess(X, Y, noises, kernel, mean, later_noise=later)


def _constant(value: float, X: Tensor) -> Tensor:
    return torch.full_like(X[..., :1], value)
