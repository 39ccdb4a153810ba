"""Numbers with their units."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from ecoml.energy import J_PER_KWH, Energy, Provenance
from ecoml.metric import Metric, wilson


def format_energy(energy_j: float) -> str:
    """Joules, three significant digits: `61.0 µJ`, `0.42 J`, `812 J`, `4.31 kJ`, `1.20 MJ`."""
    if not math.isfinite(energy_j):
        return f"{energy_j} J"
    size_j = abs(energy_j)
    units = (("MJ", 1e6), ("kJ", 1e3), ("J", 1.0)) if size_j >= 0.0995 or not size_j else (("mJ", 1e-3), ("µJ", 1e-6))
    unit, scale = next((pair for pair in units if size_j >= 0.9995 * pair[1]), units[-1])
    return f"{_three_digits(energy_j / scale)} {unit}"


def format_figure(energy: Energy) -> str:
    """Joules with their half-width. An estimate has none here: its interval is the same factor everywhere, and is
    printed once.
    """
    if energy.uncertainty_j <= 0 or energy.provenance is Provenance.ESTIMATED:
        return format_energy(energy.energy_j)
    return f"{format_energy(energy.energy_j)} ± {format_energy(energy.uncertainty_j)}"


def format_interval(energy: Energy) -> str:
    """The interval of a figure: `± 3.1 J`, or for an estimate `between … and …`."""
    if energy.provenance is Provenance.REPORTED and not energy.uncertainty_j:
        return "as reported"
    if energy.provenance is Provenance.ESTIMATED:
        low_j, high_j = estimate_interval(energy)
        return f"between {format_energy(low_j)} and {format_energy(high_j)}"
    return f"± {format_energy(energy.uncertainty_j)}"


def estimate_interval(energy: Energy) -> tuple[float, float]:
    """The interval of an estimate in joules: the same factor below and above."""
    high_j = energy.energy_j + energy.uncertainty_j
    return (energy.energy_j**2 / high_j if high_j else 0.0), high_j


def format_kwh(energy_j: float) -> str:
    """Joules as kWh, three significant digits: `2 kWh`, `0.0000815 kWh`."""
    kwh = energy_j / J_PER_KWH
    if 0 < kwh < 1e-4:
        return f"{kwh:.{2 - math.floor(math.log10(kwh))}f} kWh"
    return f"{kwh:.3g} kWh"


def energy_unit(energy_j: float) -> tuple[str, float]:
    """The unit that suits an energy (kWh, Wh or J), and its joules."""
    for unit, unit_j in (("kWh", J_PER_KWH), ("Wh", J_PER_KWH / 1000)):
        if energy_j >= unit_j / 10:
            return unit, unit_j
    return "J", 1.0


def format_power(power_w: float | None) -> str:
    """Watts, three significant digits; `–` for None."""
    return "–" if power_w is None else f"{power_w:.3g} W" if power_w < 1000 else f"{power_w:.0f} W"


def quantity(value: float | None, unit: str) -> str:
    """A whole number with its unit: `71 °C`; `–` for None."""
    return "–" if value is None else f"{value:.0f} {unit}"


def percent(share: float | None, decimals: int = 2) -> str:
    """A share: `97.81 %`; `–` for None."""
    return "–" if share is None else f"{100 * share:.{decimals}f} %"


def format_score(metric: Metric, score: float | None) -> str:
    """A score: `97.81 %` for a share, else four significant digits; `–` for None."""
    if score is None or metric.is_share:
        return percent(score)
    return f"{score:.4g}"


def format_score_interval(metric: Metric, score: float, images: float) -> str:
    """The interval of a share of this many images: `between 95.4 and 99.0 %`; empty if the score is no share."""
    if not metric.is_share:
        return ""
    low, high = wilson(score, images)
    return f"between {100 * low:.1f} and {percent(high, 1)}"


def format_sure(metric: Metric, score: float | None, data: Mapping[str, Any] | None, part: str = "validation") -> str:
    """A score with its interval: `97.81 % (95.4–99.0)`; only the score if the interval is unknown.

    Args:
        metric: The metric.
        score: The score; `–` for None.
        data: Table [data] of `run.toml`, which has the number of images that count; None if unknown.
        part: Where the score was measured: `validation` or `test`.
    """
    images = (data or {}).get(f"{part}_counts_as")
    if score is None or not images or not metric.is_share:
        return format_score(metric, score)
    low, high = wilson(score, images)
    return f"{format_score(metric, score)} ({100 * low:.1f}–{100 * high:.1f})"


def named_score(metric: Metric, score: float | None) -> str:
    """A score with its name: `97.81 % validation accuracy`, `validation loss 0.31`."""
    shown = format_score(metric, score)
    return f"{shown} {metric.name}" if metric.is_share else f"{metric.name} {shown}"


def format_range(metric: Metric) -> str:
    """The range of the scores: `[0, 1]`, `[0, ∞]`."""
    low = "−∞" if metric.low is None else f"{metric.low:g}"
    high = "∞" if metric.high is None else f"{metric.high:g}"
    return f"[{low}, {high}]"


def format_p(p: float) -> str:
    """A p-value: `0.031`, `< 0.001`."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def score_title(metric: Metric) -> str:
    """The score's name for a heading or an axis: `Validation accuracy`, `Validation loss (lower is better)`."""
    return f"{capitalised(metric.name)}{' (lower is better)' if metric.minimize else ''}"


def format_gain(metric: Metric, gain: float, *, bare: bool = False) -> str:
    """A difference between two scores: `0.4 percentage points`, `0.012`; with `bare`, only the number."""
    if not metric.is_share:
        return f"{gain:.3g}"
    points = f"{100 * gain:.2g}" if abs(gain) < 0.995 else f"{100 * gain:,.0f}"
    return points if bare else f"{points} percentage point{'' if points == '1' else 's'}"


def plural(count: int, noun: str) -> str:
    """`1 epoch`, `3 epochs`, `2,500 searches`."""
    return f"{count:,} {noun if count == 1 else plural_of(noun)}"


def plural_of(noun: str) -> str:
    """`epochs`, `searches`, `batches`, `processes`, `strategies`."""
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}{'es' if noun.endswith(('ch', 's', 'x')) and noun != 'epoch' else 's'}"


def capitalised(words: str) -> str:
    """The words with their first letter in upper case; the others keep theirs: `Macro F1`."""
    return f"{words[:1].upper()}{words[1:]}"


def duration(seconds: float) -> str:
    """`40 ms`, `2.5 s`, `40 s`, `12 min`, `3.5 h`, `4.2 days`."""
    for scale, unit in ((86400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * scale:
            amount = seconds / scale
            return f"{amount:.0f} {unit}" if amount >= 10 or unit == "min" else f"{amount:.1f} {unit}"
    if 0 < seconds < 0.9995:
        return f"{1e3 * seconds:.3g} ms"
    return f"{seconds:.2g} s" if seconds < 9.95 else f"{seconds:.0f} s"


def format_config(config: Mapping[str, Any], only: Collection[str] | None = None) -> str:
    """A configuration in one line; with `only`, no other parameters than these."""
    return ", ".join(
        f"{name}={f'{value:.4g}' if isinstance(value, float) else value}"
        for name, value in config.items()
        if only is None or name in only
    )


def _three_digits(value: float) -> str:
    if 0 < abs(value) < 0.005:
        return f"{value:.2g}"
    decimals = 0 if abs(value) >= 99.95 else 1 if abs(value) >= 9.995 else 2
    return f"{value:.{decimals}f}"
