"""The one speaker: every number, unit and sentence that people read, in terminal, page and error alike.

Nothing here is read back: code compares the values of `ecoml.endings`, `ecoml.energy` and `ecoml.metric`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ecoml.endings import EndReason, FailureKind, SearchEnd, StopReason, TrialEnd
from ecoml.energy import J_PER_KWH, Energy, Provenance
from ecoml.metric import Metric

MEANING = {
    Provenance.MEASURED: "read from hardware counters",
    Provenance.SAMPLED: "integrated from power readings",
    Provenance.ATTRIBUTED: "a share of what a counter measured over a longer time",
    Provenance.REPORTED: "brought by the training itself",
    Provenance.ESTIMATED: "no energy counter was readable: CPU seconds × stated constants, to within a factor of two",
    Provenance.MISSING: "not metered",
}
"""What a provenance says about a figure."""


def format_energy(energy_j: float) -> str:
    """Joules, three significant digits: `0.42 J`, `812 J`, `4.31 kJ`, `1.20 MJ`; small ones as `1.2e-06 J`."""
    if not math.isfinite(energy_j):
        return f"{energy_j} J"
    for scale, unit in ((1e6, "MJ"), (1e3, "kJ")):
        if abs(energy_j) >= 0.9995 * scale:
            return f"{_three_digits(energy_j / scale)} {unit}"
    return f"{_three_digits(energy_j)} J"


def format_figure(energy: Energy) -> str:
    """Joules with their half-width; an estimate's interval is the same factor everywhere, and is told once."""
    if energy.uncertainty_j <= 0 or energy.provenance is Provenance.ESTIMATED:
        return format_energy(energy.energy_j)
    return f"{format_energy(energy.energy_j)} ± {format_energy(energy.uncertainty_j)}"


def format_interval(energy: Energy) -> str:
    """What is known of the true figure: `± 3.1 J`, or for an estimate `between … and …`."""
    if energy.provenance is Provenance.REPORTED and not energy.uncertainty_j:
        return "as reported"
    if energy.provenance is Provenance.ESTIMATED:
        low_j, high_j = estimate_interval(energy)
        return f"between {format_energy(low_j)} and {format_energy(high_j)}"
    return f"± {format_energy(energy.uncertainty_j)}"


def format_kwh(energy_j: float) -> str:
    """Joules as kWh, three significant digits."""
    return f"{energy_j / J_PER_KWH:.3g} kWh"


def percent(share: float | None, decimals: int = 2) -> str:
    """A share: `97.81 %`, `–` if there is none."""
    return "–" if share is None else f"{100 * share:.{decimals}f} %"


def format_score(metric: Metric, score: float | None) -> str:
    """A score: `97.81 %` for a share, else four significant digits; `–` if there is none."""
    if score is None or metric.is_share:
        return percent(score)
    return f"{score:.4g}"


def format_gain(metric: Metric, gain: float) -> str:
    """A difference between two scores: `0.4 percentage points`, `0.012`."""
    return f"{100 * gain:.2g} percentage points" if metric.is_share else f"{gain:.3g}"


def plural(count: int, noun: str) -> str:
    """`1 epoch`, `3 epochs`, `4 searches`."""
    return f"{count} {noun if count == 1 else plural_of(noun)}"


def plural_of(noun: str) -> str:
    """`epochs`, `searches`, `batches`."""
    return f"{noun}{'es' if noun.endswith(('ch', 's', 'x')) else 's'}"


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `3.5 h`, `4.2 days`."""
    for scale, unit in ((86400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * scale:
            amount = seconds / scale
            return f"{amount:.0f} {unit}" if amount >= 10 or unit == "min" else f"{amount:.1f} {unit}"
    return f"{seconds:.0f} s"


def format_config(config: Mapping[str, Any]) -> str:
    """A configuration in one line."""
    return "  ".join(
        f"{name}={f'{value:.4g}' if isinstance(value, float) else value}" for name, value in config.items()
    )


def describe_trial_end(end: TrialEnd, metric: Metric) -> str:
    """Why a trial is over, as the end of a sentence: `stopped: …`."""
    told = end.details
    if "message" in told:  # the words of an error, or of an earlier version
        return str(told["message"])
    match end.reason:
        case EndReason.FINISHED:
            return "finished"
        case EndReason.BUDGET:
            return "the budget ended"
        case EndReason.TARGET:
            return "the target was reached"
        case EndReason.SEARCH_ENDED:
            return "suspended, and not taken up again"
        case EndReason.INTERRUPTED:
            return "interrupted"
        case EndReason.TOOK_TOO_MUCH:
            return (
                f"it took {format_energy(told['energy_j'])}, more than the {format_energy(told['limit_j'])} that a"
                " training may take"
            )
        case EndReason.NEXT_STEP_TOO_MUCH:
            return (
                f"a further step would exceed the {format_energy(told['limit_j'])} that a training may take: it took"
                f" {format_energy(told['energy_j'])}"
            )
        case FailureKind.DIVERGED:
            return f"the {metric.name} is not a number: the training diverged"
        case FailureKind.OUT_OF_RANGE:
            return f"the {metric.name} is {told['score']:g}; {_range_of(metric)}"
        case FailureKind.BAD_ENERGY:
            return f"energy_j is {told['energy_j']}; give the joules since the measurement before, a positive number"
        case FailureKind.OUT_OF_MEMORY:
            return "out of memory"
        case FailureKind.WORKER_LOST:
            return "the process that trained it is gone"
        case FailureKind.NO_MEASUREMENT:
            return "it ended without a measurement: yield (or return) a score"
        case FailureKind.ERROR:
            return "it raised an error"


def describe_search_end(end: SearchEnd, metric: Metric) -> str:
    """Why a search is over, in a sentence without its full stop."""
    sentence = _search_end(end, metric)
    above = end.details.get("excluded_above")
    return sentence if above is None else f"{sentence}; networks of more than {above:,} parameters were left out"


def _search_end(end: SearchEnd, metric: Metric) -> str:
    told = end.details
    if "message" in told and end.reason is not StopReason.ERROR:
        return str(told["message"])
    match end.reason:
        case StopReason.BUDGET_SPENT if told.get("next_j"):
            return (
                f"the energy budget is spent: a further step takes about {format_energy(told['next_j'])}"
                f" ({told['provenance']}), and {format_energy(told['left_j'])} are left for it"
            )
        case StopReason.BUDGET_SPENT:
            return "the energy budget is spent"
        case StopReason.TARGET_REACHED:
            return f"the target was reached: {metric.name} {format_score(metric, told['target'])}"
        case StopReason.MAX_TRIALS:
            return f"{plural(told['trials'], 'trial')} were made"
        case StopReason.EXHAUSTED:
            return "every configuration has been tried"
        case StopReason.NOT_WORTH_IT:
            return (
                f"as much energy again ({format_energy(told['spent_j'])}) promises"
                f" {format_gain(metric, told['promise'])} of {metric.name} on average over the front, and less than"
                f" {format_gain(metric, told['worth'])} is not worth it"
            )
        case StopReason.NOTHING_FEASIBLE:
            return "no further feasible configuration was proposed"
        case StopReason.FAILURES:
            last = describe_trial_end(TrialEnd.of(told["last"]), metric)
            return f"{plural(told['trials'], 'trial')} in a row failed, the last one: {last}"
        case StopReason.INTERRUPTED:
            return "interrupted by the user"
        case StopReason.ERROR:
            return f"interrupted: {told['message']}"
        case StopReason.STRATEGY:
            return "the strategy ended it"


def estimate_interval(energy: Energy) -> tuple[float, float]:
    """Joules that an estimate may be in truth: as much below as above on a scale of ratios."""
    high_j = energy.energy_j + energy.uncertainty_j
    return (energy.energy_j**2 / high_j if high_j else 0.0), high_j


def _range_of(metric: Metric) -> str:
    if metric.is_share:
        return (
            "give the share of correct predictions, in [0, 1]"
            if "accuracy" in metric.name
            else "give a share in [0, 1]"
        )
    low = "−∞" if metric.low is None else f"{metric.low:g}"
    high = "∞" if metric.high is None else f"{metric.high:g}"
    return f"it must be finite, in [{low}, {high}]; say otherwise with ecoml.Metric(…, low=, high=)"


def _three_digits(value: float) -> str:
    if 0 < abs(value) < 0.005:
        return f"{value:.2g}"
    decimals = 0 if abs(value) >= 99.95 else 1 if abs(value) >= 9.995 else 2
    return f"{value:.{decimals}f}"
