"""Effects on disk, beside the run they belong to."""

from __future__ import annotations

import json
from pathlib import Path

from ecoml.experiments.effects.effects import Effects
from ecoml.experiments.effects.effects_tables import effects_dict


def write_effects(effects: Effects, folder: Path) -> Path:
    """Write `effects.json`, and the interaction plot into `figures/` as PNG, SVG and PDF; the path of the former."""
    from ecoml.experiments.effects.effects_chart import interaction_chart
    from ecoml.report.charts.drawing import PRINT
    from ecoml.report.charts.figures import save_figure

    path = folder / "effects.json"
    path.write_text(json.dumps(effects_dict(effects), indent=2, allow_nan=False) + "\n", encoding="utf-8")
    save_figure(interaction_chart(effects, PRINT), folder / "figures" / "interaction")
    return path
