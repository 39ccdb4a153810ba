"""RQ2: what costs energy in the network: linear {3, 7} × convolutions {1, 4} × ReLU {absent, present}."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecoml.errors import UsageError
from ecoml.experiments.effects.effects import Effects
from ecoml.experiments.effects.files import effects_dict
from ecoml.experiments.effects.run import kept_factorial, run_factorial
from ecoml.experiments.paper.figures import RQ2
from ecoml.experiments.paper.study import Study
from ecoml.experiments.tables import NOTHING, table_of
from ecoml.format import format_energy
from ecoml.report.page.document import Table

if TYPE_CHECKING:
    from ecoml.searcher.searcher import Show

FACTORS = ("linear", "conv", "relu")
LEAST_SIDE = 16
"""Smallest side of an image in pixels: four convolutions halve it four times."""


def run_rq2(study: Study, out: Path, *, budget_j: float, show: Show | None = None) -> Effects:
    """Run the missing trainings of the factorial, and compute its effects. After a stop, the same call continues.

    Raises:
        UsageError: An argument cannot be used; images below 16 pixels cannot be halved four times.
        RunFolderError: The folder holds another run; nothing was written.
        KeyboardInterrupt: Ctrl-C was pressed; all measurements are saved.
    """
    if study.shape[1] < LEAST_SIDE:
        raise UsageError(
            f"{study.name}: images of {study.shape[1]} pixels cannot be halved four times; RQ2 takes {LEAST_SIDE}"
            " or more"
        )
    space, executor, draws, times = study.factorial_space(), study.executor, study.scale.draws, study.scale.draw_times
    kept_factorial(space, executor, FACTORS, out=out, draws=draws, times=times)  # refuses another before it writes
    study.write_data()
    return run_factorial(space, executor, FACTORS, out=out, budget_j=budget_j, draws=draws, times=times, show=show)


def rq2_dict(study: Study, effects: Effects) -> dict[str, Any]:
    """The effects as a JSON object, with the published effect of each factor; null where there is none."""
    known = RQ2.get(study.name, {})
    return {
        **effects_dict(effects),
        "data": study.name,
        "as_published": study.as_published,
        "size_differs": study.scale.in_words(rounds=False),
        "published": {name: known[name]._asdict() if name in known else None for name in FACTORS},
    }


def beside_published(study: Study, effects: Effects) -> Table:
    """The published effect of each factor, and the effect here."""
    rows = []
    for factor in effects.factors:
        published = RQ2.get(study.name, {}).get(factor.name)
        test, change = factor.energy, factor.changes[0]
        means = [format_energy(effects.mean_at(factor, level)[0]) for level in factor.levels]
        rows.append(
            (
                factor.name,
                f"{change.before} → {change.after}",
                NOTHING if published is None else f"{100 * published.energy:+.1f} %",
                f"{100 * change.energy:+.1f} %",
                NOTHING if published is None else f"{published.h:.5g}",
                NOTHING if test is None else f"{test.h:.4g}",
                NOTHING if published is None else f"{published.eta2:.3f}",
                NOTHING if test is None else f"{test.eta2:.3f}",
                " → ".join(means),
            )
        )
    header = (
        "Factor",
        "Level",
        "Energy, published",
        "Here",
        "H, published",
        "Here",
        "η², published",
        "Here",
        "Mean energy",
    )
    size = study.scale.in_words(rounds=False)
    told = f"; the size differs: {size}" if size else "; the size is the study's"
    caption = (
        f"RQ2 beside the published figures ({study.name}, {effects.provenance}{told})."
        " H grows with the size, η² does not"
    )
    return table_of(caption, header, rows, names=2)
