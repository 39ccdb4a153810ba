"""Records of a result for the charts: finite values, tooltips in words, thinned if there are many."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeVar

import numpy as np

from ecoml.format import describe_course, format_config, format_energy, format_figure, format_score
from ecoml.metric import Metric
from ecoml.run.result import Result
from ecoml.run.storage.snapshot import Progress
from ecoml.trial import Point, Trial

MOST_POINTS = 2000
"""Largest number of grey points in a chart."""

MOST_CURVES = 60
"""Largest number of learning curves in a chart."""

MOST_STEPS = 120
"""Largest number of points of one learning curve."""

T = TypeVar("T")
Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Thinned:
    """Records, and the number of points or curves from which they were taken."""

    records: list[Record]
    shown: int
    total: int

    @property
    def complete(self) -> bool:
        """Whether nothing was left out."""
        return self.shown == self.total


def thin(items: Sequence[T], most: int) -> list[T]:
    """At most `most` items, evenly spaced; the first and the last are always included."""
    if len(items) <= most:
        return list(items)
    return [items[index] for index in np.linspace(0, len(items) - 1, most).round().astype(int)]


def varying(trials: Sequence[Trial]) -> tuple[str, ...]:
    """The parameters in which the trials differ, in the order of their configurations; all parameters if none
    differs.
    """
    names = dict.fromkeys(name for trial in trials for name in trial.config)
    values = {name: {repr(trial.config.get(name)) for trial in trials} for name in names}
    return tuple(name for name in names if len(values[name]) > 1) or tuple(names)


def visits(order: Sequence[int]) -> Counter[int]:
    """How many times each trial was trained without another trial in between.

    Args:
        order: The trial of every measurement, in order.
    """
    return Counter(number for number, _ in groupby(order))


def courses(result: Result) -> dict[int, str]:
    """The course of each trial in words, by its number."""
    times = visits([entry.trial for entry in result.progress])
    return {t.number: describe_course(t, times[t.number], result.metric) for t in result.trials}


def tested(result: Result) -> bool:
    """Whether a trial of the front was evaluated on the test set."""
    return any(trial.test_score is not None for trial in result.front)


def point_tips(result: Result) -> dict[str, str]:
    """Tooltip of a point: field → title."""
    tips = {"trial": "trial", "step": result.metric.step, "shown": result.metric.name, "test": "on the test set"}
    if not tested(result):
        del tips["test"]
    return {**tips, "energy": "energy", "how": "how it went", "config": "config"}


def point_records(result: Result) -> Thinned:
    """Every point of every learning curve."""
    points = [(trial, point) for trial in result.trials for point in trial.curve if drawable(point)]
    shown, told = thin(points, MOST_POINTS), _teller(result)
    return Thinned([told(trial, point) for trial, point in shown], len(shown), len(points))


def end_records(result: Result, trials: Sequence[Trial]) -> list[Record]:
    """The last point of each trial, of the front for example."""
    told = _teller(result)
    return [told(trial, trial.curve[-1]) for trial in trials if drawable(trial.curve[-1])]


def curve_records(result: Result) -> Thinned:
    """Learning curves of at least two points; if there are too many, those on the front are kept first."""
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
            {**_figures(result.metric, trial, point), "front": trial.number in on_front}
            for trial, points in chosen
            for point in thin(points, MOST_STEPS)
        ],
        len(chosen),
        len(curves),
    )


def is_recommended(result: Result, number: int, step: int) -> bool:
    """Whether a step of a trial is the recommended one."""
    chosen = result.recommended
    return chosen is not None and (number, step) == (chosen.number, chosen.step)


def improvements(result: Result) -> list[Progress]:
    """The measurements that were better than all before them, in order."""
    better: list[Progress] = []
    for entry in result.progress:
        utility = entry.point.utility
        if math.isfinite(utility) and (not better or utility > better[-1].point.utility):
            better.append(entry)
    return better


def progress_records(result: Result) -> list[Record]:
    """The improvements of the best score."""
    return [
        {
            "trial": entry.trial,
            "step": entry.point.step,
            "score": entry.point.score,
            "spent_j": entry.point.spent_j,
            "shown": format_score(result.metric, entry.point.score),
            "spent": f"{format_energy(entry.point.spent_j)} ({result.energy.provenance})",
        }
        for entry in improvements(result)
    ]


def drawable(point: Point) -> bool:
    """Whether a point can be placed on a logarithmic energy axis."""
    return math.isfinite(point.score) and math.isfinite(point.energy_j) and point.energy_j > 0


def _teller(result: Result) -> Callable[[Trial, Point], Record]:
    """A function that makes a record of a point, with the contents of its tooltip."""
    names = varying(result.trials)
    how = courses(result)  # the front holds trials cut short, which do not know

    def told(trial: Trial, point: Point) -> Record:
        return {
            **_figures(result.metric, trial, point),
            "test": format_score(result.metric, trial.test_score),
            "how": how[trial.number],
            "config": format_config(trial.config, names),
        }

    return told


def _figures(metric: Metric, trial: Trial, point: Point) -> Record:
    return {
        "trial": trial.number,
        "step": point.step,
        "score": point.score,
        "energy_j": point.energy_j,
        "shown": format_score(metric, point.score),
        "energy": f"{format_figure(point.energy)} ({point.energy.provenance})",
    }
