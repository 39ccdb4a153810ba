"""Max pooling, batch norm and ReLU in one.

    y = max((maximum of 2×2 pixels of x − mean) · weight / √(variance + ε) + bias, lowest)

lowest: 0 with ReLU, −∞ without. PyTorch's pooling stores eight bytes of position for each value, and its three
functions each read and write all values. Here a training's forward pass has three kernels (pooling with the sums of
batch norm, the statistics, the result), the backward pass three (sums, coefficients, gradient by x), and a prediction
one. No kernel adds atomically, so repeated steps are equal bit for bit.

Shapes: x N×C×H×W, channels_last; y N×C×⌊H/2⌋×⌊W/2⌋.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import triton
from torch import Tensor, nn

from ecoml.training.images.kernels import pooling

_TILE = 2048
"""Pooled values that a program works on at a time."""

_MOST_GROUPS = 256
"""Most groups of programs among which the rows of a sum are divided."""

_KINDS = (torch.bfloat16, torch.float32)


def fits(images: Tensor) -> bool:
    """Whether the kernels can work on these images."""
    return images.dtype in _KINDS and images.is_contiguous(memory_format=torch.channels_last)


def fits_norm(images: Tensor, norm: nn.BatchNorm2d) -> bool:
    """Whether the kernels can compute the norm, too: not if there are too few values for statistics."""
    count, _, height, width = images.shape
    wanted = norm.training or not torch.is_grad_enabled()  # the prediction's kernel has no backward pass
    return count * (height // 2) * (width // 2) > 1 and wanted


def pooled(images: Tensor) -> Tensor:
    """The maxima of 2×2 pixels of images N×C×H×W."""
    result: Tensor = _Pooled.apply(images)
    return result


def normed(images: Tensor, norm: nn.BatchNorm2d, *, relu: bool) -> Tensor:
    """`norm` of the maxima of 2×2 pixels of images N×C×H×W, and its positive part with `relu`.

    In training mode it updates the running statistics of `norm`.
    """
    lowest = 0.0 if relu else -math.inf
    if not norm.training:
        return _predicted(images, norm, lowest)
    result: Tensor = _Normed.apply(images, norm.weight, norm.bias, norm, lowest)
    return result


class _Pooled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor) -> Tensor:
        channels, height, width = images.shape[1:]
        small, which = _results(images)
        rows, tile = small.numel() // channels, _tile(channels)
        programs = _programs(rows, channels, tile)
        pooling.pool[programs](
            images, small, which, None, rows, programs[0], channels, height, width, NORM=False, **tile
        )
        ctx.save_for_backward(which)
        ctx.sides = height, width
        return small

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (which,) = ctx.saved_tensors
        return _spread(gradients[0].contiguous(memory_format=torch.channels_last), which, ctx.sides)


class _Normed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor, norm: nn.BatchNorm2d, lowest: float) -> Tensor:
        channels, height, width = images.shape[1:]
        small, which = _results(images)
        result = torch.empty_like(small)
        rows, tile = small.numel() // channels, _tile(channels)
        programs = _programs(rows, channels, tile)
        groups, of_channels = min(_MOST_GROUPS, programs[0]), programs[1]
        parts = images.new_empty((2, groups, channels), dtype=torch.float32)
        stored = images.new_empty((4, channels), dtype=torch.float32)  # mean, 1 / deviation, scale, bias
        pooling.pool[groups, of_channels](
            images, small, which, parts, rows, groups, channels, height, width, NORM=True, **tile
        )
        pooling.statistics[of_channels,](
            small, parts, stored, weight, bias, norm.running_mean, norm.running_var, norm.num_batches_tracked,
            rows, groups, channels, norm.momentum, norm.eps,
            GROUPS=_MOST_GROUPS, CHANNELS=tile["CHANNELS"],
        )  # fmt: skip
        pooling.scaled[programs](small, stored, result, rows, channels, lowest, **tile)
        ctx.save_for_backward(small, which, stored, weight)
        ctx.sides, ctx.lowest, ctx.groups = (height, width), lowest, groups
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        small, which, stored, weight = ctx.saved_tensors
        given = gradients[0].contiguous(memory_format=torch.channels_last)
        channels, groups = small.shape[1], ctx.groups
        rows, tile = small.numel() // channels, _tile(channels)
        of_channels = triton.cdiv(channels, tile["CHANNELS"])
        parts = stored.new_empty((2, groups, channels))
        of_loss = stored.new_empty((5, channels))  # by weight and bias; factor, offset and slope of the gradient
        pooling.sums[groups, of_channels](given, small, stored, parts, rows, groups, channels, ctx.lowest, **tile)
        pooling.coefficients[of_channels,](
            parts, stored, weight, of_loss, rows, groups, channels, GROUPS=_MOST_GROUPS, CHANNELS=tile["CHANNELS"]
        )
        result = _spread(given, which, ctx.sides, (small, stored, of_loss), ctx.lowest)
        return result, of_loss[0].to(weight.dtype), of_loss[1].to(weight.dtype), None, None


def _predicted(images: Tensor, norm: nn.BatchNorm2d, lowest: float) -> Tensor:
    channels, height, width = images.shape[1:]
    result = _empty(images, (height // 2, width // 2))
    rows, tile = result.numel() // channels, _tile(channels)
    pooling.predict[_programs(rows, channels, tile)](
        images, norm.running_mean, norm.running_var, norm.weight, norm.bias, result,
        rows, channels, height, width, norm.eps, lowest, **tile,
    )  # fmt: skip
    return result


def _spread(
    given: Tensor, which: Tensor, sides: tuple[int, int], of_norm: tuple[Tensor | None, ...] = (), lowest: float = 0.0
) -> Tensor:
    """The gradient by the images, from that by what was made of their maxima."""
    result = _empty(given, sides)
    count, channels = given.shape[:2]
    windows = count * ((sides[0] + 1) // 2) * ((sides[1] + 1) // 2)  # those at odd edges have no maximum
    tile = _tile(channels, most=64)
    small, stored, of_loss = of_norm or (None, None, None)
    pooling.spread[_programs(windows, channels, tile)](
        given, small, which, stored, of_loss, result, windows, channels, *sides, lowest, NORM=bool(of_norm), **tile
    )
    return result


def _tile(channels: int, most: int = 32) -> dict[str, Any]:
    """Pooled pixels and channels of a program: at most `most` channels; each number of them is compiled once."""
    wide = min(most, max(16, triton.next_power_of_2(channels)))
    return {"ALIGNED": channels % 8 == 0, "ROWS": _TILE // wide, "CHANNELS": wide}


def _programs(rows: int, channels: int, tile: dict[str, Any]) -> tuple[int, int]:
    return triton.cdiv(rows, tile["ROWS"]), triton.cdiv(channels, tile["CHANNELS"])


def _results(images: Tensor) -> tuple[Tensor, Tensor]:
    """Empty tensors for the maxima and their places."""
    small = _empty(images, (images.shape[2] // 2, images.shape[3] // 2))
    return small, torch.empty_like(small, dtype=torch.uint8)


def _empty(like: Tensor, sides: tuple[int, int]) -> Tensor:
    shape = (*like.shape[:2], *sides)
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last)
