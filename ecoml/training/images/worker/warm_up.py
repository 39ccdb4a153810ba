"""Loads before the first trial what would otherwise be loaded on first use and charged to this trial."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ecoml.training.base import NoAccount
from ecoml.training.images.data.resident import Resident, TrainingTask
from ecoml.training.images.worker.loop import Training

# Not "separable": cuDNN compiles kernels for each of its shapes, 0.6 to 2.2 s on an H200, so no other can be prepared.
_KINDS: tuple[dict[str, Any], ...] = (
    {"batch_size": 16, "schedule": "triangle"},  # so many steps that they are recorded
    {"kernel": 5, "optimizer": "adamw"},
    {"block": "residual", "head": "flatten", "skip_easy": 0.0},
    {"kernel": 3, "shift": 1},
)


def warm_up(task: TrainingTask) -> None:
    """Train for a moment, so that one-time costs are not charged to the first trial.

    On a CPU these are parts of torch; on a GPU also the kernels of each kind of network, and the recording of steps.
    """
    cuda = task.device.type == "cuda"
    images = 512 if cuda else 2
    few = Resident(task.train.images[:images], task.train.labels[:images])
    small = replace(task, train=few, validation=few)
    size: dict[str, Any] = {"width": 16, "depth": 2, "batch_size": 256} if cuda else {"width": 1, "depth": 1}
    for kind in _KINDS if cuda else ({},):
        training = Training(small, 0, {**size, "epochs": 1, **kind}, NoAccount())
        training.advance()
        training.release()
