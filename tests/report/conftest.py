"""A fixture that writes run folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from report.run_folders import write_run

MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    return lambda courses, **settings: write_run(settings.pop("path", tmp_path / "run"), courses, **settings)
