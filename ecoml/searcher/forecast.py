"""What the next step is likely to take of the budget."""

from __future__ import annotations

from statistics import median

from ecoml.trial import Trial

_RECENT = 32


class Forecast:
    """What steps are likely to take, learnt from the steps of this search."""

    def __init__(self) -> None:
        self._first_steps_j: list[float] = []
        self.thinking_j = 0.0

    def learn(self, trial: Trial) -> None:
        """A trial has a new point."""
        if trial.step == 1:
            self._first_steps_j.append(trial.curve[0].energy_j)

    def step_j(self, trial: Trial | None, unknown_j: float = 0.0) -> float:
        """Joules of the next step of `trial`, or of the first step of a new one; `unknown_j` while nothing is known."""
        if trial is not None and trial.curve:
            before_j = trial.curve[-2].energy_j if trial.step > 1 else 0.0
            return trial.curve[-1].energy_j - before_j
        return median(self._first_steps_j[-_RECENT:]) if self._first_steps_j else unknown_j
