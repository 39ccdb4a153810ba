"""Trials and figures in words, the same in every view."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ecoml.energy import Provenance
from ecoml.trial import Trial

_BLOCKS = "▁▂▃▄▅▆▇█"

MEANING = {
    Provenance.MEASURED: "read from hardware counters",
    Provenance.SAMPLED: "integrated from power readings",
    Provenance.REPORTED: "brought by the training itself",
    Provenance.ESTIMATED: "no energy counter was readable: CPU seconds × stated constants, to within a factor of two",
    Provenance.MISSING: "not metered",
}
"""What a provenance says about a figure."""


def percent(score: float | None) -> str:
    """An accuracy for a reader, `–` if there is none."""
    return "–" if score is None else f"{100 * score:.2f} %"


def config_line(config: Mapping[str, Any]) -> str:
    """A configuration in one line."""
    return "  ".join(
        f"{name}={f'{value:.4g}' if isinstance(value, float) else value}" for name, value in config.items()
    )


def sparkline(trial: Trial, width: int = 24) -> str:
    """A trial's accuracies as little blocks, from its lowest to its highest."""
    scores = [point.score for point in trial.curve][-width:]
    if not scores:
        return ""
    low, high = min(scores), max(scores)
    scale = (len(_BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(_BLOCKS[round((score - low) * scale)] for score in scores)


def steps(trial: Trial, name: str = "step") -> str:
    """How long a trial was trained."""
    return f"{trial.step} {name}{'' if trial.step == 1 else 's'}"
