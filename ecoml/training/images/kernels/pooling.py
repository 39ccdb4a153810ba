"""The kernels of `pooled.py`.

Pooled values lie in rows of C values each. A program works on ROWS × CHANNELS of them. ALIGNED says that C is a
multiple of 8; `channels // 8 * 8` tells it to the compiler, which then loads sixteen bytes at once. Sums are divided
among groups of programs, and added in their order.
"""

from __future__ import annotations

from typing import Any

import triton
import triton.language as tl

_SIZES = ["rows", "groups", "channels", "height", "width", "windows"]


def _kernel(function: Any) -> Any:
    """A kernel that is compiled once for all sizes."""
    named = function.__code__.co_varnames[: function.__code__.co_argcount]
    return triton.jit(function, do_not_specialize=[name for name in _SIZES if name in named])


@triton.jit
def _block(first, rows, channels, ROWS: tl.constexpr, CHANNELS: tl.constexpr):
    """The program's rows from `first` on, its channels, and which of them there are: channels, and all."""
    row = first + tl.arange(0, ROWS)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    kept = channel < channels
    return row, channel, kept, (row < rows)[:, None] & kept[None, :]


@triton.jit
def _larger(best, which, value, number):
    better = (value > best) | (value != value)  # as PyTorch: the first of equal ones, and NaN stays
    return tl.where(better, value, best), tl.where(better, number, which)


@triton.jit
def _largest(images, pixels, width, channels, channel, mask):
    """The maximum of 2×2 pixels, and its number, 0 to 3."""
    at = pixels.to(tl.int64)[:, None] * channels + channel[None, :]
    best = tl.load(images + at, mask=mask, other=0.0).to(tl.float32)
    right = tl.load(images + at + channels, mask=mask, other=0.0).to(tl.float32)
    below = tl.load(images + at + width * channels, mask=mask, other=0.0).to(tl.float32)
    across = tl.load(images + at + width * channels + channels, mask=mask, other=0.0).to(tl.float32)
    which = tl.zeros(best.shape, dtype=tl.int32)
    best, which = _larger(best, which, right, 1)
    best, which = _larger(best, which, below, 2)
    return _larger(best, which, across, 3)


@triton.jit
def _corner(row, height, width):
    """The first pixel of a pooled one's window."""
    high, wide = height // 2, width // 2
    image = row // (high * wide)
    inside = row - image * (high * wide)
    return (image * height + 2 * (inside // wide)) * width + 2 * (inside % wide)


@_kernel
def pool(
    images, small, which, parts, rows, groups, channels, height, width,
    NORM: tl.constexpr, ALIGNED: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """Maxima and their places; with NORM a group's sums of values above the first pixel's maximum, and of squares."""
    if ALIGNED:
        channels = channels // 8 * 8
    group = tl.program_id(0)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    kept = channel < channels
    pivot = tl.max(_largest(images, tl.zeros((1,), tl.int32), width, channels, channel, kept[None, :])[0], axis=0)
    total = tl.zeros((CHANNELS,), tl.float32)
    squares = tl.zeros((CHANNELS,), tl.float32)
    for first in range(group * ROWS, rows, groups * ROWS):
        row = first + tl.arange(0, ROWS)
        mask = (row < rows)[:, None] & kept[None, :]
        best, place = _largest(images, _corner(row, height, width), width, channels, channel, mask)
        at = row.to(tl.int64)[:, None] * channels + channel[None, :]
        tl.store(small + at, best.to(small.dtype.element_ty), mask=mask)
        tl.store(which + at, place.to(tl.uint8), mask=mask)
        if NORM:
            apart = tl.where(mask, best - pivot[None, :], 0.0)
            total += tl.sum(apart, axis=0)
            squares += tl.sum(apart * apart, axis=0)
    if NORM:
        tl.store(parts + group * channels + channel, total, mask=kept)
        tl.store(parts + (groups + group) * channels + channel, squares, mask=kept)


@triton.jit
def _added(parts, groups, channels, channel, kept, GROUPS: tl.constexpr):
    """The two sums over all groups."""
    group = tl.arange(0, GROUPS)
    mask = (group < groups)[:, None] & kept[None, :]
    at = group[:, None] * channels + channel[None, :]
    first = tl.sum(tl.load(parts + at, mask=mask, other=0.0), axis=0)
    return first, tl.sum(tl.load(parts + groups * channels + at, mask=mask, other=0.0), axis=0)


@_kernel
def statistics(
    small, parts, stored, weight, bias, running_mean, running_var, tracked,
    rows, groups, channels, momentum, epsilon, GROUPS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """Mean, 1 / deviation, scale and bias of each channel, and the running statistics."""
    channel = tl.program_id(0) * CHANNELS + tl.arange(0, CHANNELS)
    kept = channel < channels
    pivot = tl.load(small + channel, mask=kept).to(tl.float32)  # as in `pool`: the first pixel's maximum
    total, squares = _added(parts, groups, channels, channel, kept, GROUPS)
    apart = total / rows
    variance = tl.maximum(squares / rows - apart * apart, 0.0)
    variance = tl.where(squares != squares, squares, variance)  # a maximum would hide NaN
    mean, inverse = pivot + apart, 1.0 / tl.sqrt(variance + epsilon)
    scale = tl.load(weight + channel, mask=kept) * inverse
    tl.store(stored + channel, mean, mask=kept)
    tl.store(stored + channels + channel, inverse, mask=kept)
    tl.store(stored + 2 * channels + channel, scale, mask=kept)
    tl.store(stored + 3 * channels + channel, tl.load(bias + channel, mask=kept), mask=kept)
    before = tl.load(running_mean + channel, mask=kept)
    tl.store(running_mean + channel, before + momentum * (mean - before), mask=kept)
    before = tl.load(running_var + channel, mask=kept)
    unbiased = variance * (rows / tl.maximum(rows - 1.0, 1.0))
    tl.store(running_var + channel, before + momentum * (unbiased - before), mask=kept)
    if tl.program_id(0) == 0:
        tl.store(tracked, tl.load(tracked) + 1)


@_kernel
def scaled(
    small, stored, result, rows, channels, lowest,
    ALIGNED: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    if ALIGNED:
        channels = channels // 8 * 8
    row, channel, kept, mask = _block(tl.program_id(0) * ROWS, rows, channels, ROWS, CHANNELS)
    at = row.to(tl.int64)[:, None] * channels + channel[None, :]
    value = tl.load(small + at, mask=mask, other=0.0).to(tl.float32)
    _, value = _normed(value, stored, channels, channel, kept)
    value = tl.where(value < lowest, lowest, value)  # a maximum would hide NaN
    tl.store(result + at, value.to(result.dtype.element_ty), mask=mask)


@triton.jit
def _normed(value, stored, channels, channel, kept):
    """The pooled value above the mean, and the norm's output."""
    above = value - tl.load(stored + channel, mask=kept)[None, :]
    scale = tl.load(stored + 2 * channels + channel, mask=kept)
    return above, above * scale[None, :] + tl.load(stored + 3 * channels + channel, mask=kept)[None, :]


@triton.jit
def _arrived(given, small, stored, at, channels, channel, kept, mask, lowest):
    """The gradient by the norm's output, and the pooled value above the mean."""
    gradient = tl.load(given + at, mask=mask, other=0.0).to(tl.float32)
    value = tl.load(small + at, mask=mask, other=0.0).to(tl.float32)
    above, output = _normed(value, stored, channels, channel, kept)
    return tl.where(output <= lowest, 0.0, gradient), above


@_kernel
def sums(
    given, small, stored, parts, rows, groups, channels, lowest,
    ALIGNED: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """A group's sums of the gradient, and of the gradient times the value above the mean."""
    if ALIGNED:
        channels = channels // 8 * 8
    group = tl.program_id(0)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    kept = channel < channels
    total = tl.zeros((CHANNELS,), tl.float32)
    product = tl.zeros((CHANNELS,), tl.float32)
    for first in range(group * ROWS, rows, groups * ROWS):
        row = first + tl.arange(0, ROWS)
        mask = (row < rows)[:, None] & kept[None, :]
        at = row.to(tl.int64)[:, None] * channels + channel[None, :]
        gradient, value = _arrived(given, small, stored, at, channels, channel, kept, mask, lowest)
        total += tl.sum(gradient, axis=0)
        product += tl.sum(gradient * value, axis=0)
    tl.store(parts + group * channels + channel, total, mask=kept)
    tl.store(parts + (groups + group) * channels + channel, product, mask=kept)


@_kernel
def coefficients(parts, stored, weight, of_loss, rows, groups, channels, GROUPS: tl.constexpr, CHANNELS: tl.constexpr):
    """Gradients by weight and bias; the gradient by a pooled value is factor · (g − offset − slope · value)."""
    channel = tl.program_id(0) * CHANNELS + tl.arange(0, CHANNELS)
    kept = channel < channels
    total, product = _added(parts, groups, channels, channel, kept, GROUPS)
    inverse = tl.load(stored + channels + channel, mask=kept)
    tl.store(of_loss + channel, product * inverse, mask=kept)
    tl.store(of_loss + channels + channel, total, mask=kept)
    tl.store(of_loss + 2 * channels + channel, tl.load(weight + channel, mask=kept) * inverse, mask=kept)
    tl.store(of_loss + 3 * channels + channel, total / rows, mask=kept)
    tl.store(of_loss + 4 * channels + channel, product * inverse * inverse / rows, mask=kept)


@_kernel
def spread(
    given, small, which, stored, of_loss, result, windows, channels, height, width, lowest,
    NORM: tl.constexpr, ALIGNED: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """The gradient by the images: that of a pooled value at its maximum's pixel, and zero elsewhere."""
    if ALIGNED:
        channels = channels // 8 * 8
    window, channel, kept, valid = _block(tl.program_id(0) * ROWS, windows, channels, ROWS, CHANNELS)
    high, wide = (height + 1) // 2, (width + 1) // 2
    image = window // (high * wide)
    line = window // wide - image * high
    column = window % wide
    whole = (line < height // 2) & (column < width // 2)
    mask = valid & whole[:, None]
    row = (image * (height // 2) + line) * (width // 2) + column
    at = row.to(tl.int64)[:, None] * channels + channel[None, :]
    if NORM:
        gradient, value = _arrived(given, small, stored, at, channels, channel, kept, mask, lowest)
        factor = tl.load(of_loss + 2 * channels + channel, mask=kept)
        offset = tl.load(of_loss + 3 * channels + channel, mask=kept)
        slope = tl.load(of_loss + 4 * channels + channel, mask=kept)
        gradient = factor[None, :] * (gradient - offset[None, :] - slope[None, :] * value)
    else:
        gradient = tl.load(given + at, mask=mask, other=0.0).to(tl.float32)
    place = tl.load(which + at, mask=mask, other=4).to(tl.int32)
    pixel = (image * height + 2 * line) * width + 2 * column
    to = result + pixel.to(tl.int64)[:, None] * channels + channel[None, :]
    kind: tl.constexpr = result.dtype.element_ty
    right, below = (2 * column + 1 < width)[:, None], (2 * line + 1 < height)[:, None]
    tl.store(to, tl.where(place == 0, gradient, 0.0).to(kind), mask=valid)
    tl.store(to + channels, tl.where(place == 1, gradient, 0.0).to(kind), mask=valid & right)
    tl.store(to + width * channels, tl.where(place == 2, gradient, 0.0).to(kind), mask=valid & below)
    tl.store(to + width * channels + channels, tl.where(place == 3, gradient, 0.0).to(kind), mask=valid & below & right)


@_kernel
def predict(
    images, mean, variance, weight, bias, result, rows, channels, height, width, epsilon, lowest,
    ALIGNED: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    if ALIGNED:
        channels = channels // 8 * 8
    row, channel, kept, mask = _block(tl.program_id(0) * ROWS, rows, channels, ROWS, CHANNELS)
    best, _ = _largest(images, _corner(row, height, width), width, channels, channel, mask)
    scale = tl.load(weight + channel, mask=kept) / tl.sqrt(tl.load(variance + channel, mask=kept) + epsilon)
    above = best - tl.load(mean + channel, mask=kept)[None, :]
    value = above * scale[None, :] + tl.load(bias + channel, mask=kept)[None, :]
    value = tl.where(value < lowest, lowest, value)  # a maximum would hide NaN
    at = row.to(tl.int64)[:, None] * channels + channel[None, :]
    tl.store(result + at, value.to(result.dtype.element_ty), mask=mask)
