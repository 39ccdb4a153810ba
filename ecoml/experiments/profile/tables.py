"""A profile as tables, as JSON, and as a chart."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecoml.experiments.profile.measure import BlockCost, together
from ecoml.experiments.profile.step import LayerCost, Profile
from ecoml.experiments.tables import NOTHING, table_of
from ecoml.format import MEANING
from ecoml.report.page.document import Table
from ecoml.report.page.writing import OTHER_FOLDER, writing

if TYPE_CHECKING:
    from ecoml.report.charts.drawing import Drawing, Style


def layers_table(profile: Profile) -> Table:
    """Layer by layer, then the other parts, then the entire step."""
    rows = [_layer(layer, profile) for layer in profile.layers]
    rest = {"loss": profile.loss, "optimiser": profile.optimiser, "between the layers": profile.between}
    rows += [(name, "", "", "", *_total(figure, profile), "", "") for name, figure in rest.items()]
    rows.append(("whole step", "", "", "", *_total(profile.step, profile), *_arithmetic(profile.layers)))
    header = ("Layer", "Kind", "Forward", "Backward", "Energy", "Share", "Time", "FLOP", "Bytes")
    caption = (
        f"One training step of {profile.batch} images on {profile.device}: {profile.provenance}"
        f" ({MEANING[profile.provenance]}); ± is 95 %, for comparing layers. FLOP and bytes are of the forward pass"
    )
    return table_of(caption, header, rows, names=2)


def kinds_table(profile: Profile) -> Table:
    """By kind of layer (convolutions, linear layers, ReLU, …), the largest energy first."""
    kinds: dict[str, list[LayerCost]] = {}
    for layer in profile.layers:
        kinds.setdefault(layer.kind, []).append(layer)
    rows = []
    for kind, layers in sorted(kinds.items(), key=lambda item: -math.fsum(layer.both.energy_j for layer in item[1])):
        forward, backward = together([la.forward for la in layers]), together([la.backward for la in layers])
        both = together([forward, backward])
        per_flop = sum(layer.flop for layer in layers)
        rows.append(
            (
                kind,
                str(len(layers)),
                joules(forward),
                joules(backward),
                *_total(both, profile),
                *_arithmetic(layers),
                f"{1e9 * forward.energy_j / per_flop:.3g} nJ" if per_flop else NOTHING,
            )
        )
    header = ("Kind", "Layers", "Forward", "Backward", "Energy", "Share", "Time", "FLOP", "Bytes", "Forward per FLOP")
    return table_of(f"By kind of layer ({profile.provenance})", header, rows)


def verdict(profile: Profile) -> str:
    """Whether the parts sum to the entire step."""
    between, step = profile.between, profile.step
    inside = abs(between.energy_j) <= between.uncertainty_j
    share = profile.parts.energy_j / step.energy_j if step.energy_j else math.nan
    told = f"The parts sum to {share:.1%} of the whole step; the difference of {_signed(between)} is "
    if inside:
        return told + "within its uncertainty."
    why = "operations between the layers" if between.energy_j > 0 else "layers that cost more alone"
    return f"{told}more than chance ({why}), and has a line of its own."


def profile_dict(profile: Profile) -> dict[str, Any]:
    """The profile as a JSON object."""
    table: dict[str, Any] = asdict(profile, dict_factory=_flat)
    return table | {"between": asdict(profile.between, dict_factory=_flat)}


def _flat(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """A value with the fields of its energy beside its own, without the energy's edges."""
    table = {name: value for name, value in pairs if name not in ("edge_j", "opening_j", "closing_j")}
    return {**table.pop("energy", {}), **table}


def write_profile(profile: Profile, folder: Path) -> Path:
    """Write `profile.json` and `profile.png`, `.svg`, `.pdf`; returns the path of the JSON file.

    Raises:
        UsageError: The folder cannot be written.
    """
    from ecoml.report.charts.drawing import PRINT
    from ecoml.report.charts.figures import save_figure

    path = folder / "profile.json"
    with writing(folder, OTHER_FOLDER):
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(profile_dict(profile), indent=2) + "\n", encoding="utf-8")
        save_figure(profile_chart(profile, PRINT), folder / "profile")
    return path


def profile_chart(profile: Profile, style: Style) -> Drawing:
    """One bar per layer, forward and backward one after the other."""
    import altair as alt

    from ecoml.report.charts.drawing import finish, layer_of

    records = [
        {"layer": f"{layer.name} ({layer.kind})", "pass": name, "energy_j": max(0.0, figure.energy_j), "order": order}
        for layer in profile.layers
        for order, (name, figure) in enumerate((("forward", layer.forward), ("backward", layer.backward)))
    ]
    names = list(dict.fromkeys(str(record["layer"]) for record in records))
    for name, figure in (("loss", profile.loss), ("optimiser", profile.optimiser)):
        records.append({"layer": name, "pass": "backward", "energy_j": figure.energy_j, "order": 1})
        names.append(name)
    x = alt.X("energy_j:Q", title=f"Energy of one step of {profile.batch} images, J ({profile.provenance})")
    y = alt.Y("layer:N", title=None, sort=names, axis=alt.Axis(labelLimit=260, domain=False, ticks=False))
    colour = alt.Color(
        "pass:N",
        scale=alt.Scale(domain=["forward", "backward"], range=[style.accent, style.signal]),
        legend=alt.Legend(orient="top", title=None),
    )
    bars = layer_of(records).mark_bar().encode(x=x, y=y, color=colour, order=alt.Order("order:Q"))
    return finish([bars], style, height=20 * len(names))


def joules(figure: BlockCost) -> str:
    """Small energies in words: `1.23 ± 0.04 mJ`."""
    scale, unit = next(
        ((s, u) for s, u in ((1.0, "J"), (1e-3, "mJ"), (1e-6, "µJ")) if abs(figure.energy_j) >= s), (1e-9, "nJ")
    )
    value, width = figure.energy_j / scale, figure.uncertainty_j / scale
    decimals = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:.{decimals}f} ± {width:.{decimals}f} {unit}"


def _layer(layer: LayerCost, profile: Profile) -> tuple[str, ...]:
    backward = joules(layer.backward) if layer.backward.energy_j else NOTHING
    parts = joules(layer.forward), backward, *_total(layer.both, profile)
    return (layer.name, layer.kind, *parts, *_arithmetic([layer]))


def _total(figure: BlockCost, profile: Profile) -> tuple[str, str, str]:
    share = figure.energy_j / profile.step.energy_j if profile.step.energy_j else math.nan
    return joules(figure), f"{100 * share:.1f} %", f"{1e3 * figure.time_s:.3g} ms"


def _arithmetic(layers: Sequence[LayerCost]) -> tuple[str, str]:
    flop, moved = sum(layer.flop for layer in layers), sum(layer.moved_b for layer in layers)
    return (f"{flop / 1e6:,.3g} M" if flop else NOTHING), f"{moved / 1e6:,.3g} MB"


def _signed(figure: BlockCost) -> str:
    return ("+" if figure.energy_j > 0 else "") + joules(figure)
