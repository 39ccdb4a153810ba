"""The report of one run: one HTML file that needs nothing else, and the figures for a paper or a talk."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ecoml.energy import format_energy
from ecoml.report.format import steps_of
from ecoml.report.page.curves_section import curves_section
from ecoml.report.page.document import Html, document, element, facts, join, percent, section, text
from ecoml.report.page.energy_section import energy_section
from ecoml.report.page.footprint import check_grid_intensity, outside_section
from ecoml.report.page.front_section import front_drawing, front_section
from ecoml.report.page.importance_section import importance_section
from ecoml.report.page.power_section import power_section
from ecoml.report.page.progress_section import progress_drawing, progress_section
from ecoml.report.page.trials_section import trials_section
from ecoml.report.page.writing import writing
from ecoml.report.terminal.goal import asked_for
from ecoml.run.result import WITHIN, Result
from ecoml.searcher.models import model_path
from ecoml.trial import Trial


def write_report(directory: str | Path, *, figures: bool = False, grid_intensity: float | None = None) -> Path:
    """Write `report.html` into a run folder.

    Args:
        directory: The run folder, of a finished search or of one still going on.
        figures: Also write the front and the energy curve as PNG, SVG and PDF into `figures/`.
        grid_intensity: Grams of CO2e a kWh; None: the page says nothing of CO2e.

    Returns:
        The page's path.

    Raises:
        RunFolderError: Not a run folder, or a newer one.
        UsageError: No intensity of any grid, or the folder cannot be written.
    """
    check_grid_intensity(grid_intensity)
    result = Result.load(directory)
    path = result.directory / "report.html"
    content = page(result, grid_intensity)
    with writing(result.directory, "make it writable, or copy the run folder and name the copy"):
        temporary = path.with_suffix(".tmp")
        temporary.write_text(content, encoding="utf-8")
        temporary.replace(path)
        if figures:
            write_figures(result, result.directory / "figures")
    return path


def write_figures(result: Result, folder: Path) -> list[Path]:
    """Write the front and the energy curve as PNG, SVG and PDF; nothing for a search without a measurement."""
    if not result.front:
        return []
    from ecoml.report.charts.drawing import PRINT
    from ecoml.report.charts.figures import save_figure

    return [
        *save_figure(front_drawing(result, PRINT), folder / "front"),
        *save_figure(progress_drawing(result, PRINT), folder / "energy"),
    ]


def page(result: Result, grid_intensity: float | None = None) -> str:
    """The page of a result."""
    body = join(
        [
            _header(result),
            _recommendation(result),
            front_section(result),
            energy_section(result.energy),
            power_section(result),
            outside_section(result.energy, grid_intensity),
            progress_section(result),
            curves_section(result),
            importance_section(result),
            trials_section(result),
            _provenance_of_run(result),
        ]
    )
    return document(f"{result.problem}: {headline(result)}", body)


def headline(result: Result) -> str:
    """The outcome in one sentence."""
    energy = result.energy
    budget = f"{format_energy(energy.total_j)} of {format_energy(energy.budget_j)}, {energy.provenance}"
    best = result.recommended
    if best is None or best.score is None:
        failed = sum(trial.failure is not None for trial in result.trials)
        what = "no trial was started" if not result.trials else "no trial was measured"
        failures = f" ({failed} of {len(result.trials)} failed)" if failed else ""
        return f"Nothing to recommend: {what}{failures}; the search used {budget}"
    tested = "" if best.test_score is None else f" ({percent(best.test_score)} on the test set)"
    return (
        f"Trial {best.number} after {steps_of(result, best.step)} reaches {percent(best.score)} validation accuracy"
        f"{tested} for {format_energy(best.energy_j)} of training; the search used {budget}"
    )


def _header(result: Result) -> Html:
    ended = f"The search ended: {result.ended}." if result.ended else "The search is still going on, or was cut off."
    created = str(result.settings.get("created", ""))[:10]
    overline = " · ".join(filter(None, [result.problem, result.strategy, f"seed {result.seed}", created]))
    asked = [element("p", f"{line}.", "note") for line in asked_for(result)]
    parts = [element("p", overline, "overline"), element("h1", f"{headline(result)}."), element("p", ended), *asked]
    return element("header", join(parts))


def _recommendation(result: Result) -> Html:
    best = result.recommended
    if best is None:
        reasons = sorted({trial.failure for trial in result.trials if trial.failure})
        listed = "".join(element("li", reason) for reason in reasons[:5])
        why = Html(f"<p>The trials failed with:</p><ul>{listed}</ul>") if reasons else None
        return section("recommended", "Recommended", element("p", "There is nothing to recommend yet."), why)
    rule = (
        f"The cheapest point of the front within {100 * WITHIN:.0f} percentage point of the best validation accuracy:"
        f" trial {best.number}, trained for {steps_of(result, best.step)}."
    )
    best_of_all = result.front[-1]
    if (best_of_all.number, best_of_all.step) != (best.number, best.step):
        rule += _given_up(best, best_of_all)
    config = facts(((name, _value(value)) for name, value in best.config.items()), dense=True)
    return section("recommended", "Recommended", element("p", rule), config, _loading(result, best))


def _value(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _given_up(best: Trial, most_accurate: Trial) -> str:
    assert best.score is not None
    assert most_accurate.score is not None
    points = 100 * (most_accurate.score - best.score)
    return (
        f" The most accurate, trial {most_accurate.number}, is {points:.2f} percentage points better and takes"
        f" {most_accurate.energy_j / best.energy_j:.2f} times the energy ({format_energy(most_accurate.energy_j)},"
        f" {most_accurate.provenance})."
    )


def _loading(result: Result, best: Trial) -> Html:
    if not model_path(result.directory, best).is_file():
        return element(
            "p",
            f"No weights of it are kept in this run; train with this configuration for {steps_of(result, best.step)}.",
            "note",
        )
    twice = sum(trial.number == best.number for trial in result.front) > 1
    step = f", step={best.step}" if twice else ""
    code = f"import ecoml\n\nmodel = ecoml.load_model({json.dumps(str(result.directory))}, {best.number}{step})"
    return join([element("p", "To load its weights:"), Html(f"<pre><code>{text(code)}</code></pre>")])


def _provenance_of_run(result: Result) -> Html:
    tables = []
    for name, value in result.settings.items():
        if isinstance(value, Mapping) and value:
            rows = [(key, element("code", str(leaf))) for key, leaf in _flat(value)]
            tables.append(Html(f"<details><summary>{text(name)}</summary>{facts(rows)}</details>"))
    simple = [(name, str(value)) for name, value in result.settings.items() if not isinstance(value, Mapping)]
    return section("settings", "How it was run", facts(simple) if simple else None, *tables)


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, leaf in value.items():
        if isinstance(leaf, Mapping):
            yield from _flat(leaf, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", leaf
