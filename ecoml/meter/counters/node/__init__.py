"""Built-in meters of an entire machine, and of a processor's socket."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

NODE = "node"
"""Domain of the entire machine: it contains every other domain and is never added to one."""

HIGHEST_W = 20_000.0
"""More than any machine draws; the largest of 2026, with eight GPUs, are rated at 14 kW."""

GAIN = 0.05
"""Half-width of such a meter's own error, as a share. This is an assumption: makers state 1 % or more, and most state
nothing.
"""


@dataclass(frozen=True, slots=True)
class PowerMeter:
    """One power meter.

    Attributes:
        name: Its name, for people.
        domain: The domain it covers; empty for a part of another one.
        read: Returns the power in W; raises OSError or ValueError if it cannot be read.
        averaged_s: The time over which a reading is averaged.
        every_s: Time between two readings.
        patience_s: Longest duration of a reading.
    """

    name: str
    domain: str
    read: Callable[[], float]
    averaged_s: float
    every_s: float
    patience_s: float = 0.0


def plausible_w(power_w: float) -> float:
    """Check that a running machine can draw this power.

    Raises:
        ValueError: It cannot: it is zero, or the value that firmware returns when it has no reading (0xffffffff mW is
            not 4.29 MW).
    """
    if not (math.isfinite(power_w) and 0 < power_w <= HIGHEST_W):
        raise ValueError(f"it reads {power_w:.10g} W, which this machine cannot draw")
    return power_w
