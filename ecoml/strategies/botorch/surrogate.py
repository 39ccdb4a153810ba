"""The surrogate: two independent Gaussian processes over the features of configurations.

Notation
    X   n×D   features (`features.py`)
    Y   n×2   utility and −log energy, standardised (`objectives.py`)
    S   n×2   variance of Y from the uncertainty of the joules

Each column of Y has its own constant mean, noise in addition to S, and a squared exponential kernel with a lengthscale
per feature. The priors are BoTorch's, with a log-normal one on lengthscales whose location grows with log √D: Hvarfner,
Hellsten, Nardi, Vanilla Bayesian Optimization Performs Great in High Dimensions (ICML 2024), eq. 7.

A model of complete learning curves can replace this one: the acquisition function needs only BoTorch's `posterior(X)`
with two outputs.
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
"""Iterations of L-BFGS. More make each proposal more expensive, and did not reach targets sooner on replayed learning
curves.
"""


def fit(x: Array, y: Array, variance: Array) -> Any:
    """A BoTorch model with the maximum a posteriori hyperparameters for X (n, D), Y and S (n, 2); n ≥ 1."""
    noise = _noise(variance) if variance.any() else None
    model = SingleTaskGP(torch.from_numpy(x), torch.from_numpy(y), likelihood=noise, outcome_transform=None)
    likelihood = ExactMarginalLogLikelihood(model.likelihood, model)
    fit_gpytorch_mll_scipy(likelihood, options={"maxiter": _ITERATIONS})
    return model.eval()


def _noise(variance: Array) -> Any:
    """S, with the noise that BoTorch learns if it is given none; `train_Yvar` would leave that out."""
    learnt = get_gaussian_likelihood_with_lognormal_prior(torch.Size([2])).noise_covar
    likelihood = FixedNoiseGaussianLikelihood(torch.from_numpy(variance.T.copy()), batch_shape=torch.Size([2]))
    likelihood.second_noise_covar = learnt
    return likelihood
