"""Backbones of torchvision with weights from the user's disk and a head of our own. Nothing is downloaded.

    backbone = "resnet18"                  a network of `BACKBONES`, without its last linear layer
    weights = "resnet18-f37072fd.pth"      its weights as torchvision gives them: a file, or a folder with one for each
    frozen = "yes"                         only the head is trained; "no" trains everything

The energy of the pretraining is unknown and is in no account.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
import torchvision
from torch import Tensor, nn

from ecoml.training.images.network.plan import Plan, Shape, linear_widths
from ecoml.training.images.network.weights import last_linear, weights_of
from ecoml.training.images.settings import Settings

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of ImageNet's colours, for pixels in [0, 1]; torchvision's weights expect this
scaling.
"""


class Pretrained(nn.Module):
    """A network from pixels in [0, 1], N×1×H×W or N×3×H×W, to logits N×classes.

    Args:
        name: torchvision's name of the backbone.
        frozen: Whether only the head is trained.
        head: Network from the features N×F to logits.

    Attributes:
        name: torchvision's name of the backbone.
        last: Name of the backbone's last linear layer, which is left out.
    """

    def __init__(self, name: str, frozen: bool, head: nn.Module) -> None:
        super().__init__()
        self.name = name
        self.frozen = frozen
        with torch.device("meta"):  # what torchvision draws would be replaced at once
            self.features: nn.Module = torchvision.models.get_model(name, weights=None)
        self.last = last_linear(self.features)
        self.features.set_submodule(self.last, nn.Identity())
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1))
        self.head = head
        self.features.requires_grad_(not frozen)

    def forward(self, values: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features_of(values))
        return logits

    def features_of(self, values: Tensor) -> Tensor:
        """The backbone's features N×F of pixels in [0, 1]."""
        features: Tensor = self.features((values.expand(-1, 3, -1, -1) - self.mean) / self.std)
        return features

    def train(self, mode: bool = True) -> Pretrained:
        """As for any module; the batch norms of a frozen backbone keep their statistics."""
        super().train(mode)
        self.features.train(mode and not self.frozen)
        return self

    def take(self, weights: str) -> None:
        """Load the backbone's weights from a file, or from a folder that contains them.

        Raises:
            UsageError: The file is missing, cannot be read, or belongs to another network.
        """
        self.features.load_state_dict(weights_of(self.name, weights), assign=True)
        self.features.float().to(memory_format=torch.channels_last).requires_grad_(not self.frozen)


@dataclass(frozen=True, slots=True)
class PretrainedPlan(Plan):
    """The plan of a network with a backbone, counted on a network without memory.

    Attributes:
        backbone: Its name.
        frozen: Whether only the head is trained.
        once: Whether the backbone processes each image once per training.
    """

    backbone: str = ""
    frozen: bool = True
    once: bool = True

    @property
    def parameters(self) -> int:
        return _counted(self.backbone, self.shape[1:])[0] + self.linear_parameters

    @property
    def activations(self) -> int:
        """Numbers stored for the backward pass; a frozen backbone needs none."""
        _, _, largest, all_of_them = _counted(self.backbone, self.shape[1:])
        return (2 * largest if self.frozen else all_of_them) + 2 * sum(self.widths)

    def flops(self, sides: tuple[int, int] | None = None) -> int:
        return _counted(self.backbone, sides or self.shape[1:])[1] + self.linear_flops

    def training_flops(self, sides: tuple[int, int], epochs: int, train: int, validation: int) -> int:
        """FLOP of a training; a frozen backbone has only forward passes: one per image, or one per epoch with
        augmentation.
        """
        if not self.frozen:
            return super(PretrainedPlan, self).training_flops(sides, epochs, train, validation)
        passes = (1 if self.once else epochs) * _counted(self.backbone, sides)[1]
        return passes * (train + validation) + epochs * self.linear_flops * (3 * train + validation)

    @property
    def convolutions(self) -> int:
        return _convolutions(self.backbone)

    def evaluation_bytes(self, batch: int) -> int:
        return 4 * (self.parameters + 2 * batch * _counted(self.backbone, self.shape[1:])[2])


def pretrained_plan(settings: Settings, shape: Shape, classes: int) -> PretrainedPlan:
    """The plan of the network that `settings` with a backbone describe."""
    widths = linear_widths(settings, _features(settings.backbone), classes)
    shape = (shape[0], *settings.sides_of(shape[1:]))
    frozen, once = settings.frozen == "yes", settings.keeps_features
    return PretrainedPlan(shape, (), False, widths, settings.backbone, frozen, once)


@lru_cache
def _bare(backbone: str) -> Pretrained:
    with torch.device("meta"):
        return Pretrained(backbone, True, nn.Identity()).eval()


def _features(backbone: str) -> int:
    return int(_bare(backbone)(torch.empty(1, 3, 64, 64, device="meta")).shape[1])


def _convolutions(backbone: str) -> int:
    return sum(isinstance(part, nn.Conv2d) for part in _bare(backbone).modules())


@lru_cache
def _counted(backbone: str, sides: tuple[int, int]) -> tuple[int, int, int, int]:
    """Parameters, FLOP of an image, and numbers that the largest part and all parts together leave in memory."""
    from torch.utils.flop_counter import FlopCounterMode

    network, sizes = _bare(backbone), [3 * math.prod(sides)]

    def count(_part: nn.Module, _given: Any, made: Any) -> None:
        sizes.append(made.numel())

    leaves = [part for part in network.features.modules() if not list(part.children())]
    hooks = [part.register_forward_hook(count) for part in leaves]
    with FlopCounterMode(display=False) as counted:
        network(torch.empty(1, 3, *sides, device="meta"))
    for hook in hooks:
        hook.remove()
    parameters: Iterable[int] = (weights.numel() for weights in network.parameters())
    return sum(parameters), counted.get_total_flops(), max(sizes), sum(sizes)
