"""The built-in executor: small CNNs of any width and depth for image classification.

    catalogue   names of data sets, and where they are looked for
    data        a data set as arrays; `named`, `folder` and `npz` read them, `split` divides them
    settings    configuration → checked values with defaults; `schedule` what of them changes in a training
    plan        settings and image shape → the network's shape, parameters, memory and arithmetic; `floor` in joules
    training    `CnnTraining`, what the host sees; `process` its side of the worker, `workload` what they tell another
    worker      the process that trains; what follows runs in it alone, and imports torch
    device      the device and what it can do, `resident` the data on it
    network     the network, `recipe` its optimiser, `augment` its images, `step` one batch, `loop` the training
    evaluation  the accuracy
    model       trained networks as files

Importing this package does not import torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ecoml.training.images.catalogue import available_data
from ecoml.training.images.settings import DEFAULTS, validate_config, validate_space
from ecoml.training.images.training import CnnTraining

if TYPE_CHECKING:
    from ecoml.training.images.network.network import Network
    from ecoml.training.images.worker.loop import Build

__all__ = ["DEFAULTS", "CnnTraining", "available_data", "load_model_file", "validate_config", "validate_space"]


def load_model_file(path: str | Path, build: Build | None = None) -> Network:
    """The trained network in a file, on the CPU and in evaluation mode; see `ecoml.training.images.model`."""
    from ecoml.training.images import model

    return model.load_model_file(path, build)
