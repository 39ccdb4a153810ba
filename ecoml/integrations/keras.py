"""An energy budget for Keras.

    model.fit(x, y, epochs=100, callbacks=[ecoml.integrations.KerasBudget(kwh=0.1)])

The training ends after the batch in which the budget is spent. The joules stand in the epoch's logs as `energy_j/…`.
"""

from __future__ import annotations

import logging
from typing import Any

from keras.callbacks import Callback

from ecoml.budget import EnergyBudget, energy_budget
from ecoml.format import describe_spent
from ecoml.integrations.figures import energy_figures
from ecoml.meter.base import Meter

log = logging.getLogger("ecoml")


class KerasBudget(Callback):  # type: ignore[misc, unused-ignore]
    """Stops a fit at its energy budget, and logs joules.

    Args:
        kwh: The budget in kWh, of each fit; evaluation during it is included.
        j: The same in joules; give one of the two.
        meter: A meter of one's own; by default that of this host.

    Raises:
        BudgetError: None or both are given, or no positive number.

    Attributes:
        budget: The budget, with `spent_j`, `remaining_j` and `energy`.
    """

    def __init__(self, kwh: float | None = None, *, j: float | None = None, meter: Meter | None = None) -> None:
        super().__init__()
        self._given = kwh, j, meter
        self.budget = self._new_budget()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """A fit begins."""
        del logs
        self.budget = self._new_budget().__enter__()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Stop if nothing is left."""
        del batch, logs
        if self.budget.exhausted and not self.model.stop_training:
            self.model.stop_training = True
            log.info("the energy budget is spent: %s", describe_spent(self.budget.energy, self.budget.budget_j))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Add the joules to what is logged."""
        del epoch
        if logs is not None:
            logs.update(energy_figures(self.budget.energy))

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """The fit is over."""
        del logs
        self.budget.__exit__(None, None, None)

    def _new_budget(self) -> EnergyBudget:
        kwh, j, meter = self._given
        return energy_budget(kwh, j=j, hard=False, meter=meter)
