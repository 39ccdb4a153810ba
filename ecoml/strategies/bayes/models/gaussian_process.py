"""Gaussian processes as BoTorch models, for any acquisition function and optimiser of BoTorch.

Notation
    X   … × n × (D+1)   features of configurations (`features.py`), the logarithm of a step in the last column
    Y   … × n × 1       the observations there
    K = k(X, X) + noise,   K = L Lᵀ

    posterior at x:   N(m(x) + k(x, X) K⁻¹ (Y − m(X)),   k(x, x) − k(x, X) K⁻¹ k(X, x))

These equations are written in plain torch instead of GPyTorch's `ExactGP`, which takes ten times as long: this code
runs before every few steps of a training, and its joules are charged. A test compares both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from botorch.acquisition.objective import PosteriorTransform
from botorch.models.model import FantasizeMixin, Model
from botorch.posteriors.gpytorch import GPyTorchPosterior
from botorch.posteriors.posterior import Posterior
from gpytorch.distributions import MultivariateNormal
from gpytorch.kernels import Kernel
from torch import Tensor

_NEAR = 1e-3  # distances are computed to 1e-5


def zero(X: Tensor) -> Tensor:
    """The zero mean (…, n, 1) for centred observations."""
    return torch.zeros_like(X[..., :1])


class GaussianProcess(Model, FantasizeMixin):
    """An exact Gaussian process with one output and known hyperparameters.

    Args:
        X: Points of the observations (…, n, D+1).
        Y: The observations (…, n, 1).
        noise: Noise variance of Y (…, n).
        kernel: k.
        mean: m: X → (…, n, 1).
        later_noise: Noise variance of later observations, unless it is given with them.
    """

    likelihood = None  # BoTorch's fantasies ask whether chance stands there; it is `noise` here

    def __init__(
        self,
        X: Tensor,
        Y: Tensor,
        noise: Tensor,
        kernel: Kernel,
        mean: Callable[[Tensor], Tensor] = zero,
        later_noise: float = 0.0,
    ) -> None:
        super().__init__()
        self.X, self.Y, self.noise, self.later_noise = X, Y, noise, later_noise
        self.kernel = kernel
        self.mean = mean
        self._factor = torch.linalg.cholesky(kernel.forward(X, X) + torch.diag_embed(noise))
        self._weights = torch.cholesky_solve(Y - mean(X), self._factor)

    @property
    def num_outputs(self) -> int:
        """Number of outputs: 1."""
        return 1

    @property
    def batch_shape(self) -> torch.Size:
        """Shape of the batch of models: a model conditioned on several possible futures is a batch."""
        return self.X.shape[:-2]

    def posterior(  # type: ignore[override]  # BoTorch's two bases do not agree
        self,
        X: Tensor,
        output_indices: list[int] | None = None,  # noqa: ARG002 - part of BoTorch's signature; there is one output
        observation_noise: bool | Tensor = False,
        posterior_transform: PosteriorTransform | None = None,
    ) -> Posterior:
        """The joint posterior of q points, for each batch: X (…, q, D+1), mean and variance (…, q, 1)."""
        mean, covariance = self.moments(X)
        if observation_noise is not False:
            later = observation_noise.squeeze(-1) if isinstance(observation_noise, Tensor) else self.later_noise
            covariance = covariance + torch.diag_embed(torch.zeros_like(mean[..., 0]) + later)
        posterior = GPyTorchPosterior(MultivariateNormal(mean.squeeze(-1), covariance))
        return posterior if posterior_transform is None else posterior_transform(posterior, X=X)

    def moments(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """The posterior's mean (…, q, 1) and covariance (…, q, q) at X (…, q, D+1)."""
        cross = self._cross(X)
        half = torch.linalg.solve_triangular(self._factor, cross.mT, upper=False).mT
        if not self.batch_shape:
            cross, half = (part.reshape(*X.shape[:-1], len(self.X)) for part in (cross, half))
        single = X.shape[-2] == 1
        prior = self.kernel.forward(X, X, diag=True).unsqueeze(-1) if single else self.kernel.forward(X, X)
        return self.mean(X) + cross @ self._weights, prior - half @ half.mT

    def expected(self, X: Tensor) -> Tensor:
        """The posterior mean alone (…, q, 1), at X (…, q, D+1), in half the time."""
        above = self._cross(X) @ self._weights
        mean: Tensor = self.mean(X) + (above if self.batch_shape else above.reshape(*X.shape[:-1], 1))
        return mean

    def _cross(self, X: Tensor) -> Tensor:
        """k(X, observed); for a single model (…, n) of all batches, because L would be copied for each batch."""
        cross: Tensor = self.kernel.forward(X if self.batch_shape else X.reshape(-1, X.shape[-1]), self.X)
        return cross

    def condition_on_observations(self, X: Tensor, Y: Tensor, noise: Tensor | None = None, **_: Any) -> GaussianProcess:
        """The process that has also observed Y (…, p, 1) at X (…, p, D+1); a batch of processes if there are several.

        Args:
            X: Points of the new observations.
            Y: The new observations.
            noise: Their noise variance (…, p, 1); None: `later_noise`.
        """
        shape = np.broadcast_shapes(self.batch_shape, X.shape[:-2], Y.shape[:-2])
        added = torch.full_like(Y, self.later_noise) if noise is None else noise

        def joined(before: Tensor, new: Tensor) -> Tensor:
            return torch.cat([part.expand(*shape, *part.shape[-2:]) for part in (before, new)], dim=-2)

        observed = joined(self.noise.unsqueeze(-1), added).squeeze(-1)
        return GaussianProcess(joined(self.X, X), joined(self.Y, Y), observed, self.kernel, self.mean, self.later_noise)


def expected(model: Model, X: Tensor) -> Tensor:
    """The posterior mean (…, q) of a model with one output at X (…, q, D+1)."""
    if isinstance(model, GaussianProcess):
        return model.expected(X).squeeze(-1)
    posterior: Any = model.posterior(X)
    mean: Tensor = posterior.mean.squeeze(-1)
    return mean


def marginal(model: Model, X: Tensor) -> tuple[Tensor, Tensor]:
    """The posterior's mean and variance (b,) of a model with one output at X (b, 1, D+1)."""
    if isinstance(model, GaussianProcess):  # without the object that GPyTorch makes of them, which imports sympy
        mean, variance = model.moments(X)
    else:
        posterior: Any = model.posterior(X)
        mean, variance = posterior.mean, posterior.variance
    return mean[:, 0, 0], variance[:, 0, 0]


def distance(x1: Tensor, x2: Tensor, *, diag: bool = False) -> Tensor:
    """Distances of rows x1 (…, n, d) from rows x2 (…, m, d): (…, n, m), or (…, n) of pairs if `diag`."""
    return torch.linalg.vector_norm(x1 - x2, dim=-1) if diag else torch.cdist(x1, x2)


def same_configuration(x1: Tensor, x2: Tensor, apart: Tensor, *, diag: bool = False) -> Tensor:
    """1 if rows of x1 (…, n, D+1) and x2 (…, m, D+1) belong to one configuration, else 0: (…, n, m), or (…, n).

    `apart` has the same shape: the approximate distances of the features. Only near rows are compared, which takes a
    tenth of the time.
    """
    if diag:
        return (x1[..., :-1] == x2[..., :-1]).all(-1).to(apart)
    same = torch.zeros_like(apart)
    *batch, rows, columns = near = torch.nonzero(apart < _NEAR, as_tuple=True)
    one, other = (x.expand(*apart.shape[:-2], *x.shape[-2:])[(*batch, at)] for x, at in ((x1, rows), (x2, columns)))
    same[near] = (one[:, :-1] == other[:, :-1]).all(-1).to(same)
    return same
