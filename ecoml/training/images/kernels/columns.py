"""The first convolution as a matrix product: each pixel's neighbours become a row.

    y = rows · weightᵀ,    rows: N·H·W × k²·C, filled up with zeros to a multiple of 16

cuDNN has only slow kernels for one to four input channels.

Shapes: images N×C×H×W, channels_last; weight O×C×k×k; result N×O×H×W, channels_last.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.nn import functional

_MULTIPLE, _TILE = 16, 2048
"""Length of a row is a multiple of this; values that a program writes."""


def convolved(images: Tensor, weight: Tensor) -> Tensor:
    """The convolution, with padding ⌊k/2⌋ and in autocast's precision, of images that need no gradient."""
    count, _, height, width = images.shape
    outputs, kernel = weight.shape[0], weight.shape[2]
    rows = rows_of(images, kernel, torch.get_autocast_dtype("cuda"))
    by_row = weight.permute(0, 2, 3, 1).reshape(outputs, -1)
    by_row = functional.pad(by_row, (0, rows.shape[1] - by_row.shape[1]))
    return functional.linear(rows, by_row).view(count, height, width, outputs).permute(0, 3, 1, 2)


def rows_of(images: Tensor, kernel: int, dtype: torch.dtype) -> Tensor:
    """Each pixel's k×k neighbours, N·H·W × k²·C and zeros, in the order of the kernel's lines, columns, channels."""
    count, channels, height, width = images.shape
    pixels = count * height * width
    length = triton.cdiv(kernel * kernel * channels, _MULTIPLE) * _MULTIPLE
    rows = images.new_empty((pixels, length), dtype=dtype)
    lanes = triton.next_power_of_2(length)
    at_once = max(1, _TILE // lanes)
    _unfold[triton.cdiv(pixels, at_once),](
        images, rows, pixels, height, width,
        CHANNELS=channels, KERNEL=kernel, LENGTH=length, LANES=lanes, PIXELS=at_once,
    )  # fmt: skip
    return rows


def _unfold_kernel(
    images, rows, pixels, height, width,
    CHANNELS: tl.constexpr, KERNEL: tl.constexpr, LENGTH: tl.constexpr, LANES: tl.constexpr, PIXELS: tl.constexpr,
):  # fmt: skip
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    lane = tl.arange(0, LANES)
    down = lane // (KERNEL * CHANNELS) - KERNEL // 2
    right = lane // CHANNELS % KERNEL - KERNEL // 2
    line = (pixel // width % height)[:, None] + down[None, :]
    column = (pixel % width)[:, None] + right[None, :]
    inside = (line >= 0) & (line < height) & (column >= 0) & (column < width)
    inside = inside & (pixel < pixels)[:, None] & (lane < KERNEL * KERNEL * CHANNELS)[None, :]
    neighbour = pixel.to(tl.int64)[:, None] + (down * width + right)[None, :]
    value = tl.load(images + neighbour * CHANNELS + (lane % CHANNELS)[None, :], mask=inside, other=0.0)
    to = rows + pixel.to(tl.int64)[:, None] * LENGTH + lane[None, :]
    tl.store(to, value.to(rows.dtype.element_ty), mask=(pixel < pixels)[:, None] & (lane < LENGTH)[None, :])


_unfold: Any = triton.jit(_unfold_kernel, do_not_specialize=["pixels", "height", "width"])
