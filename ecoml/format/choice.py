"""Sentences on the recommended trial, and on what the cheaper one gives up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecoml.format.figures import format_energy, format_gain, plural
from ecoml.metric import Metric

if TYPE_CHECKING:
    from ecoml.trial import Trial


def describe_reason(metric: Metric, *, on_front: bool, default_margin: float | None) -> str:
    """Why the recommended trial is the recommended one, as the end of a sentence."""
    if default_margin is not None:
        differ = f"repeated trainings differ ({format_gain(metric, default_margin)})"
        return f"the default, because no other is expected to be better by more than {differ}"
    if on_front:
        return "the best expected score"
    return (
        "the best expected score. It is not on the front: a cheaper one measured at least as well, but is expected to"
        " be worse"
    )


def describe_frugal(best: Trial, frugal: Trial, enough: float, metric: Metric) -> str:
    """What the cheapest trial close to the recommended one saves and gives up, as the end of a sentence."""
    if (frugal.number, frugal.step) == (best.number, best.step):
        close = f"within {format_gain(metric, enough)} of it" if enough else "to be as good"
        return f"the same: no cheaper one is expected {close}"
    lost = best.curve[-1].utility - frugal.curve[-1].utility
    measured = f"{format_gain(metric, abs(lost))} {'worse' if lost > 0 else 'better'}" if lost else "the same"
    return (
        f"trial {frugal.number} after {plural(frugal.step, metric.step)}: {best.energy_j / frugal.energy_j:.3g} times"
        f" less energy of training ({format_energy(frugal.energy_j)}, {frugal.energy.provenance}), and it measured"
        f" {measured}"
    )
