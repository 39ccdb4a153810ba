"""An energy budget for Keras.

    model.fit(x, y, epochs=100, callbacks=[ecoml.integrations.KerasBudget(kwh=0.1)])

The training ends after the batch in which the budget is spent. The epoch's logs contain the joules as `energy_j/…`.
"""

from __future__ import annotations

from typing import Any

from keras.callbacks import Callback

from ecoml.integrations.figures import energy_figures
from ecoml.integrations.fit_budget import FitBudget


class KerasBudget(FitBudget, Callback):  # type: ignore[misc, unused-ignore]
    """Stops a fit at its energy budget, and logs joules; arguments, errors and `budget` as in `FitBudget`."""

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """A fit starts."""
        del logs
        self._begin()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Stop if the budget is spent."""
        del batch, logs
        if self._stops(self.model.stop_training):
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Add the joules to the logs."""
        del epoch
        if logs is not None:
            logs.update(energy_figures(self.budget.energy))

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """The fit has ended."""
        del logs
        self._end()
