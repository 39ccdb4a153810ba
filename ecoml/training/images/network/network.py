"""The network: convolution stages, a head, and linear layers, in the shape that a plan describes; or the user's own.

Shapes: images N×C×H×W, uint8 or float in [0, 1]; logits N×classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from ecoml.training.images.kernels.use import kernels_of
from ecoml.training.images.network.form import form_of
from ecoml.training.images.network.own import default_dtype
from ecoml.training.images.network.plan import Block, Plan, Shape
from ecoml.training.images.settings import NO_BACKBONE, Settings

if TYPE_CHECKING:
    from ecoml.training.images.network.pretrained import Pretrained

# Trainings are short, and each epoch's network may be the one taken home: with torch's 0.1 the running statistics lag
# behind the weights (digits, nine steps an epoch, mean of 4: .48 after the first epoch, against .62 with 0.3).
_BATCH_NORM_MOMENTUM = 0.3

_FEW_CHANNELS = 4
"""Channels of images: for so few cuDNN's kernels are slow (docs/results/gpu.md)."""

_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": lambda: nn.ReLU(inplace=True),
    "gelu": nn.GELU,
    "silu": lambda: nn.SiLU(inplace=True),
    "none": nn.Identity,
}


class Network(nn.Module):
    """A CNN that normalises its own input, and scales it to the resolution on which it was trained.

    Args:
        settings: The settings of its training, which also describe its body unless `body` is given.
        shape: Channels, height and width of its images.
        classes: Name of each class, in the order of the logits.
        body: The user's own module, from normalised images N×C×H×W to logits.

    Attributes:
        sides: Height and width of the body's input; images are scaled to it.
        batch_flops: FLOP of one batch's forward pass; infinite for a body of the user's own, because it is unknown.
    """

    def __init__(self, settings: Settings, shape: Shape, classes: Sequence[str], body: nn.Module | None = None) -> None:
        super().__init__()
        self.settings = settings
        self.shape = shape
        self.sides = settings.sides_of(shape[1:])
        self.classes = tuple(classes)
        self.mean: Tensor
        self.std: Tensor
        self.batch_flops = math.inf
        if body is None:
            form = form_of(settings, shape, len(self.classes))
            self.batch_flops, body = form.flops() * settings.batch_size, _body(form, settings)
        floats = (weights.dtype for weights in body.parameters() if weights.is_floating_point())
        dtype = torch.promote_types(torch.float32, next(floats, torch.float32))  # float64 where the caller's is
        self.register_buffer("mean", torch.zeros(shape[0], 1, 1, dtype=dtype))
        self.register_buffer("std", torch.ones(shape[0], 1, 1, dtype=dtype))
        for buffer in body.buffers():
            if buffer.layout is torch.strided and 0 in buffer.stride():  # expanded: nothing could be loaded into it
                buffer.data = buffer.contiguous()
        self.body = body
        self.to(memory_format=torch.channels_last)

    @property
    def pretrained(self) -> Pretrained | None:
        """The body, if it is a backbone of torchvision with its head."""
        return None if self.settings.backbone == NO_BACKBONE else cast("Pretrained", self.body)

    def normalise_by(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Set mean and standard deviation of each channel, for pixels in [0, 1]."""
        self.mean.copy_(torch.tensor(mean).view(-1, 1, 1))
        self.std.copy_(torch.tensor(std).view(-1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Logits N×classes of images N×C×H×W, uint8 or float in [0, 1].

        Raises:
            ValueError: The images have another shape than the training images.
        """
        if tuple(images.shape[1:]) != self.shape:
            raise ValueError(f"images must be N×C×H×W with {self.shape} after N, not {tuple(images.shape)}")
        return self.logits(images if self.sides == self.shape[1:] else scaled(images, self.sides))

    def logits(self, images: Tensor) -> Tensor:
        """As `forward`, for images that have the body's `sides`."""
        values = self._normalised(images)
        with default_dtype(values.dtype):
            logits: Tensor = self.body(values)
        return logits

    def features(self, images: Tensor) -> Tensor:
        """The backbone's features N×F of images that have the body's `sides`."""
        assert self.pretrained is not None, "networks of ours have no separate features"
        return self.pretrained.features_of(self._normalised(images))

    def logits_of_features(self, features: Tensor) -> Tensor:
        """Logits of the features, which are N×F×1×1."""
        assert self.pretrained is not None, "networks of ours have no separate features"
        logits: Tensor = self.pretrained.head(features.flatten(1))
        return logits

    def _normalised(self, images: Tensor) -> Tensor:
        largest = 1.0 if images.is_floating_point() else 255.0
        values = images.contiguous(memory_format=torch.channels_last).to(self.mean.dtype)
        values = values.sub_(self.mean * largest) if values is not images else values - self.mean * largest
        return values.div_(self.std * largest)


def scaled(images: Tensor, sides: tuple[int, int]) -> Tensor:
    """Images N×C×H×W, uint8 or float in [0, 1], scaled to another height and width, rounded to grey levels."""
    largest = 255.0 if images.is_floating_point() else 1.0
    values = images.to(torch.float32) * largest
    values = nn.functional.interpolate(values, size=sides, mode="bilinear", antialias=True, align_corners=False)
    levels = values.round_().clamp_(0, 255)
    return levels / largest if images.is_floating_point() else levels.to(torch.uint8)


class Conv2d(nn.Conv2d):
    """A convolution without bias; on a GPU, that of the images is computed by the kernels of `kernels/columns.py`."""

    def forward(self, images: Tensor) -> Tensor:
        """The convolution of N×C×H×W."""
        first = self.in_channels <= _FEW_CHANNELS and self.groups == 1 and not images.requires_grad
        kernels = kernels_of(images) if first and images.is_contiguous(memory_format=torch.channels_last) else None
        return super().forward(images) if kernels is None else kernels.convolved(images, self.weight)


class Stages(nn.Sequential):
    """Convolution blocks in order; on a GPU, max pooling is computed by the kernels of `kernels/pooled.py`, together
    with a batch norm and a ReLU after it.
    """

    def forward(self, values: Tensor) -> Tensor:
        """The last block's output."""
        looked_at = any(layer._forward_hooks for layer in self)  # someone wants what single layers give
        layers: list[nn.Module | None] = [*self, None, None]
        while (layer := layers.pop(0)) is not None:
            kernels = kernels_of(values) if isinstance(layer, nn.MaxPool2d) and not looked_at else None
            if kernels is None or not kernels.fits(values):
                values = layer(values)
            elif isinstance(norm := layers[0], nn.BatchNorm2d) and kernels.fits_norm(values, norm):
                relu = isinstance(layers[1], nn.ReLU)
                values = kernels.normed(values, norm, relu=relu)
                del layers[: 1 + relu]
            else:
                values = kernels.pooled(values)
        return values


class Residual(nn.Module):
    """Two convolutions with a skip connection, which is a 1×1 convolution if the number of channels changes."""

    def __init__(self, block: Block, activation: str) -> None:
        super().__init__()
        self.first = nn.Sequential(*_convolution(block.inputs, block.outputs, block.kernel, activation))
        self.second = nn.Sequential(*_convolution(block.outputs, block.outputs, block.kernel, "none"))
        changed = block.inputs != block.outputs
        self.skip = nn.Sequential(*_convolution(block.inputs, block.outputs, 1, "none")) if changed else nn.Identity()
        self.activation = _ACTIVATIONS[activation]()

    def forward(self, values: Tensor) -> Tensor:
        activated: Tensor = self.activation(self.second(self.first(values)) + self.skip(values))
        return activated


def _body(form: Plan, settings: Settings) -> nn.Module:
    if settings.backbone != NO_BACKBONE:
        from ecoml.training.images.network.pretrained import Pretrained  # torchvision takes a second to import

        return Pretrained(settings.backbone, settings.frozen == "yes", _head(form, settings))
    body = nn.Sequential()
    body.add_module("features", Stages(*_stages(form, settings.activation)))
    body.add_module("head", _head(form, settings))
    return body


def _stages(form: Plan, activation: str) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for block in form.blocks:
        if block.kind == "residual":
            layers.append(Residual(block, activation))
        elif block.kind == "separable":
            layers += _convolution(block.inputs, block.inputs, block.kernel, activation, groups=block.inputs)
            layers += _convolution(block.inputs, block.outputs, 1, activation, pooled=block.pooled)
        else:
            layers += _convolution(block.inputs, block.outputs, block.kernel, activation, pooled=block.pooled)
        if block.pooled and block.kind == "residual":
            layers.append(nn.MaxPool2d(2))
    return layers


def _convolution(
    inputs: int, outputs: int, kernel: int, activation: str, *, groups: int = 1, pooled: bool = False
) -> list[nn.Module]:
    # The batch norm subtracts the mean, so a bias before it would do nothing.
    layers: list[nn.Module] = [Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False)]
    if pooled:  # before the batch norm, which then has a quarter of the pixels to work on
        layers.append(nn.MaxPool2d(2))
    layers.append(nn.BatchNorm2d(outputs, momentum=_BATCH_NORM_MOMENTUM))
    return layers if activation == "none" else [*layers, _ACTIVATIONS[activation]()]


def _head(form: Plan, settings: Settings) -> nn.Sequential:
    layers: list[nn.Module] = [nn.AdaptiveAvgPool2d(1)] if form.pooled else []
    layers.append(nn.Flatten())
    for number, (inputs, outputs) in enumerate(zip(form.widths, form.widths[1:], strict=False)):
        if number and settings.activation != "none":
            layers.append(_ACTIVATIONS[settings.activation]())
        if settings.dropout:
            layers.append(nn.Dropout(settings.dropout))
        layers.append(nn.Linear(inputs, outputs))
    return nn.Sequential(*layers)
