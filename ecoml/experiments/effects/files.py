"""Effects on disk, in the folder of the run they belong to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from ecoml.experiments.effects.effects import Effects
from ecoml.report.page.writing import OTHER_FOLDER, writing


def write_effects(effects: Effects, folder: Path) -> Path:
    """Write `effects.json`, and the interaction plot into `figures/` as PNG, SVG and PDF; returns the path of the JSON
    file.

    Raises:
        UsageError: The folder cannot be written.
    """
    from ecoml.experiments.effects.chart import interaction_chart
    from ecoml.report.charts.drawing import PRINT
    from ecoml.report.charts.figures import save_figure

    path = folder / "effects.json"
    with writing(folder, OTHER_FOLDER):
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(effects_dict(effects), indent=2, allow_nan=False) + "\n", encoding="utf-8")
        save_figure(interaction_chart(effects, PRINT), folder / "figures" / "interaction")
    return path


def effects_dict(effects: Effects) -> dict[str, Any]:
    """The effects as a JSON object; NaN becomes null."""
    factor, *ends = effects.extremes
    extremes = [dict(zip(("level", "energy_j", "score"), (e, *effects.mean_at(factor, e)), strict=True)) for e in ends]
    content: dict[str, Any] = json.loads(to_json(effects, exclude={"trainings"}, inf_nan_mode="null"))
    return {
        **content,
        "trainings": len(effects.trainings),
        "extremes": {"factor": factor.name, "cheapest": extremes[0], "dearest": extremes[1]},
    }
