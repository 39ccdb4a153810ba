"""The acquisition function: noisy expected hypervolume improvement.

Notation
    r     (2,)  reference point
    P     k×2   objectives at the tried configurations, drawn from the posterior
    α(x)  = E_P,f [ HV(P ∪ {f(x)}, r) − HV(P, r) ]

Daulton, Balandat, Bakshy, Parallel Bayesian Optimization of Multiple Noisy Objectives with Expected Hypervolume
Improvement (NeurIPS 2021), eq. 3. The expectations are means over few quasi-random draws, the same for all candidates,
because only their order matters. Its logarithm (Ament et al., NeurIPS 2023) is for optimisation by gradients; for it
BoTorch would compile a kernel for half a minute.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from botorch.acquisition.multi_objective.monte_carlo import qNoisyExpectedHypervolumeImprovement
from botorch.sampling.normal import SobolQMCNormalSampler
from numpy.typing import NDArray

Array = NDArray[np.float64]

_DRAWS = 32
_CHUNK = 256  # candidates at once, which bounds memory
_SPREAD = 2.5  # standard deviations within which a configuration that was tried may turn out to be


class Acquisition:
    """α, ready to be evaluated.

    Args:
        model: A BoTorch model with two outputs.
        tried: X (n, D) of the configurations with a result.
        pending: X (p, D) of those without a result yet; p may be 0.
        reference: r (2,).
        seed: Determines the draws.
    """

    def __init__(self, model: Any, tried: Array, pending: Array, reference: Array, seed: int) -> None:
        self._value = qNoisyExpectedHypervolumeImprovement(
            model,
            torch.from_numpy(reference),
            torch.from_numpy(tried[_may_be_on_front(model, tried)]),
            sampler=SobolQMCNormalSampler(torch.Size([_DRAWS]), seed=seed),
            X_pending=torch.from_numpy(pending) if len(pending) else None,
            prune_baseline=True,
        )

    def __call__(self, x: Array) -> Array:
        """α (m,) at candidates X (m, D)."""
        with torch.no_grad():
            values = [self._value(torch.from_numpy(x[i : i + _CHUNK, None])) for i in range(0, len(x), _CHUNK)]
        return np.concatenate([value.numpy() for value in values])


def _may_be_on_front(model: Any, tried: Array) -> NDArray[np.bool_]:
    """Which of the tried configurations may be on the front, (n,); the pruning that follows costs much more for each.

    A configuration is left out if its best case is dominated by the worst case of another.
    """
    with torch.no_grad():
        posterior = model.posterior(torch.from_numpy(tried))
        mean, deviation = posterior.mean.numpy(), posterior.variance.sqrt().numpy()
    best, worst = mean + _SPREAD * deviation, mean - _SPREAD * deviation
    dominated: NDArray[np.bool_] = (worst[None] > best[:, None]).all(axis=2).any(axis=1)
    return ~dominated
