"""Effects as tables and sentences, the same for terminal and documents, and as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from ecoml.experiments.compare.comparison_notes import p_text
from ecoml.experiments.compare.comparison_tables import NOTHING, TextTable
from ecoml.experiments.compare.significance import SIGNIFICANT
from ecoml.experiments.effects.effects import Change, Effects, RankTest
from ecoml.format import format_energy, percent


def factors_table(effects: Effects) -> TextTable:
    """Each factor: how much of the energy it explains, and what its levels change."""
    rows = []
    for factor in effects.factors:
        for number, change in enumerate(c for c in factor.changes if c.before == factor.levels[0]):
            tested = (*_test(factor.energy), _test(factor.score)[2]) if number == 0 else ("", "", "", "")
            rows.append((factor.name, f"{change.before} → {change.after}", *_change(change), *tested))
    header = (
        "Factor",
        "Level",
        "Energy",
        "95 % interval",
        "Accuracy",
        "p (Holm)",
        "H",
        "p of H",
        "η² energy",
        "η² accuracy",
    )
    paired = f"{effects.draws} draws of the other parameters are shared" if effects.draws else "no draws are shared"
    caption = (
        f"Factors: change of the mean over {len(effects.trainings)} trainings from the first level"
        f" ({effects.provenance}; {paired}); H of Kruskal and Wallis, and η² with k = the factor's levels"
    )
    return TextTable(caption, header, tuple(rows), names=2)


def cells_table(effects: Effects) -> TextTable:
    """Each combination of levels."""
    names = tuple(factor.name for factor in effects.factors)
    rows = tuple(
        (
            *map(str, cell.levels),
            str(cell.n),
            format_energy(cell.energy_j),
            _share(cell.energy_cv),
            percent(cell.score, 1),
            _share(cell.score_cv),
            NOTHING if cell.shapiro_p is None else p_text(cell.shapiro_p),
        )
        for cell in effects.cells
    )
    header = (*names, "Trainings", "Mean energy", "CV", "Mean accuracy", "CV", "p of Shapiro and Wilk")
    caption = f"Cells ({effects.provenance}); CV is standard deviation / mean"
    return TextTable(caption, header, rows, names=len(names))


def post_hoc_table(effects: Effects) -> TextTable:
    """Each pair of cells."""
    test = "signed-rank test, draw by draw" if effects.draws > 1 else "Mann–Whitney test"
    rows = tuple((_cell(change.before), _cell(change.after), *_change(change)) for change in effects.post_hoc)
    header = ("Cell", "Against", "Energy", "95 % interval", "Accuracy", "p (Holm)")
    caption = f"Pairs of cells ({effects.provenance}): {test}, {len(rows)} p-values adjusted after Holm"
    return TextTable(caption, header, rows, names=2)


def effects_sentences(effects: Effects) -> Iterator[str]:
    """What it amounts to."""
    factor, cheap, dear = effects.extremes
    (low_j, low), (high_j, high) = effects.mean_at(factor, cheap), effects.mean_at(factor, dear)
    lost = 100 * (high - low)
    yield (
        f"E+ ({factor.name} = {dear}) takes {format_energy(high_j)} a training at {percent(high, 1)} mean accuracy, E−"
        f" ({factor.name} = {cheap}) {format_energy(low_j)} at {percent(low, 1)} ({effects.provenance}):"
        f" {percent(1 - low_j / high_j, 0)} less energy, and {abs(lost):.2f} points"
        f" {'less' if lost >= 0 else 'more'} accuracy."
    )
    odd = [cell for cell in effects.cells if cell.shapiro_p is not None and cell.shapiro_p < SIGNIFICANT]
    tested = [cell for cell in effects.cells if cell.shapiro_p is not None]
    yield (
        f"Normality of the energies is rejected in {len(odd)} of {len(tested)} cells"
        f" (Shapiro and Wilk, p < {SIGNIFICANT:g})."
    )
    differ = sum(change.p < SIGNIFICANT for change in effects.post_hoc)
    yield f"Of {len(effects.post_hoc)} pairs of cells {differ} differ in energy after Holm."
    if effects.failed:
        yield f"{effects.failed} trainings are left out: they failed, or were cut off before their end."


def effects_dict(effects: Effects) -> dict[str, Any]:
    """For JSON; what is not a number is null."""
    factor, cheap, dear = effects.extremes
    content = {
        "provenance": effects.provenance.value,
        "trainings": len(effects.trainings),
        "left_out": effects.failed,
        "shared_draws": effects.draws,
        "factors": [asdict(found) for found in effects.factors],
        "cells": [asdict(cell) for cell in effects.cells],
        "post_hoc": [asdict(change) for change in effects.post_hoc],
        "extremes": {
            "factor": factor.name,
            **{
                sign: dict(
                    zip(("level", "energy_j", "accuracy"), (level, *effects.mean_at(factor, level)), strict=True)
                )
                for sign, level in (("cheapest", cheap), ("dearest", dear))
            },
        },
    }
    finite: dict[str, Any] = _finite(content)
    return finite


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _change(change: Change) -> tuple[str, str, str, str]:
    interval = NOTHING if change.interval is None else f"{_signed(change.interval[0])} to {_signed(change.interval[1])}"
    return _signed(change.energy), interval, f"{100 * change.score:+.2f} points", p_text(change.p)


def _test(test: RankTest | None) -> tuple[str, str, str]:
    return (NOTHING,) * 3 if test is None else (f"{test.h:.4g}", p_text(test.p), f"{test.eta2:.3f}")


def _signed(share: float) -> str:
    return f"{100 * share:+.1f} %"


def _share(value: float) -> str:
    return percent(value, 1) if math.isfinite(value) else NOTHING


def _cell(levels: tuple[Any, ...]) -> str:
    return "/".join(map(str, levels))
