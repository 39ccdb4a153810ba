"""Temperature scaling: makes a network's probabilities match its accuracy (Guo et al. 2017, arXiv 1706.04599).

Notation: z logits N×C, β = 1/T, p = softmax(β z). The cross-entropy L(β) = mean(log Σ exp β z − β t·z) is convex in β:

    L′ = mean(p·z − t·z),    L″ = mean(p·z² − (p·z)²)

The targets t are Platt's (1999): (n + 1)/(n + 2) for the true class, and the rest shared by the others, where n is the
number of images. T therefore stays above 0 even if all images are recognised.
"""

from __future__ import annotations

import torch
from torch import Tensor

_STEPS = 50
_FACTOR = 4.0  # β changes by no more than that in a step


def temperature_of(logits: Tensor, labels: Tensor) -> float:
    """The T by which logits are divided before their softmax, in [0.01, 100]; 1 if a logit is not finite.

    Args:
        logits: N×C of images that were not used for training.
        labels: int64 N.
    """
    z = logits.detach().double()
    if not z.isfinite().all():
        return 1.0
    z = z - z.mean(1, keepdim=True)
    n, classes = z.shape
    right = z.gather(1, labels.to(z.device)[:, None]).squeeze(1)
    doubt = 1 / (n + 2)
    target = float((right * (1 - doubt) + (z.sum(1) - right) * doubt / max(1, classes - 1)).mean())
    beta = 1.0
    for _ in range(_STEPS):
        p = torch.softmax(beta * z, 1)
        mean = (p * z).sum(1)
        slope, curvature = torch.stack([mean.mean() - target, ((p * z * z).sum(1) - mean * mean).mean()]).tolist()
        step = slope / max(curvature, 1e-12)
        last, beta = beta, min(max(beta - step, beta / _FACTOR, 0.01), beta * _FACTOR, 100.0)
        if abs(beta - last) <= 1e-6 * beta:
            break
    return 1 / beta
