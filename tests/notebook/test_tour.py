"""The tour of the documentation runs from top to bottom: in a kernel where there is one, else cell by cell."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest

TOUR = Path(__file__).parents[2] / "docs" / "start" / "tour.ipynb"


def installed(name):
    return importlib.util.find_spec(name) is not None


def test_its_cells(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for cell in json.loads(TOUR.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code" and all(map(installed, cell["metadata"].get("tags", []))):
            assert cell["outputs"] == [], "it is kept without what it printed"
            exec("".join(cell["source"]), names)  # noqa: S102 - our own document
    assert names["result"].energy.total_j <= 36 + names["result"].energy.overshoot_bound_j
    assert names["epochs"] > 1
    assert names["budget"].remaining_j == 0


def test_in_a_kernel(tmp_path):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    pytest.importorskip("pandas")
    notebook = nbformat.read(TOUR, as_version=4)
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown: list[dict[str, Any]] = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    html = [out["data"]["text/html"] for out in shown if "text/html" in out.get("data", {})]
    assert sum("vega-embed" in text for text in html) == 3
    assert any("Recommended: trial" in text for text in html)
    views = [text for text in html if text.startswith("<pre")]
    assert "budget" in views[0]
    assert "ended" in views[0], "the last view of the search stays"
    told = "".join(out["text"] for out in shown if out["output_type"] == "stream")
    assert "recommended: trial" in told
    assert re.search(r"of 1\.00 J, 1\d\d %", told)
