"""What several test files need."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import hypothesis
import pytest
from rigs.meter import FakeMeter

import ecoml
from ecoml.cli import main

Typed = Callable[..., CompletedProcess[str]]

# A busy machine is not a failure: properties are about what is computed, not how fast.
hypothesis.settings.register_profile("ecoml", deadline=None)
hypothesis.settings.load_profile("ecoml")


# A shell's background job ignores Ctrl-C, and so would every command that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, so that no core waits for one of them at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True)
def alone(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Whoever else meters this host, or has set constants of the estimate, is no part of a test.

    Returns:
        The folder in which meters of this host announce themselves; the first one makes it.
    """
    folder = tmp_path_factory.mktemp("alone")
    monkeypatch.setattr("ecoml.meter.counters.neighbours._FOLDERS", [folder / "locks"])
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    return folder / "locks"


@pytest.fixture
def meter() -> FakeMeter:
    return FakeMeter()


@pytest.fixture
def space() -> ecoml.Space:
    return ecoml.Space(
        {
            "learning_rate": ecoml.Float(1e-4, 1e-1, log=True),
            "width": ecoml.Int(8, 64, log=True),
            "activation": ecoml.Choice(["relu", "gelu"]),
        }
    )


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def reported(quick: dict[str, Any]) -> dict[str, Any]:
    """The same for trainings that report their energy."""
    return {**quick, "energy": "reported"}


@pytest.fixture
def quick(run_folder: Path) -> dict[str, Any]:
    """Arguments that most searches in tests share."""
    return {"strategy": "random", "directory": run_folder}


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Runs `ecoml …` in this process, in the current folder: for all that says nothing of processes."""

    def run(*arguments: object) -> CompletedProcess[str]:
        capsys.readouterr()
        with monkeypatch.context() as patch, pytest.raises(SystemExit) as end:
            patch.setattr(sys, "argv", ["ecoml", *map(str, arguments)])
            patch.setattr(logging.getLogger("ecoml"), "propagate", False)  # to pytest, which is none of its readers
            main()
        return CompletedProcess([*map(str, arguments)], int(end.value.code or 0), *capsys.readouterr())

    return run
