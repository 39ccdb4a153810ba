"""Sentences on what predictions with a model cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ecoml.format.figures import duration, format_energy, format_figure, plural

if TYPE_CHECKING:
    from ecoml.energy import Energy
    from ecoml.limits import Limits
    from ecoml.trial import Inference, Trial, Usage


def format_bytes(count: int) -> str:
    """`512 B`, `5.6 kB`, `1.2 MB`."""
    return _scaled(count, "B")


def format_flop(count: int) -> str:
    """`609 kFLOP`, `1.2 MFLOP`."""
    return _scaled(count, "FLOP")


def format_count(count: float) -> str:
    """A number of predictions: `850`, `3,400`, `1.2 million`."""
    if count >= 999_500:
        unit, scale = ("billion", 1e9) if count >= 999.5e6 else ("million", 1e6)
        return f"{count / scale:,.3g} {unit}"
    digits = 10 ** max(0, math.floor(math.log10(count)) - 1) if count >= 1 else 1
    return f"{round(count / digits) * digits:,.0f}"


def describe_usage(usage: Usage) -> list[str]:
    """Size of the model, and time and energy per image by batch size: a sentence each."""
    size = f"{plural(usage.parameters, 'parameter')}, a file of {format_bytes(usage.file_bytes)}"
    told = [f"{size}, {format_flop(usage.flop)} an image"]
    return told + [_inference(one) for one in usage.inferences.values()]


def _inference(one: Inference) -> str:
    at_once = "one image at a time" if one.batch_size == 1 else f"{one.batch_size} images at once"
    each_s = one.latency_s / one.batch_size
    energy = f"{format_figure(one.energy)} ({one.energy.provenance})"
    return f"{at_once}: {duration(each_s)} and {energy} an image"


def of_use(limits: Limits) -> list[str]:
    """The limits on one prediction as text: `5 ms`, `2 mJ`."""
    most_s, most_j = limits.max_latency_s, limits.max_inference_energy_j
    return ([] if most_s is None else [duration(most_s)]) + ([] if most_j is None else [format_energy(most_j)])


def describe_nearest(nearest: Trial | None, limits: Limits) -> str:
    """The message that no network satisfies the limits on predictions, with the nearest one, without its full stop."""
    asked = " and ".join(of_use(limits))
    if nearest is None or nearest.usage is None:
        return f"No prediction was measured, so no network is known to take at most {asked} per prediction"
    one = nearest.usage.single
    takes = f"{duration(one.latency_s)} and {format_figure(one.energy)} ({one.energy.provenance})"
    return f"No network takes at most {asked} per prediction: the nearest, trial {nearest.number}, takes {takes}"


def describe_flips(found: Sequence[tuple[float, Trial]]) -> str:
    """The trial that takes the least energy, training included, by the number of predicted images."""
    if not found:
        return ""

    def which(trial: Trial) -> str:
        return f"trial {trial.number}, step {trial.step}"

    first = (
        f"Training and predictions together, {which(found[0][1])} takes the least energy of those as good as the best"
    )
    if len(found) == 1:
        return f"{first}, however many images are predicted."
    rest = "; ".join(f"from {format_count(count)} images on {which(trial)}" for count, trial in found[1:])
    return f"{first}; {rest}."


def describe_lifetime(trial: Trial, inferences: float, energy: Energy) -> str:
    """The energy of a trial with all its predictions, without its full stop."""
    return (
        f"For {format_count(inferences)} images, one at a time: trial {trial.number}, step {trial.step},"
        f" takes the least energy, {format_energy(energy.energy_j)} with its training ({energy.provenance})"
    )


def _scaled(count: float, unit: str) -> str:
    for prefix, scale in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= 0.9995 * scale:
            return f"{count / scale:.3g} {prefix}{unit}"
    return f"{count:.0f} {unit}"
