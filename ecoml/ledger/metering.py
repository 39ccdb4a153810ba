"""What a session's joules are read from."""

from __future__ import annotations

from dataclasses import dataclass

from ecoml.meter.base import Meter, Window
from ecoml.meter.idle import Idle


@dataclass(frozen=True, slots=True)
class Metering:
    """What a session's joules are read from.

    Attributes:
        meter: The host's one meter.
        window: Its window over the session.
        opened_s: When that was opened, on `time.monotonic`.
        idle: What the host draws when nothing is done.
    """

    meter: Meter
    window: Window
    opened_s: float
    idle: Idle
