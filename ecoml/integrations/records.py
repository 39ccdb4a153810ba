"""The values that all trackers record of a search, by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from ecoml.errors import LibraryError
from ecoml.integrations.figures import energy_figures
from ecoml.models.card import write_card
from ecoml.report.page.page import write_report
from ecoml.run.result import Result
from ecoml.trial import Trial


def settings_of(result: Result) -> dict[str, Any]:
    """The settings of the search, flat: `strategy`, `seed`, `budget_j`, `metric`, `limits.target`,
    `executor.data`, …
    """
    tables = {key: result.settings.get(key, {}) for key in ("limits", "executor", "data")}
    flat = {f"{key}.{name}": value for key, table in tables.items() for name, value in table.items()}
    own = {"problem": result.problem, "strategy": result.strategy, "seed": result.seed, "metric": result.metric.name}
    return {**own, "budget_j": result.energy.budget_j, "directory": str(result.directory), **flat}


def point_figures(trial: Trial, metric: str) -> dict[str, float]:
    """The last point of a trial: its score under the metric's name, and the joules of the trial up to this point."""
    point = trial.curve[-1]
    return {metric: point.score, **energy_figures(point.energy)}


def account_figures(result: Result) -> dict[str, float]:
    """The energy of the entire search by purpose; names contain the provenance."""
    total = {f"search_{name}": value for name, value in energy_figures(result.energy.total).items()}
    parts = {
        f"search_energy_j/{part.provenance}/{purpose}": part.energy_j
        for purpose, part in result.energy.by_purpose.items()
    }
    return {**total, **parts}


def best_of(result: Result) -> dict[str, float]:
    """The recommended trial: its number, the length of its training, its scores, its energy."""
    if (best := result.recommended) is None:
        return {}
    figures: dict[str, float] = {"trial": best.number, result.metric.step: best.step}
    if best.test_score is not None:
        figures[f"test {result.metric.name.removeprefix('validation ')}"] = best.test_score
    return {
        f"recommended {name}": value for name, value in {**figures, **point_figures(best, result.metric.name)}.items()
    }


def files_of(result: Result) -> Iterator[Path]:
    """Write page and model card, and yield the files to upload: settings, page, card, and the models of the front."""
    with suppress(LibraryError):  # without charts there is no page, and everything else is uploaded
        write_report(result.directory)
    write_card(result)
    for pattern in ("run.toml", "report.html", "card.md", "export/*/README.md", "models/*.safetensors"):
        yield from sorted(result.directory.glob(pattern))
