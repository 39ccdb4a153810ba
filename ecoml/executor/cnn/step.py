"""One training step: gather, forward, backward, update; on a GPU recorded once and played back.

Shapes: batch indices int64 B, weights of its images float B.
"""

from __future__ import annotations

import contextlib
import math
from collections import deque
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ecoml.executor.cnn.augment import batch_of
from ecoml.executor.cnn.network import Network
from ecoml.executor.cnn.recipe import Optimiser
from ecoml.executor.cnn.resident import Problem, Resident

_QUEUED = 2
"""Batches a GPU may have before it: enough to keep it busy, and no more than may be spent past the budget."""

_cuda: Any = torch.cuda  # untyped in some versions

Step = Callable[[Tensor, Tensor], None]


class Batch:
    """A step as it is computed.

    Attributes:
        loss: Sum of the batches' losses since it was set to zero.
        losses: Last loss of each training image, or None if nobody asks.
    """

    def __init__(self, problem: Problem, network: Network, optimiser: Optimiser, data: Resident) -> None:
        self.loss = torch.zeros((), device=problem.device)
        self.losses: Tensor | None = None
        self._problem = problem
        self._network = network
        self._optimiser = optimiser
        self._data = data

    def __call__(self, indices: Tensor, weights: Tensor) -> None:
        settings = self._network.settings
        images, labels = batch_of(self._data, indices, settings, self._problem.shape[1])
        self._optimiser.clear()
        with in_precision(self._problem):
            logits = self._network.logits(images)
        each = functional.cross_entropy(
            logits.float(), labels, reduction="none", label_smoothing=settings.label_smoothing
        )
        loss = (each * weights).mean()
        torch.autograd.backward((loss,))
        self._optimiser.step()
        self.loss += loss.detach()
        if self.losses is not None:
            self.losses.index_copy_(0, indices, each.detach())


def recorded(step: Batch, network: Network, optimiser: Optimiser, size: int) -> Step | None:
    """The step as a CUDA graph, for batches of `size`; None where it cannot be recorded.

    The network and the optimiser are left as they were.
    """
    indices = torch.zeros(size, dtype=torch.int64, device=step.loss.device)
    weights = torch.ones(size, device=step.loss.device)
    state = [*network.state_dict().values(), *optimiser.state, step.loss]
    if step.losses is not None:
        state.append(step.losses)
    before = [value.clone() for value in state]
    try:
        aside = _cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):  # libraries allocate on first use, which must not be recorded
            for _ in range(3):
                step(indices, weights)
        torch.cuda.current_stream().wait_stream(aside)
        optimiser.clear()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step(indices, weights)
    except (RuntimeError, NotImplementedError):  # a caller's model that looks at values, for one
        torch.cuda.synchronize()
        return None
    finally:
        with torch.no_grad():
            for value, kept in zip(state, before, strict=True):
                value.copy_(kept)

    def play(batch: Tensor, of_images: Tensor) -> None:
        if len(batch) != size:
            step(batch, of_images)
            return
        indices.copy_(batch)
        weights.copy_(of_images)
        graph.replay()

    return play


class Pace:
    """Keeps a GPU's queue short: `keep` returns when no more than two batches wait, without spinning."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._queued: deque[Any] = deque()

    def keep(self) -> None:
        if not self._cuda:
            return
        event = _cuda.Event(blocking=True)
        event.record()
        self._queued.append(event)
        if len(self._queued) > _QUEUED:
            self._queued.popleft().synchronize()


def in_precision(problem: Problem) -> contextlib.AbstractContextManager[Any]:
    """bfloat16 where the problem says so."""
    if not problem.bf16:
        return contextlib.nullcontext()
    return torch.autocast(problem.device.type, torch.bfloat16)


def check_loss(loss: Tensor, epoch: int) -> None:
    """Refuse a loss that is no number.

    Raises:
        FloatingPointError: It is NaN or infinite; the line names the epoch.
    """
    value = loss.item()
    if not math.isfinite(value):
        raise FloatingPointError(f"the loss became {'NaN' if math.isnan(value) else 'infinite'} in epoch {epoch + 1}")
