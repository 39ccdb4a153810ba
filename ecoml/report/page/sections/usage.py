"""The cost of predictions with the front's models, and the number of images from which another model is better."""

from __future__ import annotations

from typing import Any

from ecoml.format import (
    capitalised,
    describe_flips,
    describe_lifetime,
    duration,
    format_bytes,
    format_figure,
    format_flop,
    format_score,
)
from ecoml.report.page.document import Cell, Row, Table
from ecoml.run.choice.lifetime import flips, lifetime_energy, lifetime_of, used
from ecoml.run.result import Result
from ecoml.trial import Trial


def usage_context(result: Result, inferences: float | None = None) -> dict[str, Any] | None:
    """A table and its conclusion; None if nothing was measured.

    Args:
        result: The run.
        inferences: Number of images that the model will predict, if known.
    """
    trials = used(result)
    if not trials:
        return None
    told = [describe_flips(flips(trials, result.metric))]
    if inferences is not None and (life := lifetime_of(result, inferences)) is not None:
        energy = lifetime_energy(life.recommended, inferences)
        told = [f"{describe_lifetime(life.recommended, inferences, energy)}.", *told]
    if len(trials) < len(result.choices):
        left = len(result.choices) - len(trials)
        told.append(f"Of {len(result.choices)} models {left} were not measured, to save energy.")
    return {"sentences": told, "table": _table(result, trials, inferences)}


def _table(result: Result, trials: list[Trial], inferences: float | None) -> Table:
    def row(trial: Trial) -> Row:
        usage = trial.usage
        assert usage is not None, "it is one of the measured models"
        figures = [Cell(format_figure(one.energy), one.energy.energy_j) for one in usage.inferences.values()]
        life = None if inferences is None else lifetime_energy(trial, inferences)
        return [
            Cell(f"{trial.number}", trial.number),
            Cell(f"{trial.step}", trial.step),
            Cell(format_score(result.metric, trial.score), trial.score),
            Cell(f"{usage.parameters:,}", usage.parameters),
            Cell(format_bytes(usage.file_bytes), usage.file_bytes),
            Cell(format_flop(usage.flop), usage.flop),
            Cell(duration(usage.single.latency_s), usage.single.latency_s),
            *figures,
            usage.single.energy.provenance.value,
            *([] if life is None else [Cell(format_figure(life), life.energy_j)]),
        ]

    sizes = [one.batch_size for one in (trials[0].usage.inferences.values() if trials[0].usage else ())]
    energies = ["Energy an image" if size == 1 else f"Energy an image, {size} at once" for size in sizes]
    header = ["Trial", capitalised(result.metric.step), capitalised(result.metric.name), "Parameters", "File", "Work"]
    header += ["Time of one", *energies, "Source", *([] if inferences is None else ["With its training"])]
    return Table(
        "Time and energy per image, idle power included",
        header,
        [row(trial) for trial in trials],
        numeric=[*range(1, 7 + len(energies)), *([] if inferences is None else [8 + len(energies)])],
        sortable=True,
    )
