"""A search in MLflow: a run for the search, and within it one for each trial.

ecoml search --budget-kwh 0.1 --track mlflow        # at MLFLOW_TRACKING_URI, else MLflow's default
"""

from __future__ import annotations

from typing import Any

from mlflow.entities import RunStatus
from mlflow.tracking import MlflowClient

from ecoml.integrations.records import account_figures, best_of, files_of, point_figures, settings_of
from ecoml.run.result import Result
from ecoml.trial import Trial, TrialState

_PARENT = "mlflow.parentRunId"
_STATUS = {TrialState.FAILED: RunStatus.FAILED, TrialState.STOPPED: RunStatus.KILLED}


class MLflowTracker:
    """Records parameters, curves, joules, and the front's models as artifacts.

    Args:
        tracking_uri: The tracking server; default: MLflow's setting.
        experiment: Name of the experiment; default: the name of the training.
        artifacts: Whether models, page and settings are uploaded.
    """

    def __init__(
        self, tracking_uri: str | None = None, *, experiment: str | None = None, artifacts: bool = True
    ) -> None:
        self._client = MlflowClient(tracking_uri)
        self._experiment = experiment
        self._artifacts = artifacts
        self._metric = ""
        self._experiment_id = self._run = ""
        self._trials: dict[int, str] = {}  # trial → its run

    def on_start(self, result: Result) -> None:
        self._metric = result.metric.name
        name = self._experiment or result.problem
        found = self._client.get_experiment_by_name(name)
        self._experiment_id = self._client.create_experiment(name) if found is None else found.experiment_id
        self._run = self._begin(result.directory.name, {"ecoml": "search"}, settings_of(result))

    def on_trial(self, trial: Trial) -> None:
        if trial.number not in self._trials:
            tags = {_PARENT: self._run, "ecoml": "trial"}
            self._trials[trial.number] = self._begin(f"trial {trial.number}", tags, dict(trial.config))
        if trial.state.ended:
            run = self._trials[trial.number]
            if trial.end is not None:
                self._client.set_tag(run, "end", trial.end.reason.value)
            self._client.set_tag(run, "provenance", trial.energy.provenance.value)
            self._client.set_terminated(run, RunStatus.to_string(_STATUS.get(trial.state, RunStatus.FINISHED)))

    def on_measurement(self, trial: Trial) -> None:
        point = trial.curve[-1]
        for name, value in point_figures(trial, self._metric).items():
            self._client.log_metric(self._trials[trial.number], name, value, step=point.step)
        self._client.log_metric(self._run, "spent_j", point.spent_j, step=round(1000 * point.spent_j))

    def on_end(self, result: Result) -> None:
        for name, value in {**account_figures(result), **best_of(result)}.items():
            self._client.log_metric(self._run, name, value)
        self._client.set_tag(self._run, "provenance", result.energy.provenance.value)
        if self._artifacts:
            for path in files_of(result):
                folder = path.parent.relative_to(result.directory).as_posix()
                self._client.log_artifact(self._run, str(path), None if folder == "." else folder)
        self._client.set_terminated(self._run, "FINISHED" if result.complete else "KILLED")

    def _begin(self, name: str, tags: dict[str, str], parameters: dict[str, Any]) -> str:
        run = str(self._client.create_run(self._experiment_id, run_name=name, tags=tags).info.run_id)
        for key, value in parameters.items():
            self._client.log_param(run, key, str(value)[:500])
        return run
