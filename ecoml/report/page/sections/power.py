"""Power over time as a section of a page, with the trials marked; for runs with a power trace."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from ecoml.energy import weakest
from ecoml.format import format_power, percent, quantity
from ecoml.report.page.document import Chart, Table
from ecoml.run.folder import LEDGER
from ecoml.run.result import Result
from ecoml.run.storage.snapshot import PowerSample, read_trace

if TYPE_CHECKING:
    from ecoml.report.charts.drawing import Drawing, Style

MOST_SAMPLES = 600
"""Largest number of samples per domain in the chart; neighbouring samples are merged, so that the area remains the
energy.
"""

MOST_BANDS = 200
"""Largest number of marked trials; the longest are marked."""

Timed = tuple[float, PowerSample]
"""Seconds of the search at a sample's end, without pauses between sessions; and the sample."""


def power_context(result: Result) -> dict[str, Any] | None:
    """Mean power of each domain per second; None for a run without a power trace."""
    samples = read_trace(result.directory / LEDGER)
    if not samples:
        return None
    from ecoml.report.charts.drawing import PAGE

    by_domain = _by_domain(samples)
    drawn = {domain: merged(timed) for domain, timed in by_domain.items()}
    together = math.ceil(max(len(timed) for timed in by_domain.values()) / MOST_SAMPLES)
    put_together = f" {together} neighbouring samples are drawn as one." if together > 1 else ""
    return {
        "chart": Chart(
            "power-over-time",
            _drawing(drawn, _bands(next(iter(by_domain.values()))), PAGE),
            label="Mean power of each domain over the search; its means and peaks are in the table below",
            caption="Mean power per second; the area under a line is the energy in the account. Alternately shaded:"
            f" {_shaded(by_domain)}.{put_together}",
        ),
        "table": Table(
            "Power by domain, with what the device told of itself",
            ["Domain", "Mean", "Highest", "Source", "Busy", "Hottest", "Clock"],
            [_row(domain, [sample for _, sample in timed]) for domain, timed in by_domain.items()],
            numeric=(1, 2, 4, 5, 6),
        ),
    }


def merged(timed: Sequence[Timed], most: int = MOST_SAMPLES) -> list[Timed]:
    """At most `most` samples: neighbours are merged into one of their total length and mean power."""
    size = max(1, math.ceil(len(timed) / most))
    return [_one(timed[start : start + size]) for start in range(0, len(timed), size)]


def _one(timed: Sequence[Timed]) -> Timed:
    end_s, last = timed[-1]
    samples = [sample for _, sample in timed]
    seconds = math.fsum(sample.seconds for sample in samples)
    return end_s, replace(
        last,
        seconds=seconds,
        power_w=math.fsum(sample.power_w * sample.seconds for sample in samples) / seconds,
        uncertainty_w=max(sample.uncertainty_w for sample in samples),
        provenance=weakest(sample.provenance for sample in samples),
        utilisation=_mean(sample.utilisation for sample in samples),
        temperature_c=max((t for sample in samples if (t := sample.temperature_c) is not None), default=None),
        clock_mhz=_mean(sample.clock_mhz for sample in samples),
    )


def _by_domain(samples: Sequence[PowerSample]) -> dict[str, list[Timed]]:
    by_domain: dict[str, list[Timed]] = {}
    for sample in samples:
        timed = by_domain.setdefault(sample.domain, [])
        timed.append(((timed[-1][0] if timed else 0.0) + sample.seconds, sample))
    return by_domain


def _bands(timed: Sequence[Timed]) -> list[dict[str, Any]]:
    """When each trial ran, as far as samples show it: from the start of its first to the end of its last."""
    bands: list[dict[str, Any]] = []
    for trial, group in groupby(timed, key=lambda item: item[1].trial):
        of_trial = list(group)
        if trial is not None:
            start_s = of_trial[0][0] - of_trial[0][1].seconds
            bands.append({"trial": trial, "start_s": start_s, "end_s": of_trial[-1][0], "dark": len(bands) % 2 == 0})
    longest = sorted(bands, key=lambda band: band["start_s"] - band["end_s"])[:MOST_BANDS]
    return sorted(longest, key=lambda band: band["start_s"])


def _shaded(by_domain: Mapping[str, Sequence[Timed]]) -> str:
    """The trials that the bands show: if several ran side by side, those of the first domain."""
    (first, timed), *others = by_domain.items()
    trials = [sample.trial for _, sample in timed]
    alike = all([sample.trial for _, sample in other] == trials for _, other in others)
    return "trials" if alike else f"trials on {first}"


def _drawing(drawn: dict[str, list[Timed]], bands: Sequence[dict[str, Any]], style: Style) -> Drawing:
    import altair as alt

    from ecoml.report.charts.drawing import finish, layer_of

    records = [_record(end_s, sample) for timed in drawn.values() for end_s, sample in timed]
    # A step holds from its own place to the next: each domain's last mean needs an end.
    ends = [{**_record(*timed[-1]), "start_s": timed[-1][0]} for timed in drawn.values()]
    end_s = max(record["end_s"] for record in records)
    sources = ", ".join(dict.fromkeys(record["source"] for record in records))
    x = alt.X("start_s:Q", title="Time of searching, s", scale=alt.Scale(domain=[0, end_s], nice=False))
    y = alt.Y("power_w:Q", title=f"Mean power, W ({sources})", scale=alt.Scale(zero=True))
    colours = alt.Scale(domain=list(drawn), range=list(style.series[: len(drawn)]))
    legend = alt.Legend(orient="top", symbolType="stroke", symbolOpacity=1, symbolStrokeWidth=2)
    colour = alt.Color("domain:N", title=None, scale=colours, legend=legend)
    fields = ("domain", "power", "time", "doing", "busy", "temperature", "clock")
    tooltip = [alt.Tooltip(f"{field}:N", title=field) for field in fields]
    line = layer_of([*records, *ends]).mark_line(interpolate="step-after", strokeWidth=1.5)
    points = layer_of(records).mark_circle(size=40, opacity=0.01)
    layers = [line.encode(x=x, y=y, color=colour), points.encode(x=x, y=y, color=colour, tooltip=tooltip)]
    if bands:
        shade = alt.condition("datum.dark", alt.value(0.35), alt.value(0.12))
        band = layer_of(bands).mark_rect(color=style.faint)
        name = [alt.Tooltip("trial:N", title="trial")]
        layers.insert(0, band.encode(x=alt.X("start_s:Q"), x2="end_s", opacity=shade, tooltip=name))
    return finish(layers, style, height=240)


def _record(end_s: float, sample: PowerSample) -> dict[str, Any]:
    doing = sample.purpose if sample.trial is None else f"{sample.purpose} of trial {sample.trial}"
    return {
        "start_s": end_s - sample.seconds,
        "end_s": end_s,
        "power_w": sample.power_w,
        "domain": sample.domain,
        "source": sample.provenance.value,
        "power": f"{format_power(sample.power_w)} ± {format_power(sample.uncertainty_w)} ({sample.provenance})",
        "time": f"{end_s - sample.seconds:.1f} to {end_s:.1f} s",
        "doing": doing,
        "busy": percent(sample.utilisation, 1),
        "temperature": quantity(sample.temperature_c, "°C"),
        "clock": quantity(sample.clock_mhz, "MHz"),
    }


def _row(domain: str, samples: Sequence[PowerSample]) -> list[str]:
    _, whole = _one([(0.0, sample) for sample in samples])
    return [
        domain,
        format_power(whole.power_w),
        format_power(max(sample.power_w for sample in samples)),
        whole.provenance.value,
        percent(whole.utilisation, 1),
        quantity(whole.temperature_c, "°C"),
        quantity(whole.clock_mhz, "MHz"),
    ]


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None
