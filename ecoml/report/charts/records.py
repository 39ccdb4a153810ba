"""Plain records of a result, for the charts: finite, in words for the tooltips, thinned where they are many."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from ecoml.energy import format_energy, format_figure
from ecoml.report.page.document import percent
from ecoml.report.page.histories import history, visits
from ecoml.run.result import Result
from ecoml.trial import Point, Trial

MOST_POINTS = 2000
"""Faint points drawn at most."""

MOST_CURVES = 60
"""Learning curves drawn at most."""

MOST_STEPS = 120
"""Points of one learning curve drawn at most."""

T = TypeVar("T")
Record = dict[str, Any]

POINT_TIPS = {
    "trial": "trial",
    "step": "step",
    "share": "validation accuracy",
    "test": "test accuracy",
    "energy": "energy",
    "how": "how it went",
    "config": "config",
}
"""Tooltip of a point: field → title."""

PROGRESS_TIPS = {"trial": "trial", "step": "step", "share": "accuracy", "spent": "spent by then"}
"""Tooltip of an improvement: field → title."""


@dataclass(frozen=True, slots=True)
class Thinned:
    """Records, and of how many things they were taken (points, or curves)."""

    records: list[Record]
    shown: int
    total: int

    @property
    def complete(self) -> bool:
        """Whether nothing was left out."""
        return self.shown == self.total


def thin(items: Sequence[T], most: int) -> list[T]:
    """At most `most` items, evenly spaced, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[index] for index in np.linspace(0, len(items) - 1, most).round().astype(int)]


def varying(trials: Sequence[Trial]) -> tuple[str, ...]:
    """The parameters in which the trials differ, in the order of their configurations; all if they differ in none."""
    names = dict.fromkeys(name for trial in trials for name in trial.config)
    values = {name: {repr(trial.config.get(name)) for trial in trials} for name in names}
    return tuple(name for name in names if len(values[name]) > 1) or tuple(names)


def config_text(config: Mapping[str, object], names: Collection[str]) -> str:
    """A configuration in one line, as far as `names` go."""
    return ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in config.items()
        if name in names
    )


def point_records(result: Result) -> Thinned:
    """Every point of every learning curve."""
    points = [(trial, point) for trial in result.trials for point in trial.curve if drawable(point)]
    shown, names, how = thin(points, MOST_POINTS), varying(result.trials), _histories(result)
    records = [_point_record(trial, point, names, how) for trial, point in shown]
    return Thinned(records, len(shown), len(points))


def front_records(result: Result) -> list[Record]:
    """The front, cheapest first."""
    names, how = varying(result.trials), _histories(result)
    return [_point_record(trial, trial.curve[-1], names, how) for trial in result.front if drawable(trial.curve[-1])]


def curve_records(result: Result) -> Thinned:
    """Learning curves of at least two points; those on the front come first when they are too many."""
    on_front = {trial.number for trial in result.front}
    curves = [
        (trial, points)
        for trial in result.trials
        if len(points := [point for point in trial.curve if drawable(point)]) > 1
    ]
    chosen = [curve for curve in curves if curve[0].number in on_front][:MOST_CURVES]
    others = [curve for curve in curves if curve[0].number not in on_front]
    chosen += thin(others, MOST_CURVES - len(chosen)) if len(chosen) < MOST_CURVES else []
    return Thinned(
        [
            {
                "trial": trial.number,
                "step": point.step,
                "accuracy": point.score,
                "energy_j": point.energy_j,
                "share": percent(point.score),
                "energy": _energy(point),
                "front": trial.number in on_front,
            }
            for trial, points in chosen
            for point in thin(points, MOST_STEPS)
        ],
        len(chosen),
        len(curves),
    )


def progress_records(result: Result) -> list[Record]:
    """The improvements of the best accuracy, in the order of the search."""
    records: list[Record] = []
    best = -math.inf
    for entry in result.progress:
        if entry.score > best:
            best = entry.score
            records.append(
                {
                    "trial": entry.trial,
                    "step": entry.step,
                    "accuracy": entry.score,
                    "spent_j": entry.spent_j,
                    "share": percent(entry.score),
                    "spent": f"{format_energy(entry.spent_j)} ({entry.provenance})",
                }
            )
    return records


def drawable(point: Point) -> bool:
    """Whether it has a place on a logarithmic energy axis."""
    return math.isfinite(point.score) and math.isfinite(point.energy_j) and point.energy_j > 0


def _histories(result: Result) -> dict[int, str]:
    """How each trial went. The front holds trials cut short, which do not know."""
    times = visits([entry.trial for entry in result.progress])
    return {trial.number: history(trial, times[trial.number]) for trial in result.trials}


def _point_record(trial: Trial, point: Point, names: Collection[str], how: Mapping[int, str]) -> Record:
    return {
        "trial": trial.number,
        "step": point.step,
        "accuracy": point.score,
        "energy_j": point.energy_j,
        "share": percent(point.score),
        "test": "–" if trial.test_score is None else percent(trial.test_score),
        "energy": _energy(point),
        "how": how[trial.number],
        "config": config_text(trial.config, names),
    }


def _energy(point: Point) -> str:
    return f"{format_figure(point.energy_j, point.uncertainty_j, point.provenance)} ({point.provenance})"
