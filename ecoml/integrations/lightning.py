"""An energy budget for Lightning's Trainer.

    trainer = Trainer(max_epochs=100, callbacks=[ecoml.integrations.LightningBudget(kwh=0.1)])

The training ends after the batch in which the budget is spent, by `trainer.should_stop` (Lightning first completes
`min_epochs` and `min_steps` if they are set). The trainer's loggers receive the joules as `energy_j/…`.
"""

from __future__ import annotations

from typing import Any

try:
    from lightning.pytorch.callbacks import Callback
except ModuleNotFoundError:
    from pytorch_lightning.callbacks import Callback

from ecoml.integrations.figures import energy_figures
from ecoml.integrations.fit_budget import FitBudget


class LightningBudget(FitBudget, Callback):  # type: ignore[misc, unused-ignore]
    """Stops a fit at its energy budget, and logs joules; arguments, errors and `budget` as in `FitBudget`."""

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """A fit starts."""
        del trainer, pl_module
        if stage == "fit":
            self._begin()

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        """Stop if the budget is spent; log as often as the trainer does."""
        stop = self._stops(trainer.should_stop)
        if stop or (trainer.global_step + 1) % trainer.log_every_n_steps == 0:
            self._log(trainer)
        if stop:
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: Any, *_: Any) -> None:
        """Log the joules."""
        self._log(trainer)

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """The fit has ended, or has failed."""
        del trainer, pl_module, stage
        self._end()

    def on_exception(self, *_: Any) -> None:
        """The fit has failed."""
        self._end()

    def _log(self, trainer: Any) -> None:
        for logger in trainer.loggers:
            logger.log_metrics(energy_figures(self.budget.energy), step=trainer.global_step)
