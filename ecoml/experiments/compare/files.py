"""A comparison on disk: the numbers as JSON, tidy CSV and Parquet, the figures, and one self-contained page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from ecoml.carbon.footprint import Footprint
from ecoml.experiments.compare.comparison import Comparison
from ecoml.experiments.compare.notes import footprint_sentence, headline, notes
from ecoml.experiments.compare.searches import can_write_parquet, write_csv, write_parquet
from ecoml.experiments.compare.standings import ProblemComparison
from ecoml.experiments.compare.tables import energy_table, means_table, quality_table, ranks_table, sweep_table
from ecoml.format import format_energy, format_score
from ecoml.report.page.writing import OTHER_FOLDER, writing
from ecoml.report.statistics import ENOUGH_SEEDS

if TYPE_CHECKING:
    from ecoml.report.charts.drawing import Drawing, Style

TEMPLATE = Path(__file__).with_name("templates") / "comparison.html.j2"


def write_comparison(comparison: Comparison, out: str | Path, footprint: Footprint | None = None) -> Path:
    """Write `compare.json`, `compare.csv`, `compare.parquet` (if pyarrow is installed), `figures/`, `compare.html`.

    Args:
        comparison: The comparison.
        out: The folder; it is created if it does not exist.
        footprint: The CO2e of its searches, from `Comparison.footprint`; None: page and JSON contain no CO2e.

    Returns:
        The page's path.

    Raises:
        UsageError: The folder cannot be written.
    """
    from ecoml.report.charts.drawing import PRINT
    from ecoml.report.charts.figures import save_figure

    folder, html = Path(out), comparison_page(comparison, footprint)
    with writing(folder, OTHER_FOLDER):
        folder.mkdir(parents=True, exist_ok=True)
        numbers = json.dumps(comparison_dict(comparison, footprint), indent=2, allow_nan=False, ensure_ascii=False)
        (folder / "compare.json").write_text(numbers + "\n", encoding="utf-8")
        write_csv(comparison.searches, folder / "compare.csv")
        if can_write_parquet():
            write_parquet(comparison.searches, folder / "compare.parquet")
        for name, drawing in _figures(comparison, PRINT):
            save_figure(drawing, folder / "figures" / name)
        page = folder / "compare.html"
        page.write_text(html, encoding="utf-8")
    return page


def comparison_dict(comparison: Comparison, footprint: Footprint | None = None) -> dict[str, Any]:
    """The content of `compare.json`. Unknown values, and infinite ones because of misses, are null.

    Args:
        comparison: The comparison.
        footprint: The CO2e of its searches, from `Comparison.footprint`; None: it is not known.
    """
    co2e = None if footprint is None else footprint.to_dict()
    content = {
        "headline": headline(comparison),
        "notes": notes(comparison),
        "problems": comparison.problems,
        "further_targets": [
            {"problem": of.name, "target": target, "provenance": of.provenance, "standings": of.at(target)}
            for of in comparison.problems
            for target in comparison.targets[1:]
        ],
        "means": comparison.means,
        "ranks": comparison.ranks,
        "co2e": co2e and {name: co2e[name] for name in ("co2e_g", "g_per_kwh", "provenance", "grid", "unknown_j")},
    }
    bulk = {"problems": {"__all__": {"searches"}}}
    found: dict[str, Any] = json.loads(to_json(content, exclude=bulk, inf_nan_mode="null"))
    return found


def comparison_page(comparison: Comparison, footprint: Footprint | None = None) -> str:
    """The page of a comparison; `footprint` as in `comparison_dict`."""
    from ecoml.experiments.compare.charts import legend_of, ratio_drawing
    from ecoml.report.charts.drawing import PAGE
    from ecoml.report.page.document import Chart, render

    problems = comparison.problems
    several = len(problems) > 1
    what = f"{len(problems)} problems" if several else problems[0].name
    ratios = Chart(
        "ratios",
        ratio_drawing(comparison, PAGE),
        label="How many times less energy than the reference each strategy needs, problem by problem",
        caption="How many times less energy than the reference. Triangles are bounds: a median is a miss.",
        figures=energy_table(problems),
    )
    return render(
        TEMPLATE,
        title=f"Energy to target: {what}",
        what=what,
        headline=headline(comparison),
        notes=notes(comparison),
        legend=legend_of(comparison, PAGE),
        means=means_table(comparison) if several and comparison.means else None,
        ratios=ratios,
        ranks=ranks_table(comparison) if several else None,
        problems=[_section(comparison, problem, f"problem-{n}") for n, problem in enumerate(problems, start=1)],
        sources=[search.provenance for search in comparison.searches],
        outside=footprint_sentence(comparison, footprint),
    )


def _section(comparison: Comparison, problem: ProblemComparison, identifier: str) -> dict[str, Any]:
    """The page's section on one problem."""
    from ecoml.experiments.compare.charts import MOST_BANDS, hypervolume_drawing, reached_drawing, score_drawing
    from ecoml.report.charts.drawing import PAGE
    from ecoml.report.page.document import Chart

    several = max(len(standing.seeds) for standing in problem.standings) > 1
    known = problem.fewest_seeds >= ENOUGH_SEEDS
    band = "bootstrap interval of the median" if known else "range over seeds: too few for an interval"
    banded = len(problem.standings) <= MOST_BANDS
    shown = f"; the band is the {band}" if banded else f" ({len(problem.standings)} strategies are too many for bands)"
    spread = f"the median over seeds{shown}. " if several else "one seed a strategy. "
    elsewhere = "its figures are in the tables of this section, and in compare.csv"
    name = problem.metric.name
    reached = Chart(
        f"{identifier}-reached",
        reached_drawing(comparison, problem, PAGE),
        label=f"Share of seeds that reached the target against the energy spent; {elsewhere}",
        caption="Share of the seeds that had reached the target by then (Kaplan–Meier: a search that was cut off counts"
        f" for as long as it ran){', with its bootstrap interval' if known and banded else ''}.",
    )
    best = Chart(
        f"{identifier}-best",
        score_drawing(comparison, problem, PAGE),
        label=f"Best {name} so far against the energy that the search had spent; {elsewhere}",
        caption=f"Best {name} so far: {spread}The dashed line is the target.",
    )
    hypervolume = problem.frame and Chart(
        f"{identifier}-hypervolume",
        hypervolume_drawing(comparison, problem, PAGE),
        label=f"Hypervolume of the front so far against the energy that the search had spent; {elsewhere}",
        caption=f"Hypervolume of the front so far: {spread}{_frame(problem)}",
    )
    return {
        "identifier": identifier,
        "name": problem.name,
        "energy": energy_table([problem]),
        "reached": reached if several else None,
        "sweep": sweep_table(problem, comparison.targets) if len(comparison.targets) > 1 else None,
        "best": best,
        "quality": quality_table([problem]),
        "hypervolume": hypervolume,
    }


def _frame(problem: ProblemComparison) -> str:
    frame, metric = problem.frame, problem.metric
    assert frame is not None
    worst, best = (format_score(metric, metric.utility(utility)) for utility in (frame.worst, frame.best))
    return (
        f"It is counted from the reference point ({metric.name} {worst}, {format_energy(frame.high_j)} a training) to"
        f" the ideal point ({metric.name} {best}, {format_energy(frame.low_j)}; {problem.provenance}), with energy on a"
        " logarithmic scale; both are the same for all searches here. The energies are those of the dearest and the"
        " cheapest training among them, and so are scores where the metric has no bound (the reference point's is their"
        " lower quartile)."
    )


def _figures(comparison: Comparison, style: Style) -> Iterator[tuple[str, Drawing]]:
    from ecoml.experiments.compare.charts import hypervolume_drawing, ratio_drawing, reached_drawing, score_drawing

    several = len(comparison.problems) > 1
    if several and comparison.means:
        yield "ratios", ratio_drawing(comparison, style)
    for number, problem in enumerate(comparison.problems, start=1):
        suffix = f"-{number:02d}-{re.sub(r'[^a-z0-9]+', '-', problem.name.lower()).strip('-')}" if several else ""
        yield f"energy-to-target{suffix}", reached_drawing(comparison, problem, style)
        yield f"best-so-far{suffix}", score_drawing(comparison, problem, style)
        if problem.frame is not None:
            yield f"hypervolume{suffix}", hypervolume_drawing(comparison, problem, style)
