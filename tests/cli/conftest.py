"""The command line, in a process of its own where a test is about that."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

FASHION_MNIST = Path(os.environ.get("ECOML_FASHION_MNIST", "/usr/share/datasets/fashion-mnist"))

Ecoml = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the test's own, and the current one."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def typed(typed: Ecoml, here: Path) -> Ecoml:
    """Runs `ecoml …` in this process, in that folder."""
    return typed


@pytest.fixture
def ecoml(here: Path) -> Ecoml:
    """Runs `ecoml …` in a process of its own, in that folder."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ecoml", *map(str, arguments)],
            cwd=here,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )

    return run


@pytest.fixture
def fashion_mnist() -> Path:
    """The four files of FashionMNIST. They must be there where CI says so; elsewhere their tests are skipped."""
    if not FASHION_MNIST.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"CI needs FashionMNIST in {FASHION_MNIST}: apt install dataset-fashion-mnist")
        pytest.skip("FashionMNIST is not here: apt install dataset-fashion-mnist, or set ECOML_FASHION_MNIST")
    return FASHION_MNIST


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder of two classes of small images that anyone can tell apart, of mixed sizes and modes."""
    folder = tmp_path / "images"
    rng = np.random.default_rng(0)
    for label, level in (("dark", 60), ("light", 190)):
        (folder / label).mkdir(parents=True)
        for number in range(40):
            side = 10 + number % 5
            shape = (side, side + number % 3, 3) if number % 2 else (side, side)
            pixels = rng.integers(level - 50, level + 50, shape).astype(np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number}.png")
    return folder


TINY_SPACE = """
[parameters.width]
type = "int"
low = 4
high = 8

[parameters.learning_rate]
type = "float"
low = 0.003
high = 0.3
log = true

[parameters.optimizer]
type = "choice"
options = ["sgd", "adamw"]

[parameters.momentum]
type = "float"
low = 0.5
high = 0.95
when = { optimizer = ["sgd"] }

[fixed]
depth = 2
head = "flatten"
batch_size = 256
epochs = 3
"""


@pytest.fixture
def tiny_space(tmp_path: Path) -> Path:
    """A space whose trainings take little."""
    path = tmp_path / "tiny.toml"
    path.write_text(TINY_SPACE)
    return path
