"""Result: the outcome of a search, and its energy."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecoml.endings import SearchEnd
from ecoml.limits import Limits
from ecoml.metric import ACCURACY, Metric
from ecoml.pareto import front_indices
from ecoml.run.account import EnergyAccount, account_of
from ecoml.run.choice.recommendation import (
    Beliefs,
    beliefs_of,
    default_trial,
    frugal,
    near_ties,
    recommend,
    tolerance,
)
from ecoml.run.folder import LEDGER, read_settings
from ecoml.run.models import kept_models
from ecoml.run.rows import data_frame, point_rows, trial_rows
from ecoml.run.storage.snapshot import Progress, Snapshot, read_snapshot
from ecoml.trial import Point, Trial
from ecoml.views import chart_of, html_of

if TYPE_CHECKING:
    import pandas

__all__ = ["EnergyAccount", "Result", "front_of", "recommend", "result_of", "tolerance"]


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of a search.

    Attributes:
        trials: All trials, in order.
        front: The trials, each up to one point of its curve, that no other beats on both score and energy; cheapest
            first. A trial may appear more than once, with different `step`. None took more than
            `limits.max_energy_per_training_j`, or exceeds the limits on predictions.
        recommended: The trial with the best expected true score, or the space's default if it is expected to be worse
            by no more than `default_margin`. For trials that nearly tie, the expectation uses their curves and similar
            trainings. It is on the front, or the end of a training that measured as well.
        frugal: The cheapest trial that is at most one hundredth of the score's range worse than the recommended one.
        beliefs: The expected scores of the near ties; empty while the search runs.
        default_margin: If the space's default is recommended although another trial is expected to be better: how much
            better it would have to be; else None.
        energy: The energy account.
        progress: All measurements in order, with the energy that the search had spent by then.
        ended: Why the search ended; None while it runs.
        metric: The metric of the scores.
        settings: The content of `run.toml`.
        directory: The run folder.
    """

    trials: tuple[Trial, ...]
    front: tuple[Trial, ...]
    recommended: Trial | None
    frugal: Trial | None
    beliefs: Beliefs = field(repr=False)
    default_margin: float | None
    energy: EnergyAccount
    progress: tuple[Progress, ...] = field(repr=False)
    ended: SearchEnd | None
    metric: Metric
    settings: Mapping[str, Any] = field(repr=False)
    directory: Path

    @classmethod
    def load(cls, directory: str | Path, **limits: Any) -> Result:
        """The result of a run folder; its search may be running.

        Args:
            directory: The run folder.
            **limits: Limits for the choice of a model, which replace those of the search: `max_latency_s=0.002`.

        Raises:
            RunFolderError: The folder is no run folder, or of a newer version.
            UsageError: There is no such limit, or a value is not valid.
        """
        path = Path(directory)
        settings = read_settings(path)
        snapshot = read_snapshot(path / LEDGER, metric_of(settings))
        given = {name: value for name, value in limits.items() if value is not None}
        if not given:
            return result_of(snapshot, settings, path)
        settings = {**settings, "limits": Limits.of({**settings.get("limits", {}), **given}).to_dict()}
        kept = {(model.trial, model.step) for model in kept_models(path)}
        return result_of(snapshot, settings, path, kept if limits_of(settings).of_use else None)

    @property
    def choices(self) -> tuple[Trial, ...]:
        """The front and, if it is not on it, the recommended trial; cheapest first."""
        best = self.recommended
        if best is None or best in self.front:
            return self.front
        return tuple(sorted((*self.front, best), key=lambda trial: trial.energy_j))

    @property
    def problem(self) -> str:
        """Short name of the training."""
        return str(self.settings["run"]["problem"])

    @property
    def strategy(self) -> str:
        """The strategy's name."""
        return str(self.settings["run"]["strategy"])

    @property
    def seed(self) -> int:
        """The seed."""
        return int(self.settings["run"]["seed"])

    @property
    def limits(self) -> Limits:
        """The limits of the search."""
        return limits_of(self.settings)

    @property
    def complete(self) -> bool:
        """Whether the search came to its end."""
        return self.ended is not None and self.ended.reason.complete

    @property
    def fixed(self) -> frozenset[str]:
        """Names of the parameters that were not searched."""
        parameters = self.settings["space"].get("parameters", {})
        fixed = {name for name, table in parameters.items() if table["type"] == "fixed"}
        return frozenset(fixed | set(self.settings["space"].get("fixed", {})))

    @property
    def nearest_in_use(self) -> Trial | None:
        """The network nearest to the limits on predictions if none satisfies them; None if one does, or none was
        measured.
        """
        if self.front or not self.limits.of_use:
            return None
        shares = {t.number: self.limits.use_share(*cost) for t in self.trials if (cost := t.cost_of_use) is not None}
        return self.trials[min(shares, key=lambda number: shares[number])] if shares else None

    def efficiency(self, *trials: Trial) -> float | None:
        """The least energy of these trials' arithmetic (of all without an argument) as a share of their energy.

        None if unknown.
        """
        ends = [trial.curve[-1] for trial in trials or self.trials if trial.curve]
        floors_j = [end.floor_j for end in ends if end.floor_j is not None]
        taken_j = math.fsum(end.energy_j for end in ends)
        if not ends or taken_j <= 0 or len(floors_j) < len(ends):
            return None
        return math.fsum(floors_j) / taken_j

    def to_dataframe(self, *, points: bool = False) -> pandas.DataFrame:
        """A table of all trials, one row each; with `points`, of all measurements in order.

        The columns are those of `ecoml.run.rows`, among them `score`, `energy_j`, `uncertainty_j`, `provenance`,
        `on_front`, and `config.…` for each parameter.

        Raises:
            UsageError: pandas is not installed.
        """
        if points:
            return data_frame(point_rows(self.trials, self.front, self.progress))
        return data_frame(trial_rows(self.trials, self.front, self.recommended))

    def plot(self, what: str = "front") -> Any:
        """An Altair chart: `front`, `curves`, `energy` or `importance`; see `ecoml.notebook.plots.plot`."""
        return chart_of(self, what)

    def __repr__(self) -> str:
        best = self.recommended
        told = "None" if best is None else f"trial {best.number} step {best.step}, {self.metric.name}={best.score:.4g}"
        return f"<Result: trials={len(self.trials)}, recommended={told}, {self.energy!r}, directory={self.directory}>"

    def _repr_html_(self) -> str:
        return html_of(self)

    def to_dict(self) -> dict[str, Any]:
        """The result as a JSON object."""
        return {
            "directory": str(self.directory),
            "problem": self.problem,
            "strategy": self.strategy,
            "seed": self.seed,
            "metric": self.metric.to_dict(),
            "limits": self.limits.to_dict(),
            "warm_start": self.settings.get("warm_start"),
            "data": self.settings.get("data"),
            "ended": None if self.ended is None else self.ended.to_dict(),
            "energy": self.energy.to_dict(),
            "efficiency": self.efficiency(),
            "recommended": self._trial_dict(self.recommended) if self.recommended else None,
            "default_margin": self.default_margin,
            "frugal": self._trial_dict(self.frugal) if self.frugal else None,
            "front": [self._trial_dict(trial) for trial in self.front],
            "nearest_in_use": None if self.nearest_in_use is None else self._trial_dict(self.nearest_in_use),
            "trials": [
                {
                    **self._trial_dict(trial),
                    "state": trial.state.value,
                    "end": None if trial.end is None else trial.end.to_dict(),
                    "curve": [
                        {**_point_dict(point), "co2e_g": self.energy.co2e.by_step.get((trial.number, point.step))}
                        for point in trial.curve
                    ],
                }
                for trial in self.trials
            ],
        }

    def _belief_dict(self, trial: Trial) -> dict[str, float]:
        believed = self.beliefs.get((trial.number, trial.step))
        return {} if believed is None else {"believed_score": self.metric.utility(believed)}

    def _trial_dict(self, trial: Trial) -> dict[str, Any]:
        return {
            "trial": trial.number,
            "step": trial.step,
            "score": trial.score,
            **self._belief_dict(trial),
            "details": dict(trial.curve[-1].details) if trial.curve else {},
            "test_score": trial.test_score,
            "test_details": dict(trial.test_details),
            "usage": None if trial.usage is None else trial.usage.to_dict(),
            **trial.energy.to_dict(),
            "efficiency": self.efficiency(trial) if trial.curve else None,
            "config": dict(trial.config),
        }


def result_of(
    snapshot: Snapshot, settings: Mapping[str, Any], directory: Path, among: Collection[tuple[int, int]] | None = None
) -> Result:
    """The result of a ledger's content.

    Args:
        snapshot: The content.
        settings: The content of `run.toml`.
        directory: The run folder.
        among: Trials and steps to choose from; None: those whose models the search saved.
    """
    metric, limits = metric_of(settings), limits_of(settings)
    front = front_of(snapshot.trials, limits, among)
    default = None
    if front and snapshot.ended is not None:
        from ecoml.space.schema import space_of  # pydantic takes a while to import

        space = space_of(settings["space"], where=str(directory))
        default = default_trial(snapshot.trials, space, limits, metric)
    ties = near_ties(snapshot.trials if among is None else (), front, limits, metric, default)
    for trial in (*front, *ties):
        trial.test_score, trial.test_details = snapshot.tests.get((trial.number, trial.step), (None, {}))
        trial.usage = snapshot.usages.get((trial.number, trial.step), trial.usage if limits.of_use else None)
    beliefs = beliefs_of(snapshot.settings.get("beliefs", ()))
    recommended = recommend(ties, beliefs, default)
    return Result(
        trials=tuple(snapshot.trials),
        front=front,
        recommended=recommended,
        frugal=frugal(ties, tolerance(front, metric) if front else 0.0, beliefs, default),
        beliefs=beliefs,
        default_margin=None if default is None or recommended == recommend(ties, beliefs) else default.margin,
        energy=replace(account_of(snapshot), pretrained=_pretrained(snapshot.trials, settings)),
        progress=tuple(snapshot.progress),
        ended=snapshot.ended,
        metric=metric,
        settings=settings,
        directory=directory,
    )


def _pretrained(trials: Sequence[Trial], settings: Mapping[str, Any]) -> tuple[str, ...]:
    if settings.get("executor", {}).get("kind") != "cnn":
        return ()
    return tuple(sorted({str(trial.config.get("backbone", "none")) for trial in trials} - {"none"}))


def metric_of(settings: Mapping[str, Any]) -> Metric:
    """The metric of a run, from its `run.toml`."""
    return Metric.of(settings["metric"]) if "metric" in settings else ACCURACY


def limits_of(settings: Mapping[str, Any]) -> Limits:
    """The limits of a run, from its `run.toml`."""
    return Limits.of(settings.get("limits", {}))


def front_of(
    trials: Sequence[Trial], limits: Limits | None = None, among: Collection[tuple[int, int]] | None = None
) -> tuple[Trial, ...]:
    """The points of all curves that no other beats on both score and energy, cheapest first, as trials up to there.

    Points with more joules than a training may take, networks that exceed the limits on predictions, and points that
    are not in `among` are ignored.
    """
    limits = limits or Limits()
    usable = [trial for trial in trials if limits.allows_use(trial.cost_of_use)]
    points = [(trial, point) for trial in usable for point in trial.curve]
    if limits.max_energy_per_training_j is not None:
        points = [(trial, point) for trial, point in points if limits.allows_j(point.energy_j)]
    if among is not None:
        points = [(trial, point) for trial, point in points if (trial.number, point.step) in among]
    chosen = front_indices([point.utility for _, point in points], [point.energy_j for _, point in points])
    return tuple(points[index][0].at(points[index][1].step) for index in chosen)


def _point_dict(point: Point) -> dict[str, Any]:
    return {"step": point.step, "score": point.score, **point.energy.to_dict(), "spent_j": point.spent_j}
