"""Effects as tables and sentences, the same for terminal and documents."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from ecoml.experiments.compare.significance import SIGNIFICANT
from ecoml.experiments.effects.effects import Effects
from ecoml.experiments.effects.rank_tests import Change, RankTest
from ecoml.experiments.tables import NOTHING, table_of
from ecoml.format import capitalised, format_energy, format_gain, format_p, format_score, percent, plural
from ecoml.metric import Metric
from ecoml.report.page.document import Table


def factors_table(effects: Effects) -> Table:
    """Each factor: the share of the energy it explains, and the changes between its levels."""
    rows = []
    for factor in effects.factors:
        for number, change in enumerate(c for c in factor.changes if c.before == factor.levels[0]):
            tested = (*_test(factor.energy), _test(factor.score)[2]) if number == 0 else ("", "", "", "")
            rows.append((factor.name, f"{change.before} → {change.after}", *_change(change, effects.metric), *tested))
    name = effects.metric.name
    header = ("Factor", "Level", "Energy", "95 % interval", capitalised(name), "p (Holm)", "H", "p of H")
    paired = f"{effects.draws} draws of the other parameters are shared" if effects.draws else "no draws are shared"
    caption = (
        f"Factors: change of the mean over {plural(len(effects.trainings), 'training')} from the first level"
        f" ({effects.provenance}; {paired}); H of Kruskal and Wallis, and η² with k = the factor's levels"
    )
    return table_of(caption, (*header, "η² energy", f"η² {name}"), rows, names=2)


def cells_table(effects: Effects) -> Table:
    """Each combination of levels."""
    names = tuple(factor.name for factor in effects.factors)
    rows = [
        (
            *map(str, cell.levels),
            str(cell.n),
            format_energy(cell.energy_j),
            _share(cell.energy_cv),
            format_score(effects.metric, cell.score),
            _share(cell.score_cv),
            _p(cell.shapiro_p),
        )
        for cell in effects.cells
    ]
    header = (*names, "Trainings", "Mean energy", "CV", f"Mean {effects.metric.name}", "CV", "p of Shapiro and Wilk")
    return table_of(f"Cells ({effects.provenance}); CV is standard deviation / mean", header, rows, names=len(names))


def post_hoc_table(effects: Effects) -> Table:
    """Each pair of cells."""
    test = "signed-rank test, draw by draw" if effects.draws > 1 else "Mann–Whitney test"
    rows = [(_cell(c.before), _cell(c.after), *_change(c, effects.metric)) for c in effects.post_hoc]
    header = ("Cell", "Against", "Energy", "95 % interval", capitalised(effects.metric.name), "p (Holm)")
    tested = "nothing is tested" if effects.chosen_by else f"{test}, {len(rows)} p-values adjusted after Holm"
    return table_of(f"Pairs of cells ({effects.provenance}): {tested}", header, rows, names=2)


def effects_sentences(effects: Effects) -> Iterator[str]:
    """The conclusions, as sentences."""
    metric = effects.metric
    factor, cheap, dear = effects.extremes
    (low_j, low), (high_j, high) = effects.mean_at(factor, cheap), effects.mean_at(factor, dear)
    yield (
        f"E+ ({factor.name} = {dear}) takes {format_energy(high_j)} a training at a mean {metric.name} of"
        f" {format_score(metric, high)}, E− ({factor.name} = {cheap}) {format_energy(low_j)} at"
        f" {format_score(metric, low)} ({effects.provenance}): {percent(1 - low_j / high_j, 0)} less energy, and a"
        f" {metric.name} that is {format_gain(metric, abs(high - low))} {'lower' if low <= high else 'higher'}."
    )
    if effects.chosen_by:
        yield (
            f"Nothing here is tested: {effects.chosen_by} chose these configurations by earlier results, so"
            " that trials with different levels also differ otherwise. For tests run a factorial (ecoml effects SPACE"
            f" --factor {factor.name}), or look at a run of random or grid search."
        )
    else:
        tested = [cell.shapiro_p for cell in effects.cells if cell.shapiro_p is not None]
        yield (
            f"Normality of the energies is rejected in {sum(p < SIGNIFICANT for p in tested)} of {len(tested)} cells"
            f" (Shapiro and Wilk, p < {SIGNIFICANT:g})."
        )
        differ = sum(change.p is not None and change.p < SIGNIFICANT for change in effects.post_hoc)
        yield f"Of {plural(len(effects.post_hoc), 'pair')} of cells {differ} differ in energy after Holm."
    if effects.unfinished:
        yield f"{effects.unfinished}."
    if effects.failed:
        yield f"{plural(effects.failed, 'training')} left out: failed, or cut off before the end."


def _change(change: Change, metric: Metric) -> tuple[str, str, str, str]:
    interval = NOTHING if change.interval is None else f"{_signed(change.interval[0])} to {_signed(change.interval[1])}"
    gain = f"{'+' if change.score >= 0 else '−'}{format_gain(metric, abs(change.score))}"
    return _signed(change.energy), interval, gain, _p(change.p)


def _test(test: RankTest | None) -> tuple[str, str, str]:
    return (NOTHING,) * 3 if test is None else (f"{test.h:.4g}", _p(test.p), f"{test.eta2:.3f}".replace("-", "−"))


def _p(p: float | None) -> str:
    return NOTHING if p is None else format_p(p)


def _signed(share: float) -> str:
    return f"{100 * share:+.1f} %".replace("-", "−")


def _share(value: float) -> str:
    return percent(value, 1) if math.isfinite(value) else NOTHING


def _cell(levels: tuple[Any, ...]) -> str:
    return "/".join(map(str, levels))
