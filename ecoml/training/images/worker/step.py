"""One training step: gather, forward, backward, update; on a GPU recorded once and played back.

Shapes: batch indices int64 B.
"""

from __future__ import annotations

import contextlib
import functools
import math
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ecoml.training.images.data.augment import batch_of
from ecoml.training.images.data.resident import Resident, TrainingTask
from ecoml.training.images.network.network import Network
from ecoml.training.images.worker.recipe import Optimiser

_QUEUED = 2
"""Batches a GPU may have queued: enough to keep it busy, and no more than may be spent past the budget."""

_BF16_FROM_FLOP = 8e7
"""FLOP of a batch's forward pass from which a CPU with bfloat16 gains by it; see docs/training.md."""

_CHECK_EVERY_S = 1e-3
"""On a GPU a batch of a small network takes less time than a budget check."""

_cuda: Any = torch.cuda  # untyped in some versions

Step = Callable[[Tensor], None]


class Batch:
    """A step as it is computed.

    Attributes:
        loss: Sum of the batches' losses since it was set to zero.
        weights: Of each training image.
        losses: Last loss of each training image, or None if nobody asks.
    """

    def __init__(self, task: TrainingTask, network: Network, optimiser: Optimiser, data: Resident) -> None:
        self.loss = torch.zeros((), device=task.device)
        self.weights = torch.ones(len(data), device=task.device)
        self.losses: Tensor | None = None
        self._task = task
        self._network = network
        self._optimiser = optimiser
        self._data = data

    def __call__(self, indices: Tensor) -> None:
        settings = self._network.settings
        images, labels = batch_of(self._data, indices, settings, self._task.shape[1])
        self._optimiser.clear()
        with in_precision(self._task, self._network):
            logits = self._network.logits(images)
        each = functional.cross_entropy(
            logits.float(), labels, reduction="none", label_smoothing=settings.label_smoothing
        )
        loss = (each * self.weights.index_select(0, indices)).mean()
        torch.autograd.backward((loss,))
        self._optimiser.step()
        self.loss += loss.detach()
        if self.losses is not None:
            self.losses.index_copy_(0, indices, each.detach())


def recorded(step: Batch, network: nn.Module, optimiser: Optimiser, size: int) -> Step | None:
    """The step as a CUDA graph, for batches of `size`; None where it cannot be recorded.

    The network and the optimiser are left as they were.
    """
    indices = torch.zeros(size, dtype=torch.int64, device=step.loss.device)
    state = [*network.parameters(), *network.buffers(), *optimiser.state, step.loss]
    if step.losses is not None:
        state.append(step.losses)
    before = [value.detach().clone() for value in state]
    aside = _side_stream(torch.cuda.current_device())
    aside.wait_stream(torch.cuda.current_stream())
    try:
        with torch.cuda.stream(aside):  # around the recording too: one that fails may leave its stream behind
            for _ in range(2):  # libraries allocate on first use, which must not be recorded
                step(indices)
            with _no_waiting():
                step(indices)
            optimiser.clear()
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=aside):
                step(indices)
    except (RuntimeError, NotImplementedError):  # a caller's model that looks at values, for one
        torch.cuda.synchronize()
        return None
    finally:
        torch.cuda.current_stream().wait_stream(aside)
        with torch.no_grad():
            for value, kept in zip(state, before, strict=True):
                value.copy_(kept)

    def play(batch: Tensor) -> None:
        if len(batch) != size:
            step(batch)
            return
        indices.copy_(batch)
        graph.replay()

    return play


@functools.cache
def _side_stream(device: int) -> Any:  # noqa: ARG001 - each device has its own
    """The stream that steps are recorded on, always the same: cuBLAS keeps a workspace for each it has seen."""
    return _cuda.Stream()


@contextlib.contextmanager
def _no_waiting() -> Iterator[None]:
    """Raise where the host would wait for the GPU; a recording that fails of it damages CUDA's allocator for good."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that this is a prototype
        torch.cuda.set_sync_debug_mode("error")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode("default")


class CheckInterval:
    """When to check the budget, and how many batches a GPU may have queued."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._queued: deque[Any] = deque()
        self._checked_s = -math.inf

    def due(self) -> bool:
        """Whether to check the budget: before each batch on a CPU, at most once a millisecond on a GPU."""
        if not self._cuda:
            return True
        now_s = time.monotonic()
        if now_s < self._checked_s + _CHECK_EVERY_S:
            return False
        self._checked_s = now_s
        return True

    def wait(self) -> None:
        """Wait, without spinning, until no more than two batches are queued."""
        if not self._cuda:
            return
        if len(self._queued) < _QUEUED:
            event = _cuda.Event(blocking=True)
        else:
            event = self._queued.popleft()
            event.synchronize()
        event.record()
        self._queued.append(event)


def finish(device: torch.device) -> None:
    """Wait, without spinning, until the device has done all that was asked of it."""
    if device.type == "cuda":
        event = _cuda.Event(blocking=True)
        event.record()
        event.synchronize()


def in_precision(task: TrainingTask, network: Network) -> contextlib.AbstractContextManager[Any]:
    """bfloat16 where the task says so, and on a CPU the network gains more by it than the conversions cost."""
    if not task.bf16 or (task.device.type == "cpu" and network.batch_flops < _BF16_FROM_FLOP):
        return contextlib.nullcontext()
    return torch.autocast(task.device.type, torch.bfloat16)


def check_loss(loss: Tensor, epoch: int) -> None:
    """Refuse a loss that is no number.

    Raises:
        FloatingPointError: It is NaN or infinite; the line names the epoch.
    """
    value = loss.item()
    if not math.isfinite(value):
        raise FloatingPointError(f"the loss became {'NaN' if math.isnan(value) else 'infinite'} in epoch {epoch + 1}")
