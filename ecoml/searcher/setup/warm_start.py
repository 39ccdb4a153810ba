"""Warm start: the trials of another run, copied into this run's folder, so that it needs no other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from ecoml.endings import TrialEnd
from ecoml.energy import Energy, Provenance, comparable, energy_of, weakest
from ecoml.errors import SpaceError, UsageError
from ecoml.metric import Metric
from ecoml.run.folder import LEDGER, read_settings
from ecoml.run.result import metric_of
from ecoml.run.storage.snapshot import read_snapshot
from ecoml.space import Space
from ecoml.trial import Point, Trial, TrialState

FILE = "warm-start.json"


@dataclass(frozen=True, slots=True)
class WarmStart:
    """The trials of another run, which only inform the strategy.

    Attributes:
        run: That run's folder.
        problem: Name of its training.
        trials: Its trials within this space, all ended, numbered from -len(trials) to -1.
        left_out: Number of its trials with values outside this space.
    """

    run: str
    problem: str
    trials: tuple[Trial, ...]
    left_out: int = 0

    @classmethod
    def of_run(cls, directory: str | Path, space: Space, metric: Metric) -> WarmStart:
        """The trials of a run folder.

        Raises:
            RunFolderError: The folder is no run folder, or of a newer version.
            UsageError: It is no path, its parameters or its metric differ, or none of its trials can be used.
        """
        from ecoml.space.schema import space_of  # pydantic costs a fifth of a second

        if not isinstance(directory, str | PathLike):
            raise UsageError(f"warm_start is {directory!r:.60}; give a run folder, as in warm_start=result.directory")
        path = Path(directory).absolute()
        settings = read_settings(path)
        _refuse_other_parameters(path, space_of(settings["space"], where=str(path / "run.toml")), space)
        if (theirs := metric_of(settings)).name != metric.name or theirs.minimize != metric.minimize:
            raise UsageError(
                f"{path}: its score is the {theirs.name}, and that of this search is the {metric.name};"
                " start from a run with the same metric, or leave out warm_start="
            )
        trials = [trial for trial in read_snapshot(path / LEDGER, metric).trials if trial.state.ended or trial.curve]
        known, outside = [], ""
        for trial in trials:
            try:
                space.validate(trial.config)
            except SpaceError as error:
                outside = outside or str(error)
                continue
            known.append(trial)
        if not any(trial.curve for trial in known):
            why = f"none of its trials is within this space ({outside})" if outside else "it has no measurement"
            raise UsageError(
                f"{path}: there is nothing to learn from: {why}; name another run, or leave out warm_start="
            )
        for number, trial in enumerate(known, start=-len(known)):
            trial.number = number
            trial.curve = [point._replace(spent_j=0.0, floor_j=None) for point in trial.curve]
            if not trial.state.ended:
                trial.state = TrialState.STOPPED
        return cls(str(path), str(settings["run"]["problem"]), tuple(known), len(trials) - len(known))

    @property
    def provenance(self) -> Provenance:
        """Provenance of its energies: that of the weakest."""
        return weakest(point.energy.provenance for trial in self.trials for point in trial.curve)

    def refuse_mixture(self, now: Provenance) -> None:
        """Refuse a search with joules of another kind, because a surrogate would compare them.

        Raises:
            UsageError: The kinds differ.
        """
        if not comparable(self.provenance, now):
            raise UsageError(
                f"{self.run}: its energy is {self.provenance} and that of this search is {now}, which cannot be"
                f" compared; start from a run whose energy is {now}, or leave warm_start= out"
            )

    def to_settings(self) -> dict[str, Any]:
        """The description for `run.toml`."""
        return {
            "run": self.run,
            "problem": self.problem,
            "trials": len(self.trials),
            "left_out": self.left_out,
            "provenance": self.provenance.value,
        }

    def to_json(self) -> str:
        """The file for the run folder."""
        return json.dumps(
            {**asdict(self), "format": 2, "trials": [_trial_dict(trial) for trial in self.trials]}, indent=1
        )

    @classmethod
    def from_json(cls, text: str, metric: Metric) -> WarmStart:
        """The warm start from the text of `to_json`, with scores of this metric."""
        kept = json.loads(text)
        if "format" not in kept:
            kept["trials"] = [_of_version_1(table) for table in kept["trials"]]
        return cls(kept["run"], kept["problem"], tuple(_trial(t, metric) for t in kept["trials"]), kept["left_out"])


def _trial_dict(trial: Trial) -> dict[str, Any]:
    """An ended trial as JSON values; its energies are cumulative."""
    return {
        "number": trial.number,
        "config": dict(trial.config),
        "state": trial.state.value,
        "curve": [
            {"score": point.score, "evaluation_j": point.evaluation_j, "host": point.host, **_dict(point.energy)}
            for point in trial.curve
        ],
        "tail": None if trial.tail is None else _dict(trial.tail),
        "end": None if trial.end is None else trial.end.to_dict(),
    }


def _trial(table: Mapping[str, Any], metric: Metric) -> Trial:
    curve = [
        Point(
            *(step, kept["score"], _energy(kept), metric.utility(kept["score"]), kept["evaluation_j"]),
            host=kept.get("host", ""),  # a file written before hosts were kept has none
        )
        for step, kept in enumerate(table["curve"], start=1)
    ]
    tail, end = table["tail"], table["end"]
    return Trial(
        table["number"],
        table["config"],
        TrialState(table["state"]),
        curve,
        None if tail is None else _energy(tail),
        None if end is None else TrialEnd.of(end),
    )


def _dict(energy: Energy) -> dict[str, Any]:
    return {**energy.to_dict(), "edge_j": energy.edge_j}


def _energy(table: Mapping[str, Any]) -> Energy:
    return energy_of(table["energy_j"], table["uncertainty_j"], Provenance(table["provenance"]), table["edge_j"])


def _of_version_1(table: Mapping[str, Any]) -> dict[str, Any]:
    """A trial in the format of ecoml 0.1, converted to the current one."""
    tail = {
        "energy_j": table["tail_j"],
        "uncertainty_j": table["tail_uncertainty_j"],
        "provenance": table["tail_provenance"],
        "edge_j": 0.0,
    }
    return {
        **{name: table[name] for name in ("number", "config", "state")},
        "curve": [{**point, "score": point["accuracy"]} for point in table["curve"]],
        "tail": tail if table["tail_provenance"] else None,
        "end": None,
    }


def _refuse_other_parameters(path: Path, theirs: Space, ours: Space) -> None:
    missing = [name for name in ours.parameters if name not in theirs.parameters]
    unknown = [name for name in theirs.parameters if name not in ours.parameters]
    if missing or unknown:
        parts = [f"it lacks {', '.join(missing)}"] if missing else []
        parts += [f"this space lacks {', '.join(unknown)}"] if unknown else []
        raise UsageError(
            f"{path}: its search space has other parameters: {' and '.join(parts)};"
            " start from a run on the same parameters, or leave warm_start= out"
        )
