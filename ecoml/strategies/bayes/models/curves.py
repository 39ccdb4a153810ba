"""The surrogate of learning curves as a BoTorch model over (configuration, step); its equation is in `surrogate.py`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gpytorch.kernels import Kernel, MaternKernel
from numpy.typing import NDArray
from torch import Tensor

from ecoml.strategies.bayes.models.gaussian_process import GaussianProcess, same_configuration
from ecoml.strategies.bayes.models.surrogate import JITTER, CurveData, unpacked


class CurveKernel(Kernel):  # type: ignore[misc]  # GPyTorch ships no types
    """k of `surrogate.py`, for rows (…, n, D+1) of features and log steps.

    Args:
        lengthscales: Of the features (D,).
        time: Of the logarithm of a step.
        variances: α, β, γ, ε, η (5,).
    """

    def __init__(self, lengthscales: Tensor, time: float, variances: Tensor) -> None:
        super().__init__()
        self.of_features = MaternKernel(nu=2.5, ard_num_dims=len(lengthscales)).to(lengthscales)
        self.of_features.lengthscale = lengthscales
        self.of_time = MaternKernel(nu=2.5).to(lengthscales)
        self.of_time.lengthscale = time
        self.register_parameter("log_variances", torch.nn.Parameter(variances.log()))

    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **_: Any) -> Tensor:
        """Covariances (…, n, m) of rows x1 with rows x2; (…, n) of each with its own if `diag`."""
        alpha, beta, gamma, epsilon, eta = self.log_variances.exp()
        kx = self.of_features.forward(x1[..., :-1], x2[..., :-1], diag=diag)
        kt = self.of_time.forward(x1[..., -1:], x2[..., -1:], diag=diag)
        same = same_configuration(x1, x2, diag=diag)
        covariance: Tensor = kx * (alpha + beta * kt) + same * (gamma + epsilon * kt) + eta * kt
        return covariance


def curve_model(hyperparameters: NDArray[np.float64], data: CurveData) -> GaussianProcess:
    """The posterior of scaled utilities at features and log steps; equal features are one configuration.

    Args:
        hyperparameters: As `surrogate.fit` gives them.
        data: What is observed.
    """
    lengthscales, time, variances, noise = unpacked(hyperparameters)
    kernel = CurveKernel(torch.from_numpy(lengthscales[data.groups]), float(time[0]), torch.from_numpy(variances))
    X = torch.from_numpy(np.column_stack([data.x[data.owner], data.tau]))
    Y = torch.from_numpy(data.y)[:, None]
    return GaussianProcess(X, Y, torch.full((len(X),), noise + JITTER, dtype=X.dtype), kernel, later_noise=noise)
