"""The page of a comparison: one self-contained HTML file."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ecoml.energy import Energy
from ecoml.experiments.compare.comparison import Comparison
from ecoml.experiments.compare.comparison_drawings import (
    hypervolume_drawing,
    ratio_drawing,
    reached_drawing,
    score_drawing,
)
from ecoml.experiments.compare.comparison_notes import notes
from ecoml.experiments.compare.comparison_tables import (
    TextTable,
    energy_table,
    means_table,
    quality_table,
    ranks_table,
    ratio_text,
    sweep_table,
)
from ecoml.experiments.compare.standings import ProblemComparison
from ecoml.format import describe_footprint, format_energy, percent
from ecoml.report.page.document import Html, chart, document, element, join, section, table
from ecoml.report.page.energy_section import provenance_notes
from ecoml.report.statistics import ENOUGH_SEEDS


def comparison_page(comparison: Comparison, *, grid_intensity: float | None = None) -> str:
    """The page of a comparison; with CO2e if the grid's intensity is given, in g/kWh."""
    problems = comparison.problems
    sources = {search.provenance for problem in problems for search in problem.searches}
    several = len(problems) > 1
    parts = [
        _header(comparison),
        _overview(comparison) if several else None,
        *(_problem(comparison, problem, f"problem-{number}") for number, problem in enumerate(problems, start=1)),
        section("reading", "How to read this", *_explanations(), provenance_notes(sources)),
        section("outside", "What the comparison itself took", element("p", _outside(comparison, grid_intensity))),
    ]
    return document(f"Energy to target: {_what(comparison)}", join(parts))


def _header(comparison: Comparison) -> Html:
    told = "".join(element("p", note) for note in notes(comparison))
    warning = Html(f'<div class="warning">{told}</div>') if told else None
    parts = [
        element("p", f"Comparison · {_what(comparison)}", "overline"),
        element("h1", _headline(comparison)),
        warning,
    ]
    return element("header", join(parts))


def _what(comparison: Comparison) -> str:
    count = len(comparison.problems)
    return comparison.problems[0].name if count == 1 else f"{count} problems"


def _headline(comparison: Comparison) -> str:
    """The outcome in one or two sentences, with its source."""
    if len(comparison.problems) == 1:
        return _problem_headline(comparison.problems[0])
    # Ranked with the misses counted: on the few problems that it solves, any strategy can shine.
    known = [mean for mean in comparison.means if mean.problems and mean.overall is not None]
    if not known:
        return "The strategies cannot be ranked over all problems; see them one by one."
    best = max(known, key=lambda mean: mean.overall.value if mean.overall else 0.0)
    references = " or ".join(sorted({problem.reference for problem in comparison.problems}))
    source = max((problem.provenance for problem in comparison.problems), key=lambda provenance: provenance.rank)
    told = (
        f"{best.strategy} reaches the target on {best.problems} of {best.of} problems, there with"
        f" {_times(best.value)} energy than {references} (geometric mean, {source})"
    )
    if best.overall is None or best.overall.relation == "=":
        return f"{told}."
    side = "at most" if best.overall.relation == "<" else "at least"
    return f"{told}; over all problems, misses counted, {side} {_times(best.overall.value)}."


def _problem_headline(problem: ProblemComparison) -> str:
    best = min(problem.standings, key=lambda standing: (standing.energy_j, standing.at_least_j))
    if math.isinf(best.energy_j):
        return f"No strategy reaches {percent(problem.target, 1)} with its median seed."
    told = (
        f"{best.strategy} reaches {percent(problem.target, 1)} for {format_energy(best.energy_j)},"
        f" {problem.provenance}: the least of {len(problem.standings)}"
    )
    reference = problem.standings[0]
    if best.strategy == reference.strategy:
        return f"{told}."
    if math.isinf(reference.energy_j):
        return f"{told}; {reference.strategy} does not get there for {format_energy(reference.at_least_j)}."
    return f"{told}; {reference.strategy} needs {format_energy(reference.energy_j)}."


def _times(value: float) -> str:
    return f"{ratio_text(value)} less" if value >= 1 else f"{ratio_text(1 / value)} more"


def _overview(comparison: Comparison) -> Html:
    from ecoml.report.charts.drawing import PAGE

    ranks = ranks_table(comparison)
    return section(
        "overview",
        "Over all problems",
        _table(means_table(comparison)),
        chart(
            "ratios",
            ratio_drawing(comparison, PAGE),
            label="How many times less energy than the reference each strategy needs, problem by problem",
            caption="How many times less energy than the reference. Triangles are bounds: a median is a miss.",
            figures=_table(energy_table(comparison.problems)),
        ),
        _table(ranks) if ranks else None,
    )


def _problem(comparison: Comparison, problem: ProblemComparison, identifier: str) -> Html:
    from ecoml.report.charts.drawing import PAGE

    several = max(len(standing.seeds) for standing in problem.standings) > 1
    if min(len(standing.seeds) for standing in problem.standings) >= ENOUGH_SEEDS:
        band = "the band is the bootstrap interval of the median"
    else:
        band = "the band is the range over seeds: too few for an interval"
    spread = f"the median over seeds; {band}. " if several else "one seed a strategy. "
    elsewhere = "its figures are in the tables of this section, and in compare.csv"
    return section(
        identifier,
        problem.name,
        _table(energy_table([problem])),
        chart(
            f"{identifier}-reached",
            reached_drawing(comparison, problem, PAGE),
            label=f"Share of seeds that reached the target against the energy spent; {elsewhere}",
            caption="Share of the seeds that had reached the target by then (Kaplan–Meier: a search that was cut off"
            f" counts for as long as it ran){', with its bootstrap interval' if _has_band(problem) else ''}.",
        )
        if several
        else None,
        _table(sweep_table(problem, comparison.targets)) if len(comparison.targets) > 1 else None,
        chart(
            f"{identifier}-best",
            score_drawing(comparison, problem, PAGE),
            label=f"Best accuracy so far against the energy that the search had spent; {elsewhere}",
            caption=f"Best accuracy so far: {spread}The dashed line is the target.",
        ),
        _table(quality_table([problem])),
        chart(
            f"{identifier}-hypervolume",
            hypervolume_drawing(comparison, problem, PAGE),
            label=f"Hypervolume of the front so far against the energy that the search had spent; {elsewhere}",
            caption=f"Hypervolume of the front so far: {spread}{_frame(problem)}",
        )
        if problem.frame is not None
        else None,
    )


def _has_band(problem: ProblemComparison) -> bool:
    return any(len(standing.seeds) >= ENOUGH_SEEDS for standing in problem.standings)


def _frame(problem: ProblemComparison) -> str:
    assert problem.frame is not None
    return (
        f"It is counted from the reference point (accuracy 0, {format_energy(problem.frame.high_j)} a training) to the"
        f" ideal point (accuracy 1, {format_energy(problem.frame.low_j)}; {problem.provenance}), with energy on a"
        " logarithmic scale; both are the same for all searches here, and are the dearest and the cheapest training"
        " among them."
    )


def _table(content: TextTable) -> Html:
    numeric = [index for index, title in enumerate(content.header) if index >= content.names and title != "Source"]
    return table(content.header, content.rows, caption=content.caption, numeric=numeric, names=content.names)


def _outside(comparison: Comparison, grid_intensity: float | None) -> str:
    searches = [search for problem in comparison.problems for search in problem.searches]
    spent_j = math.fsum(search.spent_j for search in searches)
    source = max((search.provenance for search in searches), key=lambda provenance: provenance.rank)
    return f"{len(searches)} searches: {describe_footprint(Energy(spent_j, 0.0, source), grid_intensity)}"


def _explanations() -> Sequence[Html]:
    texts = (
        "Energy to target is what a whole search had spent when a measurement first reached the target: its training,"
        " its evaluations, the optimiser's thinking and the idling in between. The figure is the median over seeds. A"
        " search that never got there counts as a miss, above all that it could spend; a median that falls on a miss is"
        " shown as “> energy”. Misses are never left out.",
        "“Times less” is the reference's median divided by the strategy's: above 1, the strategy needs less. Intervals"
        " are bootstrap percentile intervals over seeds, resampled in pairs where two strategies have the same seeds;"
        " an end at ∞ means that misses leave it open.",
        "p is that of the paired Wilcoxon signed-rank test against the reference, seed by seed, on the logarithm of the"
        " energy, exact, and adjusted by Holm for the number of strategies on the problem; a miss stands at what it"
        " could spend. A12 is the probability that the strategy needs less than the reference (Vargha and Delaney):"
        " 0.5 is no difference, 0.71 and more is usually called large.",
    )
    return [element("p", text) for text in texts]
