"""What a search was asked for beyond the best for its budget, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ecoml.energy import format_energy
from ecoml.report.terminal.words import percent
from ecoml.run.result import Result
from ecoml.searcher.warm_start import about_warm_start


def asked_for(result: Result) -> Iterator[str]:
    """Target, limits, whether all is to be spent, and warm start: a line for each that was given."""
    run = result.settings["run"]
    if "target_accuracy" in run:
        yield f"Target: {percent(run['target_accuracy'])} validation accuracy, where the search ends"
    yield from limits_in_words(run)
    if (warm_start := result.settings.get("warm_start")) is not None:
        about = about_warm_start(warm_start, result.strategy)
        yield f"{about[0].upper()}{about[1:]}; its energy ({warm_start['provenance']}) is not charged again"


def limits_in_words(run: Mapping[str, Any]) -> Iterator[str]:
    """The limits in force, of the keys that `run.toml` has in its table `run`."""
    limits = [f"{run['max_parameters']:,} parameters a network"] if "max_parameters" in run else []
    most_j = run.get("max_energy_per_training_j")
    limits += [f"{format_energy(most_j)} a training"] if most_j is not None else []
    if limits:
        yield f"Limits: at most {' and '.join(limits)}"
    if run.get("spend_all"):
        yield "Told to spend all of the budget, however little is to be gained"
