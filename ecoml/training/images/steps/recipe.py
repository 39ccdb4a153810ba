"""The optimiser, the weights of classes, and the running average of the network's weights.

torch's optimiser classes import its compiler on first use (2.3 CPU seconds, more than many trials take), so their
functional forms are called here; with `fused=True` one kernel updates all weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.sgd import sgd

from ecoml.training.images.settings import Settings

_HORIZON = 100
"""Number of steps in the running average of the weights; at first a tenth of the steps so far."""


class WeightOptimiser:
    """Updates a network's weights; batch norms and biases have no weight decay.

    Attributes:
        state: Its complete state, which can be stored and restored in place.
        rate: The learning rate of the next steps; for recorded steps a tensor, which they read each time.
    """

    def __init__(self, settings: Settings, network: nn.Module) -> None:
        self._settings = settings
        trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
        matrices = [parameter for parameter in trained if parameter.ndim > 1]
        vectors = [parameter for parameter in trained if parameter.ndim <= 1]
        self._groups = [(matrices, settings.weight_decay), (vectors, 0.0)]
        self._parameters = matrices + vectors
        moments = 1 if settings.optimizer == "sgd" else 2
        self._moments = [{id(p): torch.zeros_like(p) for p in self._parameters} for _ in range(moments)]
        device = self._parameters[0].device
        self._steps = {id(p): torch.zeros((), device=device) for p in self._parameters}
        self.rate: float | Tensor = 0.0

    @property
    def state(self) -> list[Tensor]:
        moments = [moment[id(p)] for moment in self._moments for p in self._parameters]
        return moments + ([] if self._settings.optimizer == "sgd" else list(self._steps.values()))

    @torch.no_grad()
    def step(self) -> None:
        """Update the weights by their gradients."""
        of = self._settings
        for group, weight_decay in self._groups:
            used = [p for p in group if p.grad is not None]
            if not used:
                continue
            gradients = [p.grad for p in used if p.grad is not None]
            first = [self._moments[0][id(p)] for p in used]
            if of.optimizer == "sgd":
                sgd(
                    list(used),
                    gradients,
                    list(first),
                    fused=True,
                    weight_decay=weight_decay,
                    momentum=of.momentum,
                    lr=self.rate,
                    dampening=0.0,
                    nesterov=of.momentum > 0,
                    maximize=False,
                )
            else:
                adam(
                    list(used),
                    gradients,
                    first,
                    [self._moments[1][id(p)] for p in used],
                    [],
                    [self._steps[id(p)] for p in used],
                    fused=True,
                    decoupled_weight_decay=of.optimizer == "adamw",
                    amsgrad=False,
                    beta1=of.beta1,
                    beta2=of.beta2,
                    lr=self.rate,
                    weight_decay=weight_decay,
                    eps=of.epsilon,
                    maximize=False,
                )

    def clear(self) -> None:
        """Forget the gradients."""
        for parameter in self._parameters:
            parameter.grad = None


def class_weights(labels: Tensor, classes: int, strength: float) -> Tensor | None:
    """The weight of each image, (N / (classes · n(its class)))^strength, scaled to a mean of 1; None without strength.

    With strength 1 all classes have the same total weight: rare classes are learnt at the cost of frequent ones.

    Args:
        labels: int64 N.
        classes: Number of classes.
        strength: In [0, 1].
    """
    if not strength:
        return None
    counts = torch.bincount(labels, minlength=classes).clamp_(min=1)
    weights = (len(labels) / (classes * counts.to(torch.float32))).pow(strength).index_select(0, labels)
    return weights / weights.mean()


def share_of(step: int) -> float:
    """Share of the weights after step `step`, counted from 1, in the running average."""
    return max(1 / _HORIZON, 10 / (10 + step))


class Average:
    """A running average of a network's weights; `exchange` swaps it with them between training and use."""

    def __init__(self, network: nn.Module) -> None:
        self._weights = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self.state = [parameter.detach().clone() for parameter in self._weights]

    @torch.no_grad()
    def add(self, share: float | Tensor) -> None:
        """Add the weights after a step to the average with this share; see `share_of`."""
        weights = [weight.detach() for weight in self._weights]
        if isinstance(share, Tensor):  # torch knows no such lerp
            change = torch._foreach_sub(weights, self.state)
            torch._foreach_mul_(change, share)
            torch._foreach_add_(self.state, change)
        else:
            torch._foreach_lerp_(self.state, weights, share)

    @torch.no_grad()
    def exchange(self) -> None:
        """Swap the average and the network's weights."""
        for weight, average in zip(self._weights, self.state, strict=True):
            kept = weight.detach().clone()
            weight.copy_(average)
            average.copy_(kept)
