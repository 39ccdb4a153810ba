"""An energy budget for Lightning's Trainer.

    trainer = Trainer(max_epochs=100, callbacks=[ecoml.integrations.LightningBudget(kwh=0.1)])

The training ends after the batch in which the budget is spent, as `trainer.should_stop` has it (Lightning first
completes `min_epochs` and `min_steps` where they are given). The joules go to the trainer's loggers as `energy_j/…`.
"""

from __future__ import annotations

import logging
from typing import Any

try:
    from lightning.pytorch.callbacks import Callback
except ModuleNotFoundError:
    from pytorch_lightning.callbacks import Callback

from ecoml.budget import EnergyBudget, energy_budget
from ecoml.format import describe_spent
from ecoml.integrations.figures import energy_figures
from ecoml.meter.base import Meter

log = logging.getLogger("ecoml")


class LightningBudget(Callback):  # type: ignore[misc, unused-ignore]
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
        self._given = kwh, j, meter
        self.budget = self._new_budget()
        self._opened = False

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """A fit begins."""
        del trainer, pl_module
        if stage == "fit":
            self.budget = self._new_budget().__enter__()
            self._opened = True

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        """Stop if nothing is left; log at the trainer's own pace."""
        stop = self.budget.exhausted and not trainer.should_stop
        if stop or (trainer.global_step + 1) % trainer.log_every_n_steps == 0:
            self._log(trainer)
        if stop:
            trainer.should_stop = True
            log.info("the energy budget is spent: %s", describe_spent(self.budget.energy, self.budget.budget_j))

    def on_train_epoch_end(self, trainer: Any, *_: Any) -> None:
        """Log."""
        self._log(trainer)

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """The fit is over, or has failed."""
        del trainer, pl_module, stage
        self._close()

    def on_exception(self, *_: Any) -> None:
        """The fit has failed."""
        self._close()

    def _close(self) -> None:
        if self._opened:
            self._opened = False
            self.budget.__exit__(None, None, None)

    def _log(self, trainer: Any) -> None:
        for logger in trainer.loggers:
            logger.log_metrics(energy_figures(self.budget.energy), step=trainer.global_step)

    def _new_budget(self) -> EnergyBudget:
        kwh, j, meter = self._given
        return energy_budget(kwh, j=j, hard=False, meter=meter)
