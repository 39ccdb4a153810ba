"""Whether the kernels can be used on a device: tried once, because Triton needs a compiler and a folder to write to."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Kernels:
    """The kernels of this package, see there."""

    fits: Callable[[Tensor], bool]
    fits_norm: Callable[[Tensor, nn.BatchNorm2d], bool]
    pooled: Callable[[Tensor], Tensor]
    normed: Callable[..., Tensor]
    convolved: Callable[[Tensor, Tensor], Tensor]


def kernels_of(images: Tensor) -> Kernels | None:
    """The kernels for images on a GPU that computes in bfloat16; None if they cannot be used there."""
    usable = images.is_cuda and torch.is_autocast_enabled("cuda") and not torch.compiler.is_compiling()
    return _loaded()[0] if usable else None


def refused() -> str:
    """Why the kernels cannot be used on this process's GPU; empty if they can."""
    return _loaded()[1]


@functools.cache
def _loaded() -> tuple[Kernels | None, str]:
    try:
        from ecoml.training.images.kernels.columns import convolved
        from ecoml.training.images.kernels.pooled import fits, fits_norm, normed, pooled

        with torch.no_grad():
            few = torch.ones(2, 8, 2, 2, device="cuda", dtype=torch.bfloat16)
            pooled(few.contiguous(memory_format=torch.channels_last))
    except torch.AcceleratorError:
        raise
    except Exception as error:  # whatever Triton lacks: PyTorch's kernels do the same, more slowly
        return None, f"{type(error).__name__}: {error}".partition("\n")[0]
    return Kernels(fits, fits_norm, pooled, normed, convolved), ""
