"""One training step of a network, as a whole and layer by layer.

Each layer is executed alone, forward and backward, with its input from a real pass. The difference between the entire
step and its parts is listed as `between the layers`: operations that belong to no layer, and effects of layers on each
other (caches; on a GPU, gaps between kernels). It is negative if layers cost more alone than side by side.
"""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ecoml.energy import Provenance
from ecoml.experiments.profile.layers import Layer, layers_of, without_inplace
from ecoml.experiments.profile.measure import BlockCost, BlockMeter, Task, cost, measure, together
from ecoml.experiments.profile.memory import keep_freed_memory
from ecoml.training.images.settings import Settings
from ecoml.training.images.steps.recipe import WeightOptimiser
from ecoml.training.images.worker.device import has_bf16

NOTHING = cost(0.0, 0.0, Provenance.MEASURED, 0.0)


@dataclass(frozen=True, slots=True)
class LayerCost:
    """The cost of a layer in one step.

    Attributes:
        name: Its path in the network.
        kind: Its kind.
        forward: Its forward pass.
        backward: Its backward pass.
        flop: FLOP of its forward pass.
        moved_b: Bytes that a forward pass moves at least.
    """

    name: str
    kind: str
    forward: BlockCost
    backward: BlockCost
    flop: int
    moved_b: int

    @property
    def both(self) -> BlockCost:
        """Forward and backward."""
        return together([self.forward, self.backward])


@dataclass(frozen=True, slots=True)
class Profile:
    """The cost of one training step.

    Attributes:
        layers: The layers in the order of the forward pass.
        loss: The loss, forward and backward.
        optimiser: The update of the weights.
        step: The entire step, measured as one.
        batch: Images per step.
        provenance: Provenance of the joules.
        device: The device, in words.
    """

    layers: tuple[LayerCost, ...]
    loss: BlockCost
    optimiser: BlockCost
    step: BlockCost
    batch: int
    provenance: Provenance
    device: str

    @property
    def parts(self) -> BlockCost:
        """All layers, the loss and the optimiser together."""
        return together([*(layer.both for layer in self.layers), self.loss, self.optimiser])

    @property
    def between(self) -> BlockCost:
        """The cost of the entire step beyond its parts."""
        parts = self.parts
        width_j = math.hypot(self.step.uncertainty_j, parts.uncertainty_j)
        return cost(self.step.energy_j - parts.energy_j, width_j, self.provenance, self.step.time_s - parts.time_s)


def profile_step(
    network: nn.Module,
    images: Tensor,
    classes: int,
    gauge: BlockMeter,
    *,
    settings: Settings | None = None,
    blocks: int = 9,
) -> Profile:
    """Measure a training step.

    Args:
        network: From images to logits N×classes; a copy of it is used.
        images: N×C×H×W on the device.
        classes: Number of classes.
        gauge: Measures a block.
        settings: The settings of the optimiser; None: ecoml's own defaults.
        blocks: Blocks per part.
    """
    keep_freed_memory()
    device = images.device
    # The settings' learning rate is never set, so that weights stay what they are however often they are updated.
    network = without_inplace(copy.deepcopy(network)).to(device).train()
    images = images.contiguous(memory_format=torch.channels_last)  # as in the training
    labels = torch.arange(len(images), device=device) % classes
    precision = _precision(device)
    optimiser = WeightOptimiser(settings or Settings(), network)

    def forward() -> Tensor:
        with precision():
            logits: Tensor = network(images)
        return logits

    def step() -> None:
        optimiser.clear()
        torch.autograd.backward((cross_entropy(forward().float(), labels),))
        optimiser.step()

    step()  # it leaves gradients behind, for the optimiser alone
    with precision():
        layers = layers_of(network, images, lambda logits: cross_entropy(logits.float(), labels))
    tasks: dict[str, Task] = {"step": step, "optimiser": optimiser.step, "loss": _loss(forward(), labels)}
    for index, layer in enumerate(layers):
        tasks[f"forward {index}"] = _forward(layer, precision)
        if (backward := _backward(layer, precision)) is not None:
            tasks[f"backward {index}"] = backward
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    found = measure(tasks, gauge, finish=wait, blocks=blocks)
    costs = tuple(
        LayerCost(
            layer.name,
            layer.kind,
            found[f"forward {index}"],
            found.get(f"backward {index}", NOTHING),
            layer.flop,
            layer.moved_b,
        )
        for index, layer in enumerate(layers)
    )
    threads = f"{torch.get_num_threads()} thread{'s' if torch.get_num_threads() > 1 else ''}"
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {threads}"
    return Profile(costs, found["loss"], found["optimiser"], found["step"], len(images), gauge.provenance, where)


def _precision(device: torch.device) -> Callable[[], contextlib.AbstractContextManager[Any]]:
    if has_bf16(device):
        return lambda: torch.autocast(device.type, torch.bfloat16)
    return contextlib.nullcontext


def _forward(layer: Layer, precision: Callable[[], contextlib.AbstractContextManager[Any]]) -> Task:
    def run() -> None:
        with precision():
            layer.module(layer.given)

    return run


def _backward(layer: Layer, precision: Callable[[], contextlib.AbstractContextManager[Any]]) -> Task | None:
    """Its backward pass; None if nothing in it needs a gradient."""
    with precision():
        output = layer.module(layer.given)
    weights = [weight for weight in layer.module.parameters() if weight.requires_grad]
    wanted = [layer.given, *weights] if layer.given.requires_grad else weights
    if not wanted or not layer.gradients:
        return None
    return lambda: torch.autograd.grad((output,), wanted, (layer.gradients[0],), retain_graph=True)


def _loss(logits: Tensor, labels: Tensor) -> Task:
    given = logits.detach().requires_grad_(True)

    def run() -> None:
        torch.autograd.grad((cross_entropy(given.float(), labels),), (given,))

    return run
