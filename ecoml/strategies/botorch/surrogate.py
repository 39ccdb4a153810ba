"""The surrogate: two independent Gaussian processes over the features of configurations.

    Notation
        X   n×D   features in [0, 1] (`features.py`)
        Y   n×2   utility and −log energy, standardised (`objectives.py`)
        S   n×2   variance of Y by how well the joules are known

Each column of Y has its own constant mean, noise beside S, and squared exponential kernel with a lengthscale per
feature. The priors are BoTorch's, a log-normal one on lengthscales whose location grows with log √D: Hvarfner,
Hellsten, Nardi, Vanilla Bayesian Optimization Performs Great in High Dimensions (ICML 2024), eq. 7.

A model of whole learning curves can take this one's place: all that the acquisition function asks of it is BoTorch's
`posterior(X)` with two outputs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from botorch.models import SingleTaskGP
from botorch.models.utils.gpytorch_modules import get_gaussian_likelihood_with_lognormal_prior
from botorch.optim.fit import fit_gpytorch_mll_scipy
from gpytorch.likelihoods import FixedNoiseGaussianLikelihood
from gpytorch.mlls import ExactMarginalLogLikelihood
from numpy.typing import NDArray

Array = NDArray[np.float64]

_ITERATIONS = 30
"""Of L-BFGS. More of them make each proposal dearer, and reached targets no sooner on replayed learning curves."""


def fit(x: Array, y: Array, variance: Array) -> Any:
    """A BoTorch model with the maximum a posteriori hyperparameters for X (n, D), Y and S (n, 2); n ≥ 1."""
    noise = _noise(variance) if variance.any() else None
    model = SingleTaskGP(torch.from_numpy(x), torch.from_numpy(y), likelihood=noise, outcome_transform=None)
    likelihood = ExactMarginalLogLikelihood(model.likelihood, model)
    fit_gpytorch_mll_scipy(likelihood, options={"maxiter": _ITERATIONS})
    return model.eval()


def _noise(variance: Array) -> Any:
    """S, and beside it the noise that BoTorch learns where it is given none; `train_Yvar` would leave that out."""
    learnt = get_gaussian_likelihood_with_lognormal_prior(torch.Size([2])).noise_covar
    likelihood = FixedNoiseGaussianLikelihood(torch.from_numpy(variance.T.copy()), batch_shape=torch.Size([2]))
    likelihood.second_noise_covar = learnt
    return likelihood
