"""What a model costs to use, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ecoml.format.figures import duration, format_energy, format_figure, plural

if TYPE_CHECKING:
    from ecoml.energy import Energy
    from ecoml.trial import Inference, Trial, Usage


def format_bytes(count: int) -> str:
    """`512 B`, `5.6 kB`, `1.2 MB`."""
    return _scaled(count, "B")


def format_flop(count: int) -> str:
    """`609 kFLOP`, `1.2 MFLOP`."""
    return _scaled(count, "FLOP")


def format_count(count: float) -> str:
    """A number of inferences: `850`, `3,400`, `1.2 million`."""
    if count >= 999_500:
        unit, scale = ("billion", 1e9) if count >= 999.5e6 else ("million", 1e6)
        return f"{count / scale:,.3g} {unit}"
    digits = 10 ** max(0, math.floor(math.log10(count)) - 1) if count >= 1 else 1
    return f"{round(count / digits) * digits:,.0f}"


def describe_usage(usage: Usage) -> list[str]:
    """Size, and time and energy of an image by how many are predicted at once, a sentence each."""
    size = f"{plural(usage.parameters, 'parameter')}, a file of {format_bytes(usage.file_bytes)}"
    told = [f"{size}, {format_flop(usage.flop)} an image"]
    return told + [_inference(one) for one in usage.inferences.values()]


def _inference(one: Inference) -> str:
    at_once = "one image at a time" if one.batch_size == 1 else f"{one.batch_size} images at once"
    each_s = one.latency_s / one.batch_size
    energy = f"{format_figure(one.energy)} ({one.energy.provenance})"
    return f"{at_once}: {duration(each_s)} and {energy} an image"


def describe_flips(found: Sequence[tuple[float, Trial]]) -> str:
    """From how many images on which trial takes the least energy, training included."""
    if not found:
        return ""

    def which(trial: Trial) -> str:
        return f"trial {trial.number}, step {trial.step}"

    first = f"Training and predictions together, {which(found[0][1])} takes the least of those as good as the best"
    if len(found) == 1:
        return f"{first}, however many images are predicted."
    rest = "; ".join(f"from {format_count(count)} images on {which(trial)}" for count, trial in found[1:])
    return f"{first}; {rest}."


def describe_lifetime(trial: Trial, inferences: float, energy: Energy) -> str:
    """What a trial takes over its life, without its full stop."""
    return (
        f"For {format_count(inferences)} images, one at a time: trial {trial.number}, step {trial.step},"
        f" takes the least energy, {format_energy(energy.energy_j)} with its training ({energy.provenance})"
    )


def _scaled(count: float, unit: str) -> str:
    for prefix, scale in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= 0.9995 * scale:
            return f"{count / scale:.3g} {prefix}{unit}"
    return f"{count:.0f} {unit}"
