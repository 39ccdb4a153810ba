"""A comparison on disk: the numbers as JSON, tidy CSV and Parquet, the figures, and one self-contained page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ecoml.experiments.compare.comparison import Comparison
from ecoml.experiments.compare.comparison_drawings import (
    hypervolume_drawing,
    ratio_drawing,
    reached_drawing,
    score_drawing,
)
from ecoml.experiments.compare.comparison_json import comparison_dict
from ecoml.experiments.compare.comparison_page import comparison_page
from ecoml.experiments.compare.searches import can_write_parquet, write_csv, write_parquet
from ecoml.report.page.writing import writing

if TYPE_CHECKING:
    from ecoml.report.charts.drawing import Drawing, Style

NO_PARQUET = "compare.parquet was left out: it needs pyarrow, pip install 'ecoml[parquet]'"


def write_comparison(comparison: Comparison, out: str | Path, *, grid_intensity: float | None = None) -> Path:
    """Write `compare.json`, `compare.csv`, `compare.parquet` (where pyarrow is installed), `figures/`, `compare.html`.

    Args:
        comparison: What to write.
        out: A folder; it is made where it is missing.
        grid_intensity: Grams of CO2e a kWh, for the page; None: the page says nothing of CO2e.

    Returns:
        The page's path.

    Raises:
        UsageError: The folder cannot be written.
    """
    from ecoml.report.charts.drawing import PRINT
    from ecoml.report.charts.figures import save_figure

    folder = Path(out)
    with writing(folder, "choose another --out, or make room"):
        folder.mkdir(parents=True, exist_ok=True)
        numbers = json.dumps(comparison_dict(comparison), indent=2, allow_nan=False, ensure_ascii=False)
        (folder / "compare.json").write_text(numbers + "\n", encoding="utf-8")
        searches = [search for problem in comparison.problems for search in problem.searches]
        write_csv(searches, folder / "compare.csv")
        if can_write_parquet():
            write_parquet(searches, folder / "compare.parquet")
        for name, drawing in _figures(comparison, PRINT):
            save_figure(drawing, folder / "figures" / name)
        page = folder / "compare.html"
        page.write_text(comparison_page(comparison, grid_intensity=grid_intensity), encoding="utf-8")
    return page


def _figures(comparison: Comparison, style: Style) -> Iterator[tuple[str, Drawing]]:
    several = len(comparison.problems) > 1
    if several:
        yield "ratios", ratio_drawing(comparison, style)
    for number, problem in enumerate(comparison.problems, start=1):
        suffix = f"-{number:02d}-{re.sub(r'[^a-z0-9]+', '-', problem.name.lower()).strip('-')}" if several else ""
        yield f"energy-to-target{suffix}", reached_drawing(comparison, problem, style)
        yield f"best-so-far{suffix}", score_drawing(comparison, problem, style)
        if problem.frame is not None:
            yield f"hypervolume{suffix}", hypervolume_drawing(comparison, problem, style)
