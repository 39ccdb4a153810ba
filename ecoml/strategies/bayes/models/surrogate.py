"""The surrogate of learning curves: one Gaussian process over (configuration, step).

Notation
    X   m×D   features of configurations (`features.py`)
    g   (D,)  parameter of each feature, G in all
    i   (n,)  configuration of each observation
    τ   (n,)  logarithm of its step
    y   (n,)  its utility, scaled (`observations.py`)

    k(z, z') = kₓ(x, x') (α + β kτ(τ, τ')) + δ (γ + ε kτ(τ, τ')) + η kτ(τ, τ'),   noise σ²

kₓ, kτ: Matérn-5/2 with one lengthscale for each parameter and one for τ; δ: 1 if both belong to one configuration. A
choice has one lengthscale for all its options, because there are few observations of each; so have common features.

The terms describe similar configurations at all steps and at similar steps; a permanent and a temporary deviation of
one configuration (noise, and effects that the features do not contain); and the common shape of all curves. Each point
of a curve therefore informs all other curves, and most of all the rest of its own. Freeze-thaw Bayesian optimisation
(Swersky, Snoek, Adams 2014) has such terms with an exponential decay in place of kτ.

Hyperparameters are maximum a posteriori under log-normal priors; for lengthscales as in Hvarfner, Hellsten, Nardi (ICML
2024): their location grows with log √G. The gradient is written by hand, because this code runs before every few steps
of a training and its joules are charged: with torch's gradient the same fit takes twice as long, through GPyTorch's
modules ten times. `curves.py` has the same process as a BoTorch model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, solve_triangular
from scipy.optimize import minimize

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

_ITERATIONS = 15
"""Iterations of L-BFGS. More make each decision more expensive, and did not reach targets sooner on replayed learning
curves.
"""
JITTER = 1e-6
_BOUND = 5.0  # of a logarithm's distance from the prior's location: a flat likelihood leads nowhere
_LENGTHSCALE = (math.log(0.5), 0.9)  # location at G = 4, and scale
_LOCATIONS = np.log([3.0, 0.5, 0.5, 0.05, 0.05, 0.5, 3e-3])  # of kτ's lengthscale, α, β, γ, ε, η, σ²
_SCALES = np.array([0.2, 1.0, 1.0, 1.5, 1.5, 1.0, 2.5])
"""The prior of σ² is wide: a table may have no noise, 400 validation images give much. The fit starts with a σ² that is
not too small; otherwise it attributes noise from point to point to the temporary deviation of a configuration. The
error of an entire curve, and all noise if a training has a single point, remain in the configuration's own terms.
"""


@dataclass(frozen=True, slots=True)
class CurveData:
    """The data of the process: X (m, D), g (D,), i (n,), τ (n,) and y (n,)."""

    x: Array
    groups: Indices
    owner: Indices
    tau: Array
    y: Array


def fit(data: CurveData) -> Array:
    """The maximum a posteriori hyperparameters: logarithms of G lengthscales and of those in `_LOCATIONS`."""
    columns = np.bincount(data.groups)
    groups = len(columns)
    location = _LENGTHSCALE[0] + 0.5 * math.log(max(groups, 1) / 4)
    # Of two options out of k at random the squared distance is 2 (1 − 1/k) on average, of two numbers 1/6.
    further = np.where(columns > 1, 0.5 * np.log(12.0 * (1.0 - 1.0 / np.maximum(columns, 2))), 0.0)
    locations = np.r_[location + further, _LOCATIONS]
    scales = np.r_[np.full(groups, _LENGTHSCALE[1]), _SCALES]
    found = minimize(
        _loss,
        locations,
        (data, locations, scales),
        jac=True,
        method="L-BFGS-B",
        bounds=[(at - _BOUND, at + _BOUND) for at in locations],
        options={"maxiter": _ITERATIONS, "maxfun": 2 * _ITERATIONS},
    )
    return np.asarray(found.x)


class Surrogate:
    """The posterior mean, without torch; the end of any search needs no more."""

    def __init__(self, hyperparameters: Array, data: CurveData) -> None:
        lengthscales, self._time, self._variances, noise = unpacked(hyperparameters)
        self._lengthscales = lengthscales[data.groups]
        self._data = data
        kx = _matern(_squared(data.x, data.x, self._lengthscales).sum(-1))[np.ix_(data.owner, data.owner)]
        kt = _matern(_squared(data.tau[:, None], data.tau[:, None], self._time)[..., 0])
        covariance = _sum(self._variances, kx, kt, data.owner[:, None] == data.owner)
        covariance[np.diag_indices(len(data.y))] += noise + JITTER
        self._weights = cho_solve((np.linalg.cholesky(covariance), True), data.y, check_finite=False)

    def mean(self, x: Array, owner: Indices, tau: Array) -> Array:
        """Expected utility (q,), noise-free, at features (q, D) and τ (q,).

        `owner` (q,) is the index of the configuration among those observed, or −1.
        """
        data = self._data
        kx = _matern(_squared(x, data.x, self._lengthscales).sum(-1))[:, data.owner]
        kt = _matern(_squared(tau[:, None], data.tau[:, None], self._time)[..., 0])
        return np.asarray(_sum(self._variances, kx, kt, owner[:, None] == data.owner) @ self._weights)


def _loss(theta: Array, data: CurveData, locations: Array, scales: Array) -> tuple[float, Array]:
    """Negative log posterior density of the logarithms of hyperparameters, and its gradient."""
    lengthscales, time, (alpha, beta, gamma, epsilon, eta), noise = unpacked(theta)
    groups, n = len(lengthscales), len(data.y)
    squared = _squared(data.x, data.x, lengthscales[data.groups])
    kx, slope_x = _matern_and_slope(squared.sum(-1))
    shared = np.ix_(data.owner, data.owner)
    kx_rows = kx[shared]
    squared_t = _squared(data.tau[:, None], data.tau[:, None], time)[..., 0]
    kt, slope_t = _matern_and_slope(squared_t)
    same = (data.owner[:, None] == data.owner).astype(float)
    covariance = _sum(np.array([alpha, beta, gamma, epsilon, eta]), kx_rows, kt, same)
    covariance[np.diag_indices(n)] += noise + JITTER
    off = (theta - locations) / scales
    try:
        factor = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        return 1e10, np.zeros_like(theta)
    root = solve_triangular(factor, np.eye(n), lower=True, check_finite=False)
    inverse = root.T @ root
    weights = inverse @ data.y
    loss = 0.5 * data.y @ weights + np.log(np.diag(factor)).sum() + 0.5 * off @ off

    # ∂loss/∂k, of which every gradient is a sum
    outer = 0.5 * (inverse - np.outer(weights, weights))
    by_configuration = np.zeros((len(data.x), n))
    np.add.at(by_configuration, data.owner, outer * (alpha + beta * kt))
    pairs = np.zeros((len(data.x), len(data.x)))
    np.add.at(pairs.T, data.owner, by_configuration.T)
    gradient = off / scales
    by_feature = np.einsum("ij,ijd->d", pairs * slope_x, squared)
    gradient[:groups] += np.bincount(data.groups, by_feature, groups)
    along = outer * kt
    gradient[groups:] += [
        (outer * (beta * kx_rows + epsilon * same + eta) * slope_t * squared_t).sum(),
        alpha * (outer * kx_rows).sum(),
        beta * (along * kx_rows).sum(),
        gamma * (outer * same).sum(),
        epsilon * (along * same).sum(),
        eta * along.sum(),
        noise * np.trace(outer),
    ]
    return float(loss), gradient


def unpacked(theta: Array) -> tuple[Array, Array, Array, float]:
    """Lengthscales (G,), that of τ (1,), α to η (5,), σ²."""
    values = np.exp(theta)
    return values[:-7], values[-7:-6], values[-6:-1], float(values[-1])


def _sum(variances: Array, kx: Array, kt: Array, same: NDArray[np.generic]) -> Array:
    alpha, beta, gamma, epsilon, eta = variances
    return np.asarray(kx * (alpha + beta * kt) + same * (gamma + epsilon * kt) + eta * kt)


def _squared(one: Array, other: Array, lengthscales: Array) -> Array:
    return np.asarray(((one[:, None] - other[None]) / lengthscales) ** 2)


def _matern(squared: Array) -> Array:
    root = np.sqrt(5.0 * squared)
    return np.asarray((1.0 + root + 5.0 / 3.0 * squared) * np.exp(-root))


def _matern_and_slope(squared: Array) -> tuple[Array, Array]:
    """Matérn-5/2, and its derivative by the logarithm of a lengthscale, per unit of squared distance."""
    root = np.sqrt(5.0 * squared)
    decay = np.exp(-root)
    return (1.0 + root + 5.0 / 3.0 * squared) * decay, 5.0 / 3.0 * (1.0 + root) * decay
