"""Features of a frozen backbone, computed once per training; the rest of the training is the head and costs little.

Each training computes them again: the energy of a model is then its own, and does not depend on earlier trials.
"""

from __future__ import annotations

import torch

from ecoml.training.base import Account
from ecoml.training.images.data.resident import Resident, TrainingTask
from ecoml.training.images.network.network import Network
from ecoml.training.images.steps.batches import predicted_at_once
from ecoml.training.images.steps.step import in_precision


def features_of(network: Network, data: Resident, task: TrainingTask, account: Account) -> Resident:
    """Features N×1×1×F, float32, in place of images.

    Args:
        network: A frozen backbone with its head.
        data: Images of the network's sides.
        task: Its precision is used.
        account: Its budget is checked between two batches.

    Raises:
        BudgetExhausted: From `account`.
    """
    found: torch.Tensor | None = None
    with torch.no_grad(), in_precision(task, network):
        for start, images in data.slices(predicted_at_once(task.device.type, network.sides)):
            account.check_budget()
            features = network.features(images).float()
            found = features.new_empty(len(data), 1, 1, features.shape[1]) if found is None else found
            found[start : start + len(images), 0, 0] = features
    assert found is not None, "there are images"
    return Resident(found, data.labels)
