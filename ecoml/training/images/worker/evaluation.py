"""How good a network is: as few predictions as the device allows, and one number read at the end."""

from __future__ import annotations

import torch

from ecoml.training.base import Account
from ecoml.training.images.data.resident import Resident, TrainingTask
from ecoml.training.images.network.network import Network
from ecoml.training.images.worker.step import finish, in_precision

EVALUATION_BATCH = {"cpu": 500, "cuda": 10_000}
"""Images predicted at once: on a CPU as many as its caches hold, on a GPU all, or a quarter of them if they do not fit,
and so on."""

_FEWEST = 64
"""Images predicted at once below which fewer are not tried."""


def accuracy(network: Network, data: Resident, task: TrainingTask, account: Account | None = None) -> float:
    """Share of images whose class the network predicts, in [0, 1].

    Args:
        network: It is left in evaluation mode.
        data: Images at the resolution of the network, or at full resolution.
        task: Whose device and precision are used.
        account: Its budget is checked between two batches; None: no limit.

    Raises:
        BudgetExhausted: From `account`.
    """
    network.eval()
    at_once = EVALUATION_BATCH[task.device.type]
    while True:
        try:
            return _correct(network, data, task, account, at_once) / len(data)
        except torch.OutOfMemoryError:  # what a GPU's allocator raises
            if at_once < _FEWEST:
                raise
            at_once //= 4


def _correct(network: Network, data: Resident, task: TrainingTask, account: Account | None, at_once: int) -> int:
    predict = network.logits if data.sides == network.sides else network
    correct = torch.zeros((), dtype=torch.int64, device=data.labels.device)
    with torch.inference_mode(), in_precision(task, network):
        for images, labels in data.slices(at_once):
            if account is not None:
                account.check_budget()
            correct += (predict(images).argmax(1) == labels).sum()
    finish(task.device)
    return int(correct)
