"""An energy budget for Hugging Face's Trainer.

    trainer = Trainer(model, args, train_dataset=data, callbacks=[ecoml.integrations.TransformersBudget(kwh=0.1)])

The training ends after the step in which the budget is spent. The joules stand in the logs as `energy_j/…`.
"""

from __future__ import annotations

import logging
from typing import Any

from transformers import TrainerCallback

from ecoml.budget import EnergyBudget, energy_budget
from ecoml.format import describe_spent
from ecoml.integrations.figures import energy_figures
from ecoml.meter.base import Meter

log = logging.getLogger("ecoml")


class TransformersBudget(TrainerCallback):  # type: ignore[misc, unused-ignore]
    """Stops a training at its energy budget, and logs joules.

    Args:
        kwh: The budget in kWh, of each `train()`; evaluation during it is included.
        j: The same in joules; give one of the two.
        meter: A meter of one's own; by default that of this host.

    Raises:
        BudgetError: None or both are given, or no positive number.

    Attributes:
        budget: The budget, with `spent_j`, `remaining_j` and `energy`.
    """

    def __init__(self, kwh: float | None = None, *, j: float | None = None, meter: Meter | None = None) -> None:
        self._given = kwh, j, meter
        self.budget = self._new_budget()

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """A training begins."""
        del args, state, control
        self.budget = self._new_budget().__enter__()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stop, and log, if nothing is left."""
        del args, state
        if self.budget.exhausted and not control.should_training_stop:
            control.should_training_stop = control.should_log = True
            log.info("the energy budget is spent: %s", describe_spent(self.budget.energy, self.budget.budget_j))

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        """Add the joules to what is logged, and to its history."""
        del args, control
        figures = energy_figures(self.budget.energy)
        if logs is not None:
            logs.update(figures)
        if state.log_history:
            state.log_history[-1].update(figures)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The training is over."""
        del args, state, control
        self.budget.__exit__(None, None, None)

    def _new_budget(self) -> EnergyBudget:
        kwh, j, meter = self._given
        return energy_budget(kwh, j=j, hard=False, meter=meter)
