"""What a step asks of a device that is not the host's: here one that has no data, so that looking at a value fails."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from rigs.images import task
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ecoml.training.images.data.resident import Resident
from ecoml.training.images.network.network import Network
from ecoml.training.images.settings import Settings
from ecoml.training.images.steps.recipe import Average, WeightOptimiser
from ecoml.training.images.steps.step import Batch, Position
from ecoml.training.images.worker.evaluation import confusion, logits_of

RECIPES = {
    "default": {},
    "residual": {"block": "residual", "linear_layers": 2, "dropout": 0.5},
    "separable": {"block": "separable", "activation": "gelu", "head": "flatten"},
    "adamw": {"optimizer": "adamw", "schedule": "averaged", "skip_easy": 0.5},
    "augmented": {"shift": 1, "flip": "yes", "cutout": 2, "momentum": 0.0},
}
COPIES = {torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default}


class Calls(TorchDispatchMode):
    """Writes down what would make the host wait. The fused optimisers do not run without data, and are not called."""

    def __init__(self):
        super().__init__()
        self.waited = []
        self.updated = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        if func.name().startswith("aten::_fused_"):
            assert {value.device.type for value in tensors} == {"meta"}, "the learning rate and all else lie there"
            self.updated += 1
            return None
        found = func(*args, **(kwargs or {}))
        made = [leaf for leaf in tree_leaves(found) if isinstance(leaf, torch.Tensor)]
        if func in COPIES and len({value.device for value in tensors + made}) != 1:
            self.waited.append(func)
        return found


def step_elsewhere(config, body=None):
    """One step of a training on a device without data, and what it called."""
    here, settings = task(), Settings.of({"width": 8, "depth": 2, **config})
    device = torch.device("meta")
    data = Resident(here.train.images.to(device), here.train.labels.to(device))
    there = replace(here, train=data, validation=data, device=device, bf16=False)  # autocast knows no such device
    network = Network(settings, here.shape, here.classes, None if body is None else body()).to(device)
    optimiser, average = WeightOptimiser(settings, network), Average(network)
    position = Position(device, 4, 32)
    batch = Batch(there, network, optimiser, data)
    batch.losses = torch.empty(len(data), device=device)
    with Calls() as calls:
        optimiser.rate = position.rate
        batch(position.advance())
        average.add(position.share)
    return calls


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_step_never_makes_the_host_wait(recipe):
    calls = step_elsewhere(RECIPES[recipe])
    assert calls.waited == []
    assert calls.updated == 2, "weights that decay, and those that do not"


def test_a_model_that_looks_at_values_is_noticed():
    class Looking(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(64, 10)

        def forward(self, images):
            logits = self.layer(images.flatten(1))
            return logits if logits.sum() > 0 else -logits

    with pytest.raises(RuntimeError, match="meta tensors"):
        step_elsewhere({}, Looking)


def test_a_model_that_copies_from_the_host_is_noticed():
    class Copying(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(64, 10)

        def forward(self, images):
            return self.layer(images.flatten(1)) + torch.ones(10, device="cpu").to(images.device)

    assert step_elsewhere({}, Copying).waited == [torch.ops.aten._to_copy.default]


def test_images_that_do_not_fit_are_predicted_in_smaller_batches():
    class Large(torch.nn.Module):
        def __init__(self, most):
            super().__init__()
            self.layer, self.most = torch.nn.Linear(64, 10), most

        def forward(self, images):
            if len(images) > self.most:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 80.00 GiB")
            return self.layer(images.flatten(1))

    here = task()
    found = []
    for most in (10_000, 40):
        torch.manual_seed(0)
        network = Network(Settings.of({}, own_model=True), here.shape, here.classes, Large(most))
        found.append(confusion(logits_of(network, here.validation, here), here.validation).accuracy)
    assert found[0] == found[1]
    with pytest.raises(torch.OutOfMemoryError):
        logits_of(Network(Settings.of({}, own_model=True), here.shape, here.classes, Large(3)), here.validation, here)
