"""The tables of a comparison, the same for terminal and page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ecoml.carbon.footprint import Footprint
from ecoml.experiments.compare.comparison import Comparison
from ecoml.experiments.compare.notes import footprint_sentence, notes
from ecoml.experiments.compare.quality import SHARES_OF_BUDGET
from ecoml.experiments.compare.searches import can_write_parquet
from ecoml.experiments.compare.significance import SIGNIFICANT
from ecoml.experiments.compare.standings import ProblemComparison, Standing
from ecoml.experiments.tables import NOTHING, print_tables, table_of
from ecoml.format import format_energy, format_p, format_score, named_score, percent
from ecoml.report.page.document import Table
from ecoml.report.statistics import Ratio

NO_PARQUET = "compare.parquet was left out: it needs pyarrow, pip install 'ecoml[parquet]'"


def print_comparison(comparison: Comparison, page: Path, footprint: Footprint | None = None) -> None:
    """Print tables, notes, the CO2e if known, and the paths of the rest.

    Over several problems, the quality table is on the page only.
    """
    problems = comparison.problems
    tables = [energy_table(problems)]
    if len(comparison.targets) > 1:
        tables += [sweep_table(problem, comparison.targets) for problem in problems]
    if len(problems) == 1:
        tables.append(quality_table(problems))
    else:
        tables += [means_table(comparison), *filter(None, [ranks_table(comparison)])]
    print_tables(*tables)
    for note in notes(comparison):
        print(note)
    if footprint is not None:
        print(footprint_sentence(comparison, footprint))
    if not can_write_parquet():
        print(NO_PARQUET)
    print(f"Page, figures and numbers: {page.parent}/")


def energy_table(problems: Sequence[ProblemComparison]) -> Table:
    """Energy to target by strategy; with several problems, the first column names the problem."""
    header = ("Strategy", "Reached", "Energy to target", "95 % interval", "Times less", "p", "A12", "Source")
    rows = [(problem.name, *_energy_cells(problem, s)) for problem in problems for s in problem.standings]
    caption = "Energy until the target, problem by problem"
    if len(problems) == 1:
        (problem,) = problems
        origin = "as given" if problem.given else f"the best that {problem.reference} reached, of its median seed"
        caption = f"Energy until {named_score(problem.metric, problem.target)}, {origin} ({problem.provenance})"
    return _table(caption, header, rows, problems)


def quality_table(problems: Sequence[ProblemComparison]) -> Table:
    """The results without a target, after several shares of the budget."""
    names = {problem.metric.name for problem in problems}
    at = [f"HV {share:.0%}" for share in SHARES_OF_BUDGET]
    best = f"Best {names.pop()}" if len(names) == 1 else "Best score"
    rows = []
    for problem in problems:
        for standing in problem.standings:
            quality = problem.quality[standing.strategy]
            volumes = [f"{volume:.3f}" for volume in quality.hypervolumes] or [NOTHING] * len(SHARES_OF_BUDGET)
            interval = quality.hypervolume_interval
            rows.append(
                (
                    problem.name,
                    standing.strategy,
                    str(len(standing.seeds)),
                    format_score(problem.metric, quality.best),
                    *volumes,
                    NOTHING if interval is None else f"{interval[0]:.3f} – {interval[1]:.3f}",
                    percent(quality.optimiser_share, 1),
                )
            )
    caption = (
        "Results, median over seeds; HV is hypervolume as a share of its frame, after this share of the budget,"
        " with the interval of the last one"
    )
    return _table(caption, ("Strategy", "Seeds", best, *at, "95 % interval", "Optimiser"), rows, problems)


def sweep_table(problem: ProblemComparison, targets: Sequence[float]) -> Table:
    """Median energy to each of several targets."""
    header = ("Target", *(standing.strategy for standing in problem.standings))
    rows = [
        (
            format_score(problem.metric, target),
            *(f"{energy_text(s)} ({s.reached}/{len(s.seeds)})" for s in problem.at(target)),
        )
        for target in sorted(targets)
    ]
    return table_of(f"Energy to each target, and how many seeds reached it ({problem.provenance})", header, rows)


def means_table(comparison: Comparison) -> Table:
    """Times less energy than the reference, over all problems."""
    rows = [
        (
            mean.strategy,
            ratio_words(mean.overall),
            f"{mean.problems} of {mean.of}",
            ratio_text(mean.value) if mean.problems else NOTHING,
            f"{ratio_text(mean.low)} to {ratio_text(mean.high)}" if mean.problems else NOTHING,
        )
        for mean in comparison.means
    ]
    header = ("Strategy", "Times less, all problems", "Reached", "Times less, where reached", "Range")
    return table_of(
        "Energy to target against the reference, geometric means; over all problems a miss counts at its bound",
        header,
        rows,
    )


def ranks_table(comparison: Comparison) -> Table | None:
    """Mean ranks, with Nemenyi's p-values between all pairs; None if there is no test."""
    ranks = comparison.ranks
    if ranks is None:
        return None
    rows = []
    for name, rank, row in zip(ranks.strategies, ranks.mean_ranks, ranks.pairwise_p, strict=True):
        others = zip(ranks.strategies, row, strict=True)
        rows.append((name, f"{rank:.2f}", *(NOTHING if other == name else format_p(p) for other, p in others)))
    told = (
        f"two that are more than {ranks.critical_difference:.2f} apart differ significantly (Nemenyi's p between pairs)"
        if ranks.p < SIGNIFICANT
        else "they do not differ significantly, whatever Nemenyi's p between pairs"
    )
    caption = (
        f"Mean ranks over {ranks.problems} problems, 1 is the least energy. Friedman's test: p = {format_p(ranks.p)};"
        f" {told}"
    )
    return table_of(caption, ("Strategy", "Mean rank", *(f"p to {name}" for name in ranks.strategies)), rows)


def energy_text(standing: Standing) -> str:
    """The median energy to target, or its bound."""
    if math.isfinite(standing.energy_j):
        return format_energy(standing.energy_j)
    return f"> {format_energy(standing.at_least_j)}"


def ratio_text(value: float) -> str:
    """A ratio in words: `5.12×`."""
    return "∞" if math.isinf(value) else f"{value:.2f}×" if value < 10 else f"{value:.1f}×"


def ratio_words(ratio: Ratio | None) -> str:
    """A ratio, or a bound of one: `> 5.12×`."""
    if ratio is None:
        return NOTHING
    return f"{'' if ratio.relation == '=' else ratio.relation + ' '}{ratio_text(ratio.value)}"


def _energy_cells(problem: ProblemComparison, standing: Standing) -> Iterator[str]:
    yield standing.strategy
    yield f"{standing.reached} of {len(standing.seeds)}"
    yield energy_text(standing)
    yield NOTHING if standing.interval_j is None else _interval(standing.interval_j)
    if standing.strategy == problem.reference:
        yield "reference"
    else:
        ratio = standing.ratio
        span = f" ({_bare(ratio.interval[0])}–{_bare(ratio.interval[1])})" if ratio and ratio.interval else ""
        yield ratio_words(ratio) + span
    effect = standing.effect
    yield NOTHING if effect is None or effect.p is None else format_p(effect.p)
    yield NOTHING if effect is None else f"{effect.a12:.2f}"
    yield problem.quality[standing.strategy].provenance.value


def _interval(interval_j: tuple[float, float]) -> str:
    ends = [format_energy(end_j) if math.isfinite(end_j) else "∞" for end_j in interval_j]
    return " – ".join(dict.fromkeys(ends))


def _bare(value: float) -> str:
    return ratio_text(value).removesuffix("×")


def _table(
    caption: str, header: Sequence[str], rows: Iterable[Sequence[str]], problems: Sequence[ProblemComparison]
) -> Table:
    """The table; with several problems the first column names them, and columns without any value are left out."""
    rows = list(rows)
    titles = ("Problem", *header)
    first = 0 if len(problems) > 1 else 1
    kept = [column for column in range(first, len(titles)) if any(row[column] != NOTHING for row in rows)]
    cells = [[row[column] for column in kept] for row in rows]
    return table_of(caption, [titles[column] for column in kept], cells, names=2 - first)
