"""One training step: gather, forward, backward, update; and the state from which a GPU reads what changes between
steps.

Shapes: batch indices int64 B.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ecoml.training.images.data.augment import batch_of
from ecoml.training.images.data.resident import Resident, TrainingTask
from ecoml.training.images.network.network import Network
from ecoml.training.images.steps.recipe import WeightOptimiser

_BF16_FROM_FLOP = 8e7
"""FLOP of a batch's forward pass from which bfloat16 is faster on a CPU that supports it; see
docs/explanations/training.md.
"""


class Batch:
    """The computation of a step.

    Attributes:
        loss: Sum of the batches' losses since it was set to zero.
        weights: Weight of each training image.
        losses: Last loss of each training image; None if not needed.
    """

    def __init__(self, task: TrainingTask, network: Network, optimiser: WeightOptimiser, data: Resident) -> None:
        self.loss = torch.zeros((), device=task.device)
        self.weights = torch.ones(len(data), device=task.device)
        self.losses: Tensor | None = None
        self._task = task
        self._network = network
        self._optimiser = optimiser
        self._data = data
        self._predict = network.logits_of_features if network.settings.keeps_features else network.logits

    def __call__(self, indices: Tensor) -> None:
        settings = self._network.settings
        full_height = settings.sides_of(self._task.shape[1:])[0]
        images, labels = batch_of(self._data, indices, settings, full_height)
        self._optimiser.clear()
        with in_precision(self._task, self._network):
            logits = self._predict(images)
        each = functional.cross_entropy(
            logits.float(), labels, reduction="none", label_smoothing=settings.label_smoothing
        )
        loss = (each * self.weights.index_select(0, indices)).mean()
        torch.autograd.backward((loss,))
        self._optimiser.step()
        self.loss += loss.detach()
        if self.losses is not None:
            self.losses.index_copy_(0, indices, each.detach())


class Position:
    """The position within an epoch of equal batches, on the device: a step reads its images and its rate there, and
    advances.

    Nothing has to be copied to the device between two steps, and a recording can be replayed repeatedly.

    Args:
        device: The device.
        steps: Largest number of steps of an epoch.
        size: Images per batch.

    Attributes:
        rate: The learning rate of the current step, a view.
        share: Share of the weights after it in the running average, a view.
        next: Number of the next step, int64 1.
    """

    def __init__(self, device: torch.device, steps: int, size: int) -> None:
        self.next = torch.zeros(1, dtype=torch.int64, device=device)
        self._order = torch.zeros(steps, size, dtype=torch.int64, device=device)
        self._values = torch.zeros(steps, 2, device=device)
        self._now = torch.zeros(1, 2, device=device)
        self.rate, self.share = self._now[0, 0], self._now[0, 1]

    def begin(self, order: Tensor, rates: Sequence[float], shares: Sequence[float]) -> None:
        """Go to the first step of an epoch.

        Args:
            order: Indices of its images in order, int64; images that do not fill a batch are left out.
            rates: Learning rate of each step.
            shares: Share of each step in the running average.
        """
        steps, size = len(rates), self._order.shape[1]
        self._order[:steps].copy_(order[: steps * size].view(steps, size))
        self._values[:steps].copy_(torch.tensor([rates, shares]).T)
        self.next.zero_()

    def advance(self) -> Tensor:
        """Advance to the next step's rate and share, and return its images, int64 B."""
        torch.index_select(self._values, 0, self.next, out=self._now)
        indices = self._order.index_select(0, self.next).view(-1)
        self.next += 1
        return indices


def in_precision(task: TrainingTask, network: Network) -> contextlib.AbstractContextManager[Any]:
    """bfloat16 if the task allows it and, on a CPU, if the network gains more from it than the conversions cost."""
    if not task.bf16 or (task.device.type == "cpu" and network.batch_flops < _BF16_FROM_FLOP):
        return contextlib.nullcontext()
    return torch.autocast(task.device.type, torch.bfloat16)


def check_loss(loss: Tensor, epoch: int) -> None:
    """Refuse a loss that is not finite.

    Raises:
        FloatingPointError: It is NaN or infinite; the message names the epoch.
    """
    value = loss.item()
    if not math.isfinite(value):
        raise FloatingPointError(f"the loss became {'NaN' if math.isnan(value) else 'infinite'} in epoch {epoch + 1}")
