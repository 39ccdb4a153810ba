"""What going on with a candidate is worth: its expected hypervolume improvement for each joule.

    Notation
        (e₁, a₁) … (e_k, a_k)   the front by now: log energy and utility, both ascending
        f ~ N(μ, s²)            utility of a candidate at the end of its training
        c                       the most that it can be: all is right
        e                       log of its energy by then

    EHVI = Σⱼ ℓⱼ · E[(min(f, c) − aⱼ)⁺],   ℓⱼ = length of [max(e, eⱼ), eⱼ₊₁],   e_{k+1} = e_k + R
    E[(min(f, c) − a)⁺] = E[(f − a)⁺] − E[(f − c)⁺]   for a ≤ c

Since the energy of a training is known well before it is trained, the improvement of hypervolume is a sum of ordinary
expected improvements, one for each stretch of the front to the right of the candidate. R, the length of the last
stretch, says how much more score counts than cheapness. It has this length also for a candidate that is dearer than
all, so that the best utility has its worth at any price: its joules are counted already, below the line.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx, log_ndtr

Array = NDArray[np.float64]

_ROOM = 1e-6  # between the front and c at least: where all is right already, the most probable to be so is worth most


def log_improvement(
    mean: Array, deviation: Array, log_energy: Array, front: Array, last: float, ceiling: float
) -> Array:
    """log EHVI (q,) of q candidates.

    Args:
        mean: μ (q,).
        deviation: s (q,), > 0.
        log_energy: e (q,).
        front: (k, 2), log energies and utilities of the front, both ascending, k ≥ 1; above c they count as c.
        last: R.
        ceiling: c; inf where scores have no bound.
    """
    begins, scores = front[:, 0], np.minimum(front[:, 1], ceiling)
    ends = np.r_[begins[1:], begins[-1] + last]
    lengths = ends - np.maximum(begins, log_energy[:, None])
    lengths[:, -1] = last
    improvement = log_expected_improvement((mean[:, None] - scores) / deviation[:, None])
    if np.isfinite(ceiling):
        over = (mean[:, None] - np.maximum(ceiling, scores + _ROOM)) / deviation[:, None]
        above = log_expected_improvement(over)
        improvement += np.log(-np.expm1(np.minimum(above - improvement, -1e-15)))  # of their difference
    with np.errstate(divide="ignore"):
        parts = np.log(np.maximum(lengths, 0.0)) + improvement
    top = parts.max(axis=1)
    return np.asarray(top + np.log(np.exp(parts - top[:, None]).sum(axis=1)) + np.log(deviation))


def log_probability(mean: Array, deviation: Array, target: float) -> Array:
    """log P(f ≥ target) (q,) of q candidates with means μ (q,) and standard deviations s (q,)."""
    return np.asarray(log_ndtr((mean - target) / deviation))


def log_expected_improvement(z: Array) -> Array:
    """log E[(z + ε)⁺], ε ~ N(0, 1), accurate far below zero too.

    Ament et al., Unexpected Improvements to Expected Improvement for Bayesian Optimization (NeurIPS 2023), eq. 9.
    """
    density = -0.5 * z**2 - 0.5 * np.log(2 * np.pi)
    low = np.minimum(z, 0.0)
    # φ(z) + z Φ(z) = φ(z) (1 − |z| Φ(z)/φ(z)); the ratio is √(π/2) erfcx(|z|/√2)
    ratio = -low * np.sqrt(np.pi / 2) * erfcx(-low / np.sqrt(2))
    with np.errstate(divide="ignore"):
        left = np.log1p(-np.minimum(ratio, 1.0))
    left = np.where(low < -1e3, -2.0 * np.log(-np.minimum(low, -1.0)), left)
    below = -0.5 * low**2 - 0.5 * np.log(2 * np.pi) + left
    above = np.log(np.exp(density) + z * np.exp(log_ndtr(np.maximum(z, -1.0))), where=z > 0, out=np.zeros_like(z))
    return np.asarray(np.where(z > 0, above, below))
