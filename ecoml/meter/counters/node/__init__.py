"""Meters of a whole machine, and of a processor's socket, that the machine itself carries."""

from __future__ import annotations

import math

NODE = "node"
"""Domain of a whole machine: it contains every other, and is never summed with one."""

HIGHEST_W = 20_000.0
"""More than one machine draws; the largest of 2026, with eight GPUs, are rated at 14 kW."""

GAIN = 0.05
"""Half-width of such a meter's own error, as a share: an assumption; makers state from 1 % up, and mostly nothing."""


def plausible_w(power_w: float, highest_w: float = HIGHEST_W) -> float:
    """A power that a machine which runs can draw.

    Raises:
        ValueError: It is none: nothing at all, or what firmware gives where it has no reading (0xffffffff mW is not
            4.29 MW).
    """
    if not (math.isfinite(power_w) and 0 < power_w <= highest_w):
        raise ValueError(f"it reads {power_w:.10g} W, which is no reading of this machine")
    return power_w
