"""The built-in executor: small CNNs of any width and depth for image classification.

catalogue   names of data sets, and the folders in which they are looked for
data        `dataset` a data set as arrays; `loader` loads it with `named`, `folder` or `npz`, `split` divides it;
`resident` holds the data on the device, `augment` makes batches
network     settings and image shape → `plan`, the network's shape, parameters, memory and arithmetic; `floor` its least
energy in joules, `cost` its approximate seconds on a GPU; `network` the module itself
kernels     for a GPU: `pooled` and `columns` compute what PyTorch computes slowly, `use` says whether they can be used
settings    configuration → checked values with defaults; `schedule` the values that change during a training
training    `CnnTraining`, the executor
steps       `batches` of an epoch, `step` one of them, `recipe` its optimiser, `recording` on a GPU
worker      `worker` trains on a device, through `shared` and `process`; `workload` holds what they send to the process
that trains: there are `server`, `loop` the training, `residents` the suspended trainings, `evaluation` the accuracy,
`warm_up` the loading before the first trial, `device` the capabilities of the hardware
model       trained networks as files

Importing this package does not import torch.
"""

from ecoml.training.images.catalogue import available_data
from ecoml.training.images.training import CnnTraining

__all__ = ["CnnTraining", "available_data"]
