"""The steps under way: joules reserved for each, joules charged to each so far, and the open rest."""

from __future__ import annotations

from ecoml.ledger.running_sum import RunningSum


class OpenSteps:
    """Joules of the steps under way, by trial.

    Attributes:
        held_j: Reserved joules.
        charged_j: Joules charged since the trial's last step ended, as far as other hosts have reported them.
    """

    def __init__(self) -> None:
        self.held_j: dict[int, float] = {}
        self.charged_j: dict[int, float] = {}
        self._open_j = RunningSum()

    def open_j(self, trial: int) -> float:
        """Joules that are reserved for a trial's step and not charged yet."""
        return max(0.0, self.held_j.get(trial, 0.0) - self.charged_j.get(trial, 0.0))

    def total_j(self, without: int | None = None) -> float:
        """Joules that are reserved and not charged yet, for all trials; `without`: except this one."""
        return self._open_j.total(without)

    def hold(self, trial: int, reserved_j: float) -> None:
        """Reserve this many joules for a trial's step."""
        self.held_j[trial] = reserved_j
        self._open_j.set(trial, self.open_j(trial))

    def release(self, trial: int) -> None:
        """The trial has no running step."""
        if self.held_j.pop(trial, None) is not None:
            self._open_j.set(trial, 0.0)

    def clear(self) -> None:
        """No trial has a running step."""
        for trial in list(self.held_j):
            self.release(trial)

    def charge(self, trial: int, energy_j: float) -> None:
        """Charge further joules to a trial's step."""
        self.charged_j[trial] = self.charged_j.get(trial, 0.0) + energy_j
        self._open_j.set(trial, self.open_j(trial))

    def settle(self, trial: int) -> None:
        """A trial's step has ended: what follows is charged to its next one."""
        if self.charged_j.pop(trial, None) is not None:
            self._open_j.set(trial, self.open_j(trial))
