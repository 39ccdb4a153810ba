"""A search in Weights & Biases: one run, in which every measurement is a step.

WANDB_MODE=offline ecoml search --budget-kwh 0.1 --track wandb
"""

from __future__ import annotations

from typing import Any

import wandb

from ecoml.integrations.records import account_figures, best_of, files_of, point_figures, settings_of
from ecoml.run.result import Result
from ecoml.trial import Trial


class WandbTracker:
    """Records settings, curves, joules, a table of the trials, and the front's models as an artifact.

    Args:
        artifacts: Whether models, page and settings are uploaded.
        **options: Options of `wandb.init`: `project`, `entity`, `mode`, …
    """

    def __init__(self, *, artifacts: bool = True, **options: Any) -> None:
        self._artifacts = artifacts
        self._options = options
        self._metric = ""
        self._run: Any = None

    def on_start(self, result: Result) -> None:
        self._metric = result.metric.name
        named = {"project": "ecoml", "name": result.directory.name, "group": result.problem, "dir": result.directory}
        settings = wandb.Settings(console="off", silent=True)
        self._run = wandb.init(**{**named, "config": settings_of(result), "settings": settings, **self._options})
        self._run.define_metric("spent_j")
        self._run.define_metric("*", step_metric="spent_j")

    def on_trial(self, trial: Trial) -> None:
        """Do nothing: the table at the end lists the trials."""

    def on_measurement(self, trial: Trial) -> None:
        point = trial.curve[-1]
        figures = point_figures(trial, self._metric)
        of_trial = {f"trial {trial.number}/{self._metric}": point.score}
        self._run.log({"spent_j": point.spent_j, "trial": trial.number, **figures, **of_trial})

    def on_end(self, result: Result) -> None:
        names = sorted({name for trial in result.trials for name in trial.config})
        head = ["trial", "state", "step", result.metric.name, "energy_j", "energy_uncertainty_j", "provenance", *names]
        table = wandb.Table(columns=head)
        for trial in result.trials:
            energy = trial.energy
            row = [trial.number, trial.state.value, trial.step, trial.score]
            row += [energy.energy_j, energy.uncertainty_j, energy.provenance.value]
            table.add_data(*row, *(trial.config.get(name) for name in names))
        self._run.log({"trials": table})
        self._run.summary.update({**account_figures(result), **best_of(result)})
        if self._artifacts and (files := list(files_of(result))):
            artifact = wandb.Artifact(f"front-{self._run.id}", type="model")
            for path in files:
                artifact.add_file(str(path), path.relative_to(result.directory).as_posix())
            self._run.log_artifact(artifact)
        self._run.finish()
