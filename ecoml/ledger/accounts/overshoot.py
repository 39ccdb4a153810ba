"""How much may be spent between two checks of the budget, though the meter is read only now and then."""

from __future__ import annotations


class Overshoot:
    """What was spent since someone last checked.

    Between two readings of the meter the joules of a stretch are taken from the power of the reading around it.

    Args:
        now_s: When that begins.
    """

    def __init__(self, now_s: float) -> None:
        self._checked_s = now_s
        self._longest_s: float | None = (
            None  # between two checks since the last reading; None: nobody has checked since
        )
        self._since_j = 0.0

    def checked(self, now_s: float) -> None:
        """Someone checks."""
        self._longest_s = max(self._longest_s or 0.0, now_s - self._checked_s)
        self._checked_s = now_s

    def read(self, now_s: float, lap_s: float, lap_j: float) -> float:
        """The meter was read: so many joules since so many seconds. The most that was spent between two checks."""
        if self._longest_s is None:
            self._since_j += lap_j
            return self._since_j
        power_w = lap_j / lap_s if lap_s > 0 else 0.0
        most_j = self._since_j + min(lap_j, power_w * self._longest_s)
        self._since_j = min(lap_j, power_w * (now_s - self._checked_s))
        self._longest_s = None
        return most_j
