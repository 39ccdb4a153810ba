"""Fixtures that write run folders and tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from rigs.run_folders import write_run

MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    return lambda courses, **settings: write_run(settings.pop("path", tmp_path / "run"), courses, **settings)


@pytest.fixture
def table(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "table.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write
