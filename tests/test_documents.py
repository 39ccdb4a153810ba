"""What the documents show is run, not only printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import ecoml

ROOT = Path(__file__).parent.parent


def blocks(document):
    return re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(encoding="utf-8"), re.DOTALL)


def test_the_strategy_of_the_documentation(space, tmp_path):
    def train(config):
        for step in range(20):
            yield ecoml.Measurement(score=0.5 + config["width"] / 1000 + step / 100, energy_j=config["width"])

    code = blocks("docs/extending.md")[0].replace("seed=0)", f"seed=0), directory={str(tmp_path / 'run')!r}")
    exec(code, {"space": space, "train": train})  # noqa: S102 - our own document
    trials = ecoml.Result.load(tmp_path / "run").trials
    assert sorted(trial.step for trial in trials) == [1, 1, 1, 1, 3, 3, 7, 7]


def test_the_training_of_the_readme(tmp_path, monkeypatch):
    code = next(block for block in blocks("README.md") if "def train" in block)
    names = {"build": dict, "fit_one_epoch": lambda model: sum(range(20_000)), "evaluate": lambda model: 0.9}
    monkeypatch.chdir(tmp_path)
    exec(code.replace("budget_kwh=2", "budget_j=3"), names)  # noqa: S102 - our own document
    result = names["result"]
    assert isinstance(result, ecoml.Result)
    assert result.energy.total_j == pytest.approx(3, abs=max(3, 2 * result.energy.overshoot_bound_j))
    assert result.recommended is not None
    assert result.recommended.score == 0.9
