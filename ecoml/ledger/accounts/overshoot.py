"""The energy between two checks of the budget, although the meter is not read at each check."""

from __future__ import annotations


class Overshoot:
    """The energy since the last check.

    Between two readings of the meter, the joules of a stretch are computed from the power of the surrounding readings.

    Args:
        now_s: The start time.
    """

    def __init__(self, now_s: float) -> None:
        self._checked_s = now_s
        self._longest_s: float | None = (
            None  # between two checks since the last reading; None: nobody has checked since
        )
        self._since_j = 0.0

    def checked(self, now_s: float) -> None:
        """The budget was checked."""
        self._longest_s = max(self._longest_s or 0.0, now_s - self._checked_s)
        self._checked_s = now_s

    def read(self, now_s: float, lap_s: float, lap_j: float) -> float:
        """The meter was read: this many joules in this many seconds. Returns the largest energy between two checks."""
        if self._longest_s is None:
            self._since_j += lap_j
            return self._since_j
        power_w = lap_j / lap_s if lap_s > 0 else 0.0
        most_j = self._since_j + min(lap_j, power_w * self._longest_s)
        self._since_j = min(lap_j, power_w * (now_s - self._checked_s))
        self._longest_s = None
        return most_j
