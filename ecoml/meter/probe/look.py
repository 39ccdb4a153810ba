"""Observes a reading: how often it changes, and by how much."""

from __future__ import annotations


class Look:
    """The changes of one reading so far."""

    def __init__(self) -> None:
        self._last_j: float | None = None
        self._first_s = self._latest_s = 0.0
        self._changes = self._reads = 0
        self.step_j: float | None = None

    def see(self, energy_j: float, now_s: float) -> None:
        """Process a reading."""
        if self._last_j is not None and energy_j > self._last_j:
            rise_j = energy_j - self._last_j
            self.step_j = rise_j if self.step_j is None else min(self.step_j, rise_j)
            if not self._changes:
                self._first_s, self._reads = now_s, 0
            self._latest_s = now_s
            self._changes += 1
        self._last_j = energy_j
        self._reads += 1

    @property
    def period_s(self) -> float | None:
        """Mean time between two changes; None for fewer than two changes."""
        return (self._latest_s - self._first_s) / (self._changes - 1) if self._changes > 1 else None

    @property
    def is_bound(self) -> bool:
        """Whether most readings showed a new value: updates may then come faster than the readings."""
        return self._changes > 0.6 * self._reads
