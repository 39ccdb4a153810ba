"""The metering of a session."""

from __future__ import annotations

from dataclasses import dataclass

from ecoml.meter.base import Meter, Window
from ecoml.meter.idle import Idle


@dataclass(frozen=True, slots=True)
class Metering:
    """The metering of a session.

    Attributes:
        meter: The host's meter.
        window: Its window over the session.
        opened_s: When the window was opened, on the meter's clock.
        idle: The host's idle power.
    """

    meter: Meter
    window: Window
    opened_s: float
    idle: Idle
