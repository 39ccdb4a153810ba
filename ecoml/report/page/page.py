"""The report of one run: one self-contained HTML file, and the figures for a paper or a talk."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ecoml.format import (
    describe_frugal,
    describe_limits,
    describe_nearest,
    describe_reason,
    describe_search_end,
    describe_trial_end,
    describe_warm_start,
    format_energy,
    format_score,
    named_score,
    plural,
)
from ecoml.outside.folders import write_whole
from ecoml.report.charts.figures import require_charts
from ecoml.report.page.document import TEMPLATES, render
from ecoml.report.page.sections.curves import curves_context
from ecoml.report.page.sections.data import data_context
from ecoml.report.page.sections.energy import energy_context
from ecoml.report.page.sections.footprint import footprint_facts
from ecoml.report.page.sections.front import front_context
from ecoml.report.page.sections.importance import importance_context
from ecoml.report.page.sections.power import power_context
from ecoml.report.page.sections.progress import progress_context
from ecoml.report.page.sections.trials import trials_context
from ecoml.report.page.sections.usage import usage_context
from ecoml.report.page.writing import writing
from ecoml.run.hindsight import seen_on
from ecoml.run.models import kept_models, model_path
from ecoml.run.result import Result, tolerance
from ecoml.trial import Trial, TrialState


def write_report(
    directory: str | Path,
    *,
    figures: bool = False,
    grid_intensity: float | str | Path | None = None,
    **limits: float | None,
) -> Path:
    """Write `report.html` into a run folder.

    Args:
        directory: The run folder; its search may be running.
        figures: Whether to write the front and the energy curve as PNG, SVG and PDF into `figures/` as well.
        grid_intensity: Grams of CO2e per kWh, or a CSV of time and g/kWh; None: as set for the search.
        **limits: Limits for the choice of a model (`inferences`, `max_latency_s`, `max_inference_energy_j`); None: as
            set for the search.

    Returns:
        The page's path.

    Raises:
        LibraryError: A library for charts is not installed.
        RunFolderError: The folder is no run folder, or of a newer version.
        UsageError: `grid_intensity` cannot be used, or the folder cannot be written.
    """
    require_charts()
    result = seen_on(Result.load(directory, **limits), grid_intensity)
    path = result.directory / "report.html"
    content = page(result)
    with writing(result.directory, "make it writable, or copy the run folder and name the copy"):
        write_whole(path, content)
        if figures:
            _write_figures(result, result.directory / "figures")
    return path


def _write_figures(result: Result, folder: Path) -> None:
    """Write the front and the energy curve as PNG, SVG and PDF; nothing for a search without a measurement."""
    if not result.front:
        return
    from ecoml.report.charts.charts import front_chart, progress_chart
    from ecoml.report.charts.drawing import PRINT
    from ecoml.report.charts.figures import save_figure

    save_figure(front_chart(result, PRINT), folder / "front")
    save_figure(progress_chart(result, PRINT), folder / "energy")


def page(result: Result) -> str:
    """The page of a result."""
    said, created = headline(result), str(result.settings.get("created", ""))[:10]
    return render(
        TEMPLATES / "run.html.j2",
        title=f"{result.problem}: {said}",
        headline=said,
        name=result.metric.name,
        overline=" · ".join(filter(None, [result.problem, result.strategy, f"seed {result.seed}", created])),
        ended=None if result.ended is None else describe_search_end(result.ended, result.metric),
        asked=list(_asked(result)),
        recommended=_recommended(result),
        failures=_failures(result),
        data=data_context(result),
        front=front_context(result),
        usage=usage_context(result, result.limits.inferences),
        energy=energy_context(result.energy),
        power=power_context(result),
        footprint=list(footprint_facts(result.energy.total, result.energy.co2e)),
        progress=progress_context(result),
        curves=curves_context(result),
        importance=importance_context(result),
        trials=trials_context(result),
        settings={name: list(_flat(value)) for name, value in result.settings.items() if isinstance(value, Mapping)},
        simple=[(name, str(value)) for name, value in result.settings.items() if not isinstance(value, Mapping)],
    )


def headline(result: Result) -> str:
    """The outcome in one sentence, without its full stop."""
    energy, metric = result.energy, result.metric
    budget = f"{format_energy(energy.total_j)} of {format_energy(energy.budget_j)}, {energy.provenance}"
    best = result.recommended
    if best is None and result.limits.of_use and any(trial.curve for trial in result.trials):
        return f"{describe_nearest(result.nearest_in_use, result.limits)}; the search used {budget}"
    if best is None:
        failed = sum(trial.state is TrialState.FAILED for trial in result.trials)
        what = "no trial was started" if not result.trials else "no trial was measured"
        failures = f" ({failed} of {len(result.trials)} failed)" if failed else ""
        return f"Nothing to recommend: {what}{failures}; the search used {budget}"
    on_test = "" if best.test_score is None else f" ({format_score(metric, best.test_score)} on the test set)"
    return (
        f"Trial {best.number} after {plural(best.step, metric.step)} reaches {named_score(metric, best.score)}{on_test}"
        f" for {format_energy(best.energy_j)} of training; the search used {budget}"
    )


def _asked(result: Result) -> Iterator[str]:
    """The limits of the search, and the run from which its strategy learnt."""
    yield from describe_limits(result.limits, result.metric)
    if (warm_start := result.settings.get("warm_start")) is not None:
        yield describe_warm_start(warm_start, result.strategy)


def _failures(result: Result) -> list[str]:
    """Why trials failed: the first five reasons."""
    ends = (trial.end for trial in result.trials if trial.end is not None and trial.end.failed)
    return sorted({describe_trial_end(end, result.metric) for end in ends})[:5]


def _recommended(result: Result) -> dict[str, Any] | None:
    """The recommended trial: the rule, its configuration, and how to load it."""
    best, metric = result.recommended, result.metric
    if best is None:
        return None
    steps = plural(best.step, metric.step)
    why = describe_reason(metric, on_front=best in result.front, default_margin=result.default_margin)
    rule = f"Trial {best.number}, trained for {steps}: {why}."
    if result.frugal is not None:
        rule += f" Frugal: {describe_frugal(best, result.frugal, tolerance(result.front, metric), metric)}."
    return {
        "rule": rule,
        "config": [(k, f"{value:.6g}" if isinstance(value, float) else f"{value}") for k, value in best.config.items()],
        "steps": steps,
        "code": _loading(result, best) if model_path(result.directory, best).is_file() else None,
    }


def _loading(result: Result, best: Trial) -> str:
    several = sum(kept.trial == best.number for kept in kept_models(result.directory)) > 1
    step = f", step={best.step}" if several else ""
    return f"import ecoml\n\nmodel = ecoml.load_model({json.dumps(str(result.directory))}, {best.number}{step})"


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, leaf in value.items():
        if isinstance(leaf, Mapping):
            yield from _flat(leaf, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(leaf)
