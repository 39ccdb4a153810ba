"""Networks of the user's own: built by the user's function, which cannot change torch's global state."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from ecoml.errors import UsageError
from ecoml.trial import Config

Build = Callable[[dict[str, Any]], nn.Module]
"""Builds the user's network from a configuration."""

_GLOBAL: tuple[tuple[Callable[[], Any], Callable[[Any], Any]], ...] = (
    (torch.get_default_dtype, torch.set_default_dtype),
    (torch.get_default_device, lambda device: torch.set_default_device(None if device.type == "cpu" else device)),
    (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
    (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    (lambda: torch.is_autocast_enabled("cpu"), lambda on: torch.set_autocast_enabled("cpu", on)),
    (lambda: torch.is_autocast_enabled("cuda"), lambda on: torch.set_autocast_enabled("cuda", on)),
)
"""Reads a part of torch's global state; sets it."""


def built(build: Build, config: Config) -> nn.Module:
    """The user's network of a configuration.

    Raises:
        UsageError: The function returned something else.
    """
    with global_state_kept():
        body = build(dict(config))
    if not isinstance(body, nn.Module):
        raise UsageError(f"model returned a {type(body).__name__}; it must return a torch.nn.Module")
    return body


def parameters_of(build: Build, config: Config) -> int:
    """Number of trainable parameters of the user's network of a configuration.

    Raises:
        UsageError: As `built`.
    """
    return sum(weights.numel() for weights in built(build, config).parameters())


@contextlib.contextmanager
def global_state_kept() -> Iterator[None]:
    """Restore torch's global state after the context, in which gradients are recorded."""
    before = [read() for read, _ in _GLOBAL]
    try:
        with torch.inference_mode(mode=False), np.errstate():  # its end restores the mode of gradients too
            yield
    finally:
        for (read, write), value in zip(_GLOBAL, before, strict=True):
            if read() != value:
                write(value)


@contextlib.contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Tensors made inside without a type have this type, as when the network was built."""
    before = torch.get_default_dtype()
    if before == dtype:
        yield
        return
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
