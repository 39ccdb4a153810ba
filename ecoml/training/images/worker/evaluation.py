"""Evaluates a network: in as few batches as the device allows, with one transfer of the results at the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor

from ecoml.training.base import Account
from ecoml.training.images.data.resident import Resident, TrainingTask
from ecoml.training.images.network.network import Network
from ecoml.training.images.scores import Confusion
from ecoml.training.images.steps.batches import predicted_at_once
from ecoml.training.images.steps.step import in_precision
from ecoml.training.images.worker.device import finish

_FEWEST = 64
"""Smallest batch that is tried before memory counts as exhausted."""


def confusion(logits: Tensor, data: Resident) -> Confusion:
    """The confusion matrix of logits N×classes."""
    return Confusion.of(data.labels.numpy(force=True), logits.argmax(1).numpy(force=True), logits.shape[1])


def logits_of(network: Network, data: Resident, task: TrainingTask, account: Account | None = None) -> Tensor:
    """Logits N×classes of a data set's images, on the device.

    Args:
        network: It is left in evaluation mode.
        data: Images at the network's or at full resolution, or its features of them.
        task: Its device and precision are used.
        account: Its budget is checked between two batches; None: no limit.

    Raises:
        BudgetExhausted: From `account`.
    """
    network.eval()
    at_once = predicted_at_once(task.device.type, network.sides)
    while True:
        try:
            return _logits(network, data, task, account, at_once)
        except torch.OutOfMemoryError:  # what a GPU's allocator raises
            if at_once < _FEWEST:
                raise
            at_once //= 4


def _logits(network: Network, data: Resident, task: TrainingTask, account: Account | None, at_once: int) -> Tensor:
    predict: Callable[[Tensor], Tensor] = network.logits if data.sides == network.sides else network
    if data.images.is_floating_point():
        predict = network.logits_of_features
    logits = torch.empty(len(data), len(task.classes), device=task.device)
    with torch.inference_mode(), in_precision(task, network):
        for start, images in data.slices(at_once):
            if account is not None:
                account.check_budget()
            logits[start : start + len(images)] = predict(images)
    finish(task.device)
    return logits


def timed(network: Network, task: TrainingTask, batch_size: int, seconds: float) -> tuple[int, float]:
    """Predict validation images in full precision for this many seconds, at least one batch, with one thread.

    Returns:
        Number of images, and the median seconds per batch.
    """
    network.eval()
    torch.set_num_threads(1)
    images = next(task.validation.slices(batch_size))[1]
    if len(images) < batch_size:
        images = images.repeat(-(-batch_size // len(images)), 1, 1, 1)[:batch_size]
    lasted_s: list[float] = []
    with torch.inference_mode():
        end_s = time.perf_counter() + seconds
        while not lasted_s or time.perf_counter() < end_s:
            start_s = time.perf_counter()
            network(images)
            finish(task.device)
            lasted_s.append(time.perf_counter() - start_s)
    return batch_size * len(lasted_s), median(lasted_s)
