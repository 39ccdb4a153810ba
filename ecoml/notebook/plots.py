"""Charts of a result, as Altair charts for a notebook, a file (`chart.save("front.svg")`) or one's own page."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ecoml.energy import weakest
from ecoml.errors import UsageError, did_you_mean
from ecoml.format import plural_of
from ecoml.report.charts.drawing import PRINT
from ecoml.report.charts.importance import Importance, Untold, importances
from ecoml.report.charts.records import curve_records
from ecoml.report.page.sections.front import front_drawing
from ecoml.run.result import Result

if TYPE_CHECKING:
    from ecoml.report.charts.drawing import Drawing


def plot(result: Result, what: str = "front") -> Drawing:
    """A chart of a result.

    Args:
        result: The result.
        what: `front`: score against the energy of each trial. `curves`: learning curves against energy. `energy`:
            energy of the search by purpose. `importance`: the parameters that decide score and energy.

    Raises:
        UsageError: There is no such chart, or nothing to draw.
    """
    if what not in _PLOTS:
        raise UsageError(f"there is no chart {what!r}; {did_you_mean(what, _PLOTS)}")
    if not any(trial.curve for trial in result.trials):
        raise UsageError(f"{result.directory}: no trial has been measured; there is nothing to draw")
    return _PLOTS[what](result)


def _front(result: Result) -> Drawing:
    return front_drawing(result, PRINT)


def _curves(result: Result) -> Drawing:
    from ecoml.report.charts.charts import learning_chart

    source = weakest(trial.energy.provenance for trial in result.trials if trial.curve).value
    return learning_chart(curve_records(result).records, metric=result.metric, source=source, style=PRINT)


def _energy(result: Result) -> Drawing:
    from ecoml.report.charts.bars import account_chart

    return account_chart(result.energy, style=PRINT)


def _importance(result: Result) -> Drawing:
    from ecoml.report.charts.bars import importance_chart

    score, energy = importances(result.trials, f"{plural_of(result.metric.step)} trained")
    told = {name: of for name, of in ((result.metric.name, score), ("energy", energy)) if isinstance(of, Importance)}
    if not told:
        why = score.why if isinstance(score, Untold) else ""
        raise UsageError(f"which parameters matter is not known: {why}")
    return importance_chart(told, style=PRINT)


_PLOTS: dict[str, Callable[[Result], Drawing]] = {
    "front": _front,
    "curves": _curves,
    "energy": _energy,
    "importance": _importance,
}
