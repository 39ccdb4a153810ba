"""A result as a table: one row per trial, or per measurement; as a pandas DataFrame if pandas is installed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ecoml.errors import UsageError
from ecoml.trial import Point, Trial

if TYPE_CHECKING:
    import pandas


def trial_rows(trials: Iterable[Trial], front: Iterable[Trial], recommended: Trial | None) -> Iterator[dict[str, Any]]:
    """`trial`, `state`, `end`, `step`, `score`, `test_score`, `energy_j`, `uncertainty_j`, `provenance`, `on_front`,
    `recommended`, and a column `config.…` for each parameter.

    The score is that of the trial's last point; the joules also include what was charged after it.
    """
    tests = {(trial.number, trial.step): trial.test_score for trial in front}
    on_front = {number for number, _ in tests}
    for trial in trials:
        yield {
            "trial": trial.number,
            "state": trial.state.value,
            "end": None if trial.end is None else trial.end.reason.value,
            "step": trial.step,
            "score": trial.score,
            "test_score": tests.get((trial.number, trial.step)),
            **trial.energy.to_dict(),
            "on_front": trial.number in on_front,
            "recommended": recommended is not None and trial.number == recommended.number,
            **_config(trial),
        }


def point_rows(
    trials: Sequence[Trial], front: Iterable[Trial], progress: Iterable[tuple[int, Point]]
) -> Iterator[dict[str, Any]]:
    """In the order of the search: `trial`, `step`, `score`, `energy_j` of the trial up to this step, `uncertainty_j`,
    `provenance`, `spent_j` of the entire search so far, `on_front`, and the configuration.
    """
    on_front = {(trial.number, trial.step) for trial in front}
    for number, point in progress:
        yield {**_point(number, point), "on_front": (number, point.step) in on_front, **_config(trials[number])}


def _point(number: int, point: Point) -> dict[str, Any]:
    figures = {"trial": number, "step": point.step, "score": point.score, **point.energy.to_dict()}
    return {**figures, "spent_j": point.spent_j}


def _config(trial: Trial) -> dict[str, Any]:
    return {f"config.{name}": value for name, value in trial.config.items()}


def data_frame(rows: Iterable[Mapping[str, Any]]) -> pandas.DataFrame:
    """A frame with a column for every key.

    Raises:
        UsageError: pandas is not installed.
    """
    try:
        from pandas import DataFrame
    except ModuleNotFoundError:
        raise UsageError("a data frame needs pandas: pip install pandas (result.to_dict() works without)") from None
    return DataFrame.from_records([dict(row) for row in rows])
