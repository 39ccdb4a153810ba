"""An energy budget for Hugging Face's Trainer.

    trainer = Trainer(model, args, train_dataset=data, callbacks=[ecoml.integrations.TransformersBudget(kwh=0.1)])

The training ends after the step in which the budget is spent. The logs contain the joules as `energy_j/…`.
"""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback

from ecoml.integrations.figures import energy_figures
from ecoml.integrations.fit_budget import FitBudget


class TransformersBudget(FitBudget, TrainerCallback):  # type: ignore[misc, unused-ignore]
    """Stops a fit at its energy budget, and logs joules; arguments, errors and `budget` as in `FitBudget`."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """A training starts."""
        del args, state, control
        self._begin()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stop and log if the budget is spent."""
        del args, state
        if self._stops(control.should_training_stop):
            control.should_training_stop = control.should_log = True

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        """Add the joules to the logs, and to the trainer's history."""
        del args, control
        figures = energy_figures(self.budget.energy)
        if logs is not None:
            logs.update(figures)
        if state.log_history:
            state.log_history[-1].update(figures)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The training has ended."""
        del args, state, control
        self._end()
