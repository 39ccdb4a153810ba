"""The layers of a network, each with its input in a forward pass, and its arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

_KINDS: tuple[tuple[type[nn.Module] | tuple[type[nn.Module], ...], str], ...] = (
    ((nn.Conv1d, nn.Conv2d, nn.Conv3d), "convolution"),
    (nn.Linear, "linear"),
    (nn.ReLU, "ReLU"),
    ((nn.GELU, nn.SiLU, nn.LeakyReLU, nn.Tanh, nn.Sigmoid), "other activation"),
    (nn.modules.batchnorm._BatchNorm, "batch norm"),
    ((nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d), "pooling"),
    ((nn.Flatten, nn.Identity), "reshaping"),
    (nn.Dropout, "dropout"),
)


@dataclass(frozen=True, slots=True)
class Layer:
    """One call of a leaf module.

    Attributes:
        name: Its path in the network, and `#2` for a second call.
        kind: Its kind, in a word.
        module: The module itself.
        given: Its input; it requires a gradient if the network's backward pass computes one for it.
        gradients: The gradient of its output in the backward pass, in the same memory layout (one tensor); empty if
            there was none.
        flop: FLOP of its forward pass: two per multiplication of a convolution or linear layer, one per element of an
            activation, four of a batch norm, and the pixels of a pooling window; 0 if unknown.
        moved_b: Bytes that a forward pass reads and writes at least: input, weights, output.
    """

    name: str
    kind: str
    module: nn.Module
    given: Tensor
    gradients: list[Tensor]
    flop: int
    moved_b: int


def layers_of(network: nn.Module, images: Tensor, loss_of: Callable[[Tensor], Tensor]) -> list[Layer]:
    """Every call of a leaf module in a forward pass, in order, with the gradient from the backward pass.

    Modules with more than one tensor as input or output are left out; their cost remains in that of the entire step.

    Args:
        network: None of its modules may overwrite its input.
        images: Its input.
        loss_of: The loss of its logits.
    """
    found: list[Layer] = []
    seen: dict[str, int] = {}
    names = {module: name for name, module in network.named_modules() if not list(module.children())}

    def note(module: nn.Module, given: tuple[Any, ...], output: Any) -> None:
        if len(given) != 1 or not isinstance(given[0], Tensor) or not isinstance(output, Tensor):
            return
        name = names[module]
        seen[name] = seen.get(name, 0) + 1
        label = name if seen[name] == 1 else f"{name} #{seen[name]}"
        taken = given[0].detach().clone().requires_grad_(given[0].requires_grad)
        gradients: list[Tensor] = []
        if output.requires_grad:
            hook: Any = output.register_hook  # torch gives it no types
            hook(lambda gradient: gradients.append(gradient.detach().clone()))
        arithmetic = flop_of(module, given[0], output), _moved(module, given[0], output)
        found.append(Layer(label, kind_of(module), module, taken, gradients, *arithmetic))

    hooks = [module.register_forward_hook(note) for module in names]
    try:
        torch.autograd.backward((loss_of(network(images)),))
    finally:
        for hook in hooks:
            hook.remove()
    return found


def kind_of(module: nn.Module) -> str:
    """The kind of a module in a word; its class if there is no such word."""
    return next((kind for classes, kind in _KINDS if isinstance(module, classes)), type(module).__name__)


def flop_of(module: nn.Module, given: Tensor, output: Tensor) -> int:
    """FLOP of a forward pass; see `Layer.flop`."""
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        return 2 * output.numel() * module.in_channels // module.groups * math.prod(module.kernel_size)
    if isinstance(module, nn.Linear):
        return 2 * output.numel() * module.in_features
    kind = kind_of(module)
    if kind in ("ReLU", "other activation"):
        return output.numel()
    if kind == "batch norm":
        return 4 * output.numel()
    return given.numel() if kind == "pooling" else 0


def without_inplace(network: nn.Module) -> nn.Module:
    """Make modules that overwrite their input stop doing so, because they are called repeatedly with the same input."""
    for module in network.modules():
        if getattr(module, "inplace", False):
            module.inplace = False  # type: ignore[assignment]
    return network


def _moved(module: nn.Module, given: Tensor, output: Tensor) -> int:
    weights = sum(weight.numel() * weight.element_size() for weight in module.parameters(recurse=False))
    return weights + given.numel() * given.element_size() + output.numel() * output.element_size()
