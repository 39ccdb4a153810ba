"""Built-in meters of an entire machine, and of a processor's socket."""

from __future__ import annotations

import math

NODE = "node"
"""Domain of the entire machine: it contains every other domain and is never added to one."""

HIGHEST_W = 20_000.0
"""More than any machine draws; the largest of 2026, with eight GPUs, are rated at 14 kW."""

GAIN = 0.05
"""Half-width of such a meter's own error, as a share. This is an assumption: makers state 1 % or more, and most state
nothing.
"""


def plausible_w(power_w: float, highest_w: float = HIGHEST_W) -> float:
    """Check that a running machine can draw this power.

    Raises:
        ValueError: It cannot: it is zero, or the value that firmware returns when it has no reading (0xffffffff mW is
            not 4.29 MW).
    """
    if not (math.isfinite(power_w) and 0 < power_w <= highest_w):
        raise ValueError(f"it reads {power_w:.10g} W, which this machine cannot draw")
    return power_w
